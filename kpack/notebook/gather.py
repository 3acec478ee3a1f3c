"""What the builder needs of a project, and what of it cannot go with it to Kaggle."""

from __future__ import annotations

import json
import posixpath
import re
import urllib.parse
from typing import TYPE_CHECKING

from kpack.environment import edit
from kpack.errors import UsageError
from kpack.files import given, given_text
from kpack.lock import relative
from kpack.pack import read
from kpack.publish.dataset import mounted
from kpack.publish.kernel import MACHINES, image_reference
from kpack.urls import VARIABLE, redacted, shown, spells_secret

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kpack.environment import Environment
    from kpack.pack import ReadPack
    from kpack.project import Project

PROBED = "kaggle-base.json"
"""What the probe cell writes, and what a builder that locks takes as its base."""

_SMALL = 100_000
"""Bytes of a text file that still travels in the notebook, which may have a million."""


def files(project: Project, *, relock: bool) -> dict[str, str]:
    """Return the text files that the builder writes: the environment, its lock, probe files, small checkpoints.

    Raises:
        UsageError: the environment names something of this machine.
        CheckFailed: the lock is stale.

    """
    environment = project.environment
    carried = _carried(environment)
    _refuse_local(environment, carried)
    text = given_text(project.config)
    if relock:
        return {project.config.name: edit.set_base(text, project.config, f"./{PROBED}").text, **carried}
    project.current_lock()
    found = {
        **carried,
        project.config.name: text,
        project.lock_path.name: given_text(project.lock_path),
    }
    for base, ref in zip(project.bases, environment.bases, strict=True):
        if base.shipped:
            continue
        name = posixpath.normpath(ref)
        if name.startswith(("/", "../", "~")):
            raise UsageError(
                f"the builder cannot have {ref!r}",
                where=f"{project.config}: base",
                next="move the probe file beside kaggle-env.toml",
            )
        found[name] = given_text(project.config.parent / ref)
    return found


def _carried(environment: Environment) -> dict[str, str]:
    """Return the checkpoints of this machine that are small text files beside kaggle-env.toml, by their place."""
    found = {}
    for item in environment.checkpoints:
        scheme, _, place = item.urls[0].partition(":")
        name = posixpath.normpath(urllib.parse.unquote(place))
        path = environment.path.parent / name
        if scheme != "file" or name.startswith(("/", "..")) or not path.is_file() or path.stat().st_size > _SMALL:
            continue
        try:
            found[name] = given(path, limit=_SMALL).decode("utf-8")
        except UnicodeDecodeError:
            continue  # not text
    return found


def _refuse_local(environment: Environment, carried: Mapping[str, str]) -> None:
    """Refuse what only this machine has and the notebook does not carry, and credentials, which may not travel."""
    where = str(environment.path)
    local = [entry.text for entry in environment.packages if entry.path is not None]
    urls = [item.urls[0] for item in environment.checkpoints if item.urls[0].startswith("file:")]
    local += [url for url in urls if posixpath.normpath(urllib.parse.unquote(url[5:])) not in carried]
    local += [index.name for index in environment.indexes if not index.url.startswith(("http://", "https://", "${"))]
    if local:
        raise UsageError(
            f"the builder on Kaggle cannot reach what is on this machine: {', '.join(local)}",
            where=where,
            next="give them an address on the web, or build here and use kpack push",
        )
    asked = {f"index {index.name}": index.url for index in environment.indexes}
    asked |= {f"the apt source {shown(source.url)}": source.url for source in environment.apt_sources}
    for what, url in asked.items():
        if spells_secret(url):
            raise UsageError(
                f"the URL of {what} holds credentials, and the notebook would, too",
                where=where,
                next="write ${NAME} in their place; the builder takes it from a secret of that name",
            )
    told = [word for entry in environment.packages for word in entry.text.split() if "://" in word]
    told += [url for item in environment.checkpoints for url in item.urls]
    for url in filter(spells_secret, told):
        raise UsageError(
            f"a URL holds a secret, and the notebook would, too: {redacted(url)}",
            where=where,
            next="build here and use kpack push, or give the file an address that needs no secret",
        )


def variables(environment: Environment) -> tuple[str, ...]:
    """Return the environment variables that the URLs of indexes and apt sources name."""
    asked = [index.url for index in environment.indexes] + [source.url for source in environment.apt_sources]
    return tuple(dict.fromkeys(name for url in asked for name in VARIABLE.findall(url)))


def pack_of(project: Project) -> ReadPack | None:
    """Return the pack that was built here from the lock as it stands, None when there is none."""
    if not project.pack_path.is_file():
        return None
    found = read(project.pack_path)
    lock = found.data(found.manifest.lock).decode("utf-8")
    return found if lock == relative(project.current_lock()) else None


def attached(environment: Environment) -> dict[str, tuple[str, ...]]:
    """Return what holds the checkpoints that are not packed, by kind: ``dataset``, ``model``, ``competition``."""
    kinds: dict[str, tuple[str, ...]] = {}
    for item in environment.checkpoints:
        if item.attached is None:
            continue
        kind, ref = mounted(item.attached)
        if ref not in kinds.get(kind, ()):
            kinds[kind] = (*kinds.get(kind, ()), ref)
    return kinds


def accelerator_of(project: Project) -> str:
    """Return the accelerator that the first base is for: ``gpu``, ``tpu``, else ``cpu``."""
    first = next((base.accelerator for base in project.bases), "")
    return first if first in MACHINES else "cpu"


def image_of(project: Project, accelerator: str) -> str | None:
    """Return the image that a base was probed in or stands for, the first that says so; None when none does."""
    for base, ref in zip(project.bases, project.environment.bases, strict=True):
        named = base.images[0] if base.images else None
        if not base.shipped:
            data = json.loads(given_text(project.config.parent / ref))
            image = data.get("image") if isinstance(data, dict) else None
            if isinstance(image, dict):
                named = image.get("reference") or image.get("digest") or named
        if isinstance(named, str):
            return image_reference(named, accelerator)
    return None


def expected(builder: str) -> str | None:
    """Return the id that a builder notebook insists on, None when it takes what comes."""
    found = re.search(r"--expect\W+([0-9a-f]{64})\b", builder)
    return found[1] if found else None
