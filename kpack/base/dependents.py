"""Who in an image needs a distribution, and what that asks of another version of it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import NormalizedName, canonicalize_name

from kpack.markers import OddMarker, counts

if TYPE_CHECKING:
    from collections.abc import Iterator

    from packaging.version import Version

    from kpack.base.model import BaseDistribution, BaseImage

_NAME = re.compile(r"\s*([A-Za-z0-9][A-Za-z0-9._-]*)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Dependent:
    """A distribution of the image that asks for another one."""

    name: NormalizedName
    version: Version
    requirement: str
    """What it asks, without marker: ``numpy<2.2,>=1.26``."""
    extra: str
    """The extra of it that asks; empty when it always does."""
    bound: bool
    """It does not take every version."""
    holds: bool
    """The image's own version is what it asks for."""


def dependents(base: BaseImage, name: NormalizedName) -> tuple[Dependent, ...]:
    """Return what the image's distributions ask of ``name``, as far as the snapshot knows their requirements.

    Those that ask always come before those that ask for an extra, each sorted by name.
    """
    has = base.distributions.get(name)
    found = []
    for owner in base.distributions.values():
        if owner.name == name:
            continue
        for requirement, extra in _asked(owner, name, base):
            found.append(
                Dependent(
                    name=owner.name,
                    version=owner.version,
                    requirement=str(requirement),
                    extra=extra,
                    bound=bool(requirement.specifier),
                    holds=has is None or requirement.specifier.contains(has.version, prereleases=True),
                )
            )
    return tuple(sorted(found, key=lambda item: (item.extra != "", item.name, item.extra)))


def modules(base: BaseImage, module: str) -> tuple[NormalizedName, ...]:
    """Return the distributions that have a top-level module of that name, letters' case aside (``pil``: pillow)."""
    wanted = module.replace("-", "_").casefold()
    return tuple(
        name
        for name, item in sorted(base.distributions.items())
        if any(top.replace("-", "_").casefold() == wanted for top in item.top_level or ())
    )


def _asked(owner: BaseDistribution, name: NormalizedName, base: BaseImage) -> Iterator[tuple[Requirement, str]]:
    """Yield requirements of ``owner`` on ``name`` that count in the image, each once, with the extra that has it."""
    for line in owner.requires_dist or ():
        named = _NAME.match(line)  # most of some ten thousand lines speak of other names
        if named is None or canonicalize_name(named[1]) != name:
            continue
        try:
            requirement = Requirement(line)
        except InvalidRequirement:
            continue  # no installer could read it either
        for extra in ("", *(owner.provides_extra or ())):
            if _counts(requirement, base, extra):
                requirement.marker = None
                yield requirement, extra
                break


def _counts(requirement: Requirement, base: BaseImage, extra: str) -> bool:
    try:
        return counts(requirement, base.environment, extra)
    except OddMarker:
        return False
