"""What targets would get with an older version of one distribution, and no words beside it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

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
    from kpack.resolve.child import Workers
    from kpack.resolve.model import TargetResolution
    from kpack.target import Target


def resolved_below(
    environment: Environment,
    targets: Sequence[Target],
    name: NormalizedName,
    below: str,
    *,
    workers: Workers,
    cache_dir: Path | None,
) -> tuple[TargetResolution, ...] | None:
    """Return what every target gets when ``name<below`` is asked for, too; None when one of them gets nothing."""
    asked = bounded(environment, name, below)
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


def words(environment: Environment, name: NormalizedName, below: str) -> str:
    """Return the request for ``name`` as `resolved_below` asks it: ``name[extra]<below,>=1``."""
    asked = (package.requirement for package in bounded(environment, name, below).packages)
    return next(str(item) for item in asked if item is not None and canonicalize_name(item.name) == name)


def bounded(environment: Environment, name: NormalizedName, below: str) -> Environment:
    """Return ``environment`` with its requests for ``name`` held below a version, or with one more that does so."""
    bound = SpecifierSet(f"<{below}")
    packages, known = [], False
    for package in environment.packages:
        requirement = package.requirement
        if requirement is not None and requirement.url is None and canonicalize_name(requirement.name) == name:
            held = Requirement(str(requirement))
            held.specifier &= bound
            package = replace(package, text=str(held), requirement=held)
            known = True
        packages.append(package)
    if not known:
        line = Requirement(f"{name}<{below}")
        packages.append(replace(packages[0], text=str(line), requirement=line, path=None, extras=(), hashes=()))
    return replace(environment, packages=tuple(packages))
