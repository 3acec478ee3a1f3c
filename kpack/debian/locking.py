"""System packages for a lock: settled for every image, or kept where nothing that they depend on has changed."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

from kpack.base.native import facts_of
from kpack.debian.model import LockedSystem, SystemImage
from kpack.environment import apt

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from kpack.base import BaseImage
    from kpack.debian.model import SystemPackage
    from kpack.environment import Environment


def asked(environment: Environment, base: BaseImage) -> str:
    """Return the SHA-256 of the packages asked for, the archives, and what the image has."""
    dated = any("{snapshot}" in source.url for source in environment.apt_sources)
    moment = environment.exclude_newer if dated else None
    seen: list[object] = [
        environment.apt,
        [apt.meaning(source) for source in environment.apt_sources],
        moment.isoformat() if moment is not None else None,
        [base.machine, facts_of(base).os, sorted(base.system.items())],
    ]
    if base.apt_sources and not environment.apt_sources:
        seen.append(list(base.apt_sources))
    return hashlib.sha256(json.dumps(seen, separators=(",", ":")).encode()).hexdigest()


def lock(
    environment: Environment,
    images: Mapping[str, BaseImage | None],
    *,
    markers: Mapping[str, str],
    known: Mapping[str, LockedSystem],
    scratch: Path,
) -> tuple[dict[str, LockedSystem], tuple[str, ...]]:
    """Return what is packed for each image, by label, and what there is to say.

    ``images`` are those of the targets by label, None for a bare Python; ``markers`` say which targets one interpreter
    may take: they pack the same. What ``known`` has, of an older lock, is kept while nothing has changed.

    Raises as `kpack.debian.solve.settle`.
    """
    if not environment.apt:
        return {}, ()
    wanted = {label: "" if base is None else asked(environment, base) for label, base in images.items()}
    if all(label in known and known[label].asked == digest for label, digest in wanted.items()):
        return {label: known[label] for label in images}, ()
    from kpack.debian.solve import settle

    found = settle(
        environment.apt,
        environment.apt_sources,
        [_image(label, base) for label, base in images.items()],
        moment=environment.exclude_newer,
        folder=environment.path.parent,
        scratch=scratch,
    )
    packages = {
        label: _together([found[other].packages for other in images if markers[other] == markers[label]])
        for label in images
    }
    return (
        {label: LockedSystem(asked=wanted[label], packages=packages[label]) for label in images},
        tuple(dict.fromkeys(note for settled in found.values() for note in settled.notes)),
    )


def _image(label: str, base: BaseImage | None) -> SystemImage:
    if base is None:
        return SystemImage(label=label, os="", machine="", packages={})
    return SystemImage(
        label=label, os=facts_of(base).os, machine=base.machine, packages=base.system, sources=base.apt_sources
    )


def _together(lists: Iterable[Sequence[SystemPackage]]) -> tuple[SystemPackage, ...]:
    """Return what any of the images lacks: a restore leaves out what it finds there."""
    found: dict[str, SystemPackage] = {}
    for packages in lists:
        for item in packages:
            found.setdefault(item.name, item)
    return tuple(sorted(found.values(), key=lambda item: item.stage))
