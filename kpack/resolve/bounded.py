"""What targets would get with another version of one distribution, and no words beside it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from kpack.resolve.requires_dist import RequiresDist
from kpack.resolve.trial import Refusal, Trials

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from packaging.utils import NormalizedName

    from kpack.environment import Environment
    from kpack.environment.model import Package
    from kpack.resolve.child import Workers
    from kpack.resolve.model import TargetResolution
    from kpack.target import Target


class Bounds(NamedTuple):
    """Between which versions another one is looked for."""

    above: str = ""
    """Excluded; empty for none."""
    below: str = ""
    """Excluded; empty for none."""
    at: str = ""
    """The one version, of all builds when it has no local part; empty for any."""
    without: tuple[str, ...] = ()
    """Builds of it that are passed over."""
    free: bool = False
    """In place of what the file asks of the version, not beside it."""
    name: str = ""
    """Another distribution that is asked for in its place; empty for none."""

    @property
    def specifier(self) -> SpecifierSet:
        """Return them as a request has them."""
        parts = ((">", self.above), ("<", self.below), ("==", self.at), *(("!=", each) for each in self.without))
        return SpecifierSet(",".join(f"{mark}{version}" for mark, version in parts if version))


def resolved(
    environment: Environment,
    targets: Sequence[Target],
    name: NormalizedName,
    bounds: Bounds,
    *,
    workers: Workers,
    cache_dir: Path | None,
) -> tuple[TargetResolution, ...] | None:
    """Return what every target gets when ``name`` is held within ``bounds``; None when one of them gets nothing."""
    asked = bounded(environment, name, bounds)
    trials = Trials(
        workers=workers, requires_of=RequiresDist.of(environment, workers, cache_dir), cache_dir=cache_dir
    ).limited()
    found = []
    for target in targets:
        outcome = trials.outcome(asked, target)
        if isinstance(outcome, Refusal):
            return None
        found.append(outcome)
    return tuple(found)


def words(environment: Environment, name: NormalizedName, bounds: Bounds) -> str:
    """Return what to write for `resolved` to be so: ``"name[extra]<2,>=1"``, or ``"name>2" for "name==2"``."""
    rows = zip(bounded(environment, name, bounds).packages, (*environment.packages, None), strict=False)
    new, old = next((new, old) for new, old in rows if old is None or _asks_for(old, name))
    instead = f' for "{old.plain}"' if old is not None and bounds.free else ""
    return f'"{new.plain}"{instead}'


def requested(environment: Environment, name: NormalizedName) -> bool:
    """Tell whether the file asks for ``name`` by its name."""
    return any(_asks_for(package, name) for package in environment.packages)


def asked_for(environment: Environment, name: NormalizedName) -> bool:
    """Tell whether the file asks for ``name`` and says which versions it takes."""
    return any(
        package.requirement.specifier
        for package in environment.packages
        if _asks_for(package, name) and package.requirement is not None
    )


def bounded(environment: Environment, name: NormalizedName, bounds: Bounds) -> Environment:
    """Return ``environment`` with its requests for ``name`` held within bounds, or with one more that is."""
    packages, known = [], False
    for package in environment.packages:
        requirement = package.requirement
        if requirement is not None and _asks_for(package, name):
            held = Requirement(str(requirement))
            held.name = bounds.name or held.name
            held.specifier = bounds.specifier if bounds.free else held.specifier & bounds.specifier
            hashes = () if bounds.free else package.hashes
            package = replace(package, text=str(held), requirement=held, hashes=hashes)
            known = True
        packages.append(package)
    if not known:
        line = Requirement(f"{name}{bounds.specifier}")
        packages.append(replace(packages[0], text=str(line), requirement=line, path=None, extras=(), hashes=()))
    return replace(environment, packages=tuple(packages))


def _asks_for(package: Package, name: NormalizedName) -> bool:
    requirement = package.requirement
    return requirement is not None and requirement.url is None and canonicalize_name(requirement.name) == name
