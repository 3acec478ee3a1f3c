"""Names that are none of a distribution: of modules, and slips of the pen."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import TYPE_CHECKING

from packaging.utils import NormalizedName, canonicalize_name

from kpack.base import load, shipped
from kpack.resolve.import_names import IMPORT_NAMES

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from kpack.base import BaseImage
    from kpack.environment import Environment
    from kpack.resolve.wire import Obstacle

SUSPICIOUS = frozenset({"unknown", "sdist", "build", "yanked", "none", "invalid"})
"""Kinds of obstacles that a tombstone meets: a project whose name is that of another one's module."""


SHARED = 3
"""Distributions that may have one module; what more have is a namespace."""


def meant(obstacles: Sequence[Obstacle], environment: Environment, base: BaseImage | None) -> str:
    """Return what to write where requests name modules, or nothing that their index has; or nothing.

    A module is known by what the distributions of the image, or of the newest shipped one, have at the top of
    site-packages.
    """
    asked = {canonicalize_name(each.requirement.name) for each in environment.packages if each.requirement}
    stuck = [each for each in obstacles if each.kind in SUSPICIOUS]
    named = sorted({canonicalize_name(each.name) for each in stuck} & asked)
    if not any(each.kind == "unknown" for each in obstacles) and not named:
        return ""
    image = base if base is not None else load(shipped()[0].name, Path())
    modules = _known(image)
    pairs = {name: modules[name] for name in named if name in modules and name not in image.distributions}
    unknown = sorted({canonicalize_name(each.name) for each in obstacles if each.kind == "unknown"} - pairs.keys())
    sentences = [f"{name} is a module of {whose}: write {whose}" for name, whose in sorted(pairs.items())]
    for name in unknown:
        close = difflib.get_close_matches(name, list(image.distributions), 1, 0.8)
        sentences += [f"did you mean {near}?" for near in close if near != name]
    return "; ".join(sentences)


def doubtful(environment: Environment, base: BaseImage, packed: Collection[NormalizedName]) -> Iterator[str]:
    """Yield a note for every request that is packed, although the module of its name comes with something else."""
    asked = {canonicalize_name(each.requirement.name) for each in environment.packages if each.requirement}
    modules = _known(base)
    for name in sorted(asked & set(packed) - base.distributions.keys()):
        other = modules.get(name, name)
        if other not in {name, *asked}:
            has = (
                f", and the image has {other} {base.distributions[other].version}"
                if other in base.distributions
                else ""
            )
            yield f"{name} is a project of its own: the module {name} that most people mean comes with {other}{has}"


def _known(image: BaseImage) -> Mapping[NormalizedName, NormalizedName]:
    """Return the distribution of every module that ``image`` or the table knows.

    A list of names and versions alone knows no modules: the newest shipped image speaks for it.
    """
    tells = image.shipped or any(item.top_level for item in image.distributions.values())
    others = {} if tells else _modules(load(shipped()[0].name, Path()))
    table = {canonicalize_name(module): canonicalize_name(name) for module, name in IMPORT_NAMES.items()}
    return {**table, **others, **_modules(image)}


def _modules(image: BaseImage) -> Mapping[NormalizedName, NormalizedName]:
    """Return the distribution of every module, the one with the shortest name where there are more."""
    owners: dict[NormalizedName, list[NormalizedName]] = {}
    for name, item in image.distributions.items():
        for top in item.top_level or ():
            owners.setdefault(canonicalize_name(top.removesuffix(".py")), []).append(name)
    return {module: min(names, key=len) for module, names in owners.items() if len(names) <= SHARED}
