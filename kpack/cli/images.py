"""What a command that takes a pack asks of the project: its own pack, and the images by their names."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from kpack.cli.session import note
from kpack.errors import UsageError
from kpack.project import Project

if TYPE_CHECKING:
    from kpack.base import BaseImage
    from kpack.cli.session import Session


def project_of(session: Session, *, needed: bool = False) -> Project | None:
    """Return the project here; None when there is none, none is ``needed``, and no file was named.

    Raises:
        UsageError: there is none although one was asked for.

    """
    try:
        return Project.find(session.config)
    except UsageError:
        if needed or session.config is not None:
            raise
        return None


def pack_path(session: Session, path: Path | None) -> Path:
    """Return ``path``, or without one where the project here has its pack; a note says when that is of another lock.

    Raises:
        UsageError: neither a pack was named nor is there a project.

    """
    return own_pack(Project.find(session.config)) if path is None else path


def own_pack(project: Project) -> Path:
    """Return where the project has its pack; say so when it is not the one that file and lock speak of by now."""
    from kpack.status import status

    found = status(project, offline=True)
    if found.id is not None and not found.fresh:
        note(f"{found.lock.name} is stale, and {found.pack} was built before: run kpack lock, then kpack build")
    elif found.id is not None and not found.of_lock:
        note(f"{found.pack} was built from another lock: run kpack build for the one of {found.lock.name}")
    return found.pack


def image_of(project: Project | None, name: str) -> BaseImage | None:
    """Return the base image of that name: the project's, or one that kpack ships."""
    from kpack import base

    for image in project.bases if project else ():
        if image.name == name:
            return image
    try:
        return base.load(name, Path.cwd())
    except UsageError:
        return None
