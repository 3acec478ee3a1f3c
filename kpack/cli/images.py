"""The image that a pack was made for, by its name."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

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
    """Return ``path``, or without one where the project here has its pack.

    Raises:
        UsageError: neither a pack was named nor is there a project.

    """
    return Project.find(session.config).pack_path if path is None else path


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
