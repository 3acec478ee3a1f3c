"""Looks for the names that replace, allow-broken and allow-source need, all of them at once.

Every base distribution that can move may move at first, its own version tried before any other, and none has a say.
Then those speak up that what moved would break: their requirements count from then on, so that they stay, move along,
or, where neither can be, are left broken. What was asked for keeps the version of the first answer. The set at which
nobody has anything to say is complete; the caller tries it as the file would.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import NormalizedName, canonicalize_name

from kpack.resolve import consistency
from kpack.resolve.amendment import Amendment
from kpack.resolve.ask import Freedom
from kpack.resolve.wire import Failure

if TYPE_CHECKING:
    from packaging.version import Version

    from kpack.environment import Environment
    from kpack.resolve.model import TargetResolution
    from kpack.resolve.trial import Trials
    from kpack.target import Target

STEPS = 10
"""Questions that are asked at most."""

MOVED = 12
"""Base distributions that may move along at a time; where it is more, each would drag others after it: they break."""


@dataclass
class Exploration:
    """The search for one target."""

    trials: Trials
    environment: Environment
    target: Target
    sources: set[NormalizedName] = field(default_factory=set)
    counted: set[NormalizedName] = field(default_factory=set)
    broken: set[NormalizedName] = field(default_factory=set)
    taken: dict[NormalizedName, str] = field(default_factory=dict)
    """The versions that requests by name have in the set that was found, where they are packed."""

    def __post_init__(self) -> None:
        self.counted.update(self.environment.replace)
        self.movable = movable(self.environment, self.target)

    def edit(self) -> Amendment | Failure:
        """Return a complete set, or what stands against every one."""
        asked, found, recent = self.environment, None, set[NormalizedName]()
        for _ in range(STEPS):
            if found is not None and self.trials.over:
                break
            outcome = self._explored(asked)
            if isinstance(outcome, Failure):
                sdists = {canonicalize_name(each.name) for each in outcome.obstacles if each.sdist} - self._sources()
                if not sdists and found is None:
                    # The newest versions cannot be had in any way; older ones may be stopped by sdists alone.
                    sdists = set(map(canonicalize_name, outcome.unbuilt)) - self._sources()
                if sdists:
                    self.sources |= sdists
                elif found is not None and recent:
                    # They cannot all go along: those that the resolver gave up at stay, and break.
                    staying = recent & set(map(canonicalize_name, outcome.causes)) or set(recent)
                    recent -= staying
                    self.counted -= staying
                    self.broken |= staying
                else:
                    return outcome
                continue
            hurt = self._hurt(outcome)
            speaking = hurt - self.broken - self.counted - frozenset(self.environment.allow_broken)
            if found is None:
                asked = held(self.environment, outcome)
            found = outcome
            if not speaking or len(speaking) > MOVED or self.trials.over:
                break
            # What counts and is hurt all the same has no version that goes along.
            self.counted |= speaking
            recent = set(speaking)
        assert found is not None
        wishes = [each.requirement for each in asked.packages if each.requirement is not None]
        requested = {canonicalize_name(wish.name) for wish in wishes if wish.url is None}
        self.taken = {pin.name: str(pin.version) for pin in found.packed if pin.name in requested}
        return Amendment(
            replace=frozenset(consistency.replaced(found)) - frozenset(self.environment.replace),
            allow_broken=self._hurt(found) - frozenset(self.environment.allow_broken),
            allow_source=frozenset(self.sources & _built(found)),
        )

    def _explored(self, asked: Environment) -> TargetResolution | Failure:
        freedom = Freedom(opened=self.movable, counted=frozenset(self.counted) & self.movable)
        return self.trials.explored(replace(asked, allow_source=tuple(self._sources())), self.target, freedom)

    def _sources(self) -> set[NormalizedName]:
        return {*self.environment.allow_source, *self.sources}

    def _hurt(self, found: TargetResolution) -> frozenset[NormalizedName]:
        return consistency.broken(self.environment, found, self.trials.requires_of)


def _built(found: TargetResolution) -> set[NormalizedName]:
    return {pin.name for pin in found.packed if pin.source is not None}


def movable(environment: Environment, target: Target) -> frozenset[NormalizedName]:
    """Return the base distributions whose place another version may take."""
    base = target.base
    if base is None:
        return frozenset()
    return frozenset(
        name
        for name in base.distributions
        if consistency.stays(base, name) is None
        and (name not in base.preloaded_by or name in environment.allow_preloaded)
    )


def held(environment: Environment, found: TargetResolution) -> Environment:
    """Return ``environment`` with every request by name held to the version that ``found`` has for it."""
    versions: dict[NormalizedName, Version] = {pin.name: pin.version for pin in found.packed}
    versions |= {use.name: use.version for use in found.from_base}
    return replace(
        environment,
        packages=tuple(
            package
            if package.requirement is None or package.requirement.url is not None
            else replace(package, requirement=_pinned(package.requirement, versions))
            for package in environment.packages
        ),
    )


def _pinned(requirement: Requirement, versions: dict[NormalizedName, Version]) -> Requirement:
    version = versions.get(canonicalize_name(requirement.name))
    if version is None:
        return requirement
    pinned = Requirement(str(requirement))
    pinned.specifier = SpecifierSet(f"=={version}")
    return pinned
