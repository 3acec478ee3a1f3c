"""The names that make every target fit, and what is had with them: the newest that can be, not what is found first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from packaging.utils import NormalizedName, canonicalize_name

from kpack.resolve.amendment import Amendment, listed, pinned
from kpack.resolve.explore import Exploration
from kpack.resolve.older import suspects
from kpack.resolve.trial import JUDGED, Refusal
from kpack.resolve.wire import Failure

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kpack.environment import Environment
    from kpack.resolve.model import TargetResolution
    from kpack.resolve.trial import Trials
    from kpack.resolve.wire import Obstacle
    from kpack.target import Target


@dataclass(frozen=True, slots=True)
class Offer:
    """Words that were tried as kaggle-env.toml would have them, and what each target gets by them."""

    edit: Amendment
    gets: tuple[TargetResolution, ...]
    old: str = ""
    """Which requests get a version much older than there is: ``a 0.1``; empty when none does."""
    missed: str = ""
    """What these could not get: ``a 0.9``."""
    why: str = ""
    """What stands in its way."""
    against: tuple[Obstacle, ...] = ()
    """The same for programs."""
    newer: Amendment | None = None
    """Other words, by which they get the newest ones."""


@dataclass(frozen=True, slots=True)
class Shopping:
    """Looks for offers; ``target`` is the one that was refused."""

    trials: Trials
    targets: Sequence[Target]
    target: Target

    def offer(self, environment: Environment) -> Offer | Failure | str:
        """Return the words that make every target fit, or what stands against all; or a sentence."""
        found = self._first(environment)
        if not isinstance(found, Offer) or self.trials.over:
            return found
        late = {each.name: each for get in found.gets for each in suspects(environment, get)}
        if not late:
            return found
        asked = environment
        for each in late.values():
            asked = pinned(asked, canonicalize_name(each.name), each.candidate)
        pins = {canonicalize_name(each.name): each.candidate for each in late.values()}
        newer = self._first(asked)
        if isinstance(newer, Offer):
            edit = newer.edit
            if not self._fresh(environment, edit):
                edit |= Amendment(packages=frozenset(pins.items()))
            return Offer(found.edit, found.gets, newer=edit)
        why = Refusal(failure=newer).sentence(self.target.label) if isinstance(newer, Failure) else newer
        for name, version in pins.items():
            why = why.removeprefix(f"kaggle-env.toml needs {name}=={version}, but ")
        return Offer(
            found.edit,
            found.gets,
            old=listed(f"{each.name} {each.version}" for each in late.values()),
            missed=listed(f"{each.name} {each.candidate}" for each in late.values()),
            why=why,
            against=newer.obstacles if isinstance(newer, Failure) else (),
        )

    def _first(self, environment: Environment) -> Offer | Failure | str:
        edit, pins = Amendment(), dict[NormalizedName, str]()
        for target in sorted(self.targets, key=lambda each: each is not self.target):
            exploration = Exploration(self.trials, edit.applied(environment), target)
            found = exploration.edit()
            if isinstance(found, Failure):
                return found
            edit |= found
            pins |= exploration.taken
        if not edit:
            return ""
        refused, gets = self._tried(edit.applied(environment))
        if refused is not None and refused.lost:
            # The search for words knew what to begin with, and the one of the file does not: so it is told.
            edit |= Amendment(packages=frozenset(pins.items()))
            refused, gets = self._tried(edit.applied(environment))
        if refused is None:
            return Offer(edit, gets)
        first = refused.sentence(self.target.label)
        return f"no words were found that make it fit {self.target.label}: the best that was tried ends in {first!r}"

    def _fresh(self, environment: Environment, edit: Amendment) -> bool:
        """Tell whether ``edit`` alone, without a pin, gives what is new."""
        refused, gets = self._tried(edit.applied(environment))
        return refused is None and not any(suspects(environment, get) for get in gets)

    def _tried(self, asked: Environment) -> tuple[Refusal | None, tuple[TargetResolution, ...]]:
        gets = []
        for target in self.targets:
            outcome = self.trials.outcome(asked, target, JUDGED)
            if isinstance(outcome, Refusal):
                return outcome, ()
            gets.append(outcome)
        return None, tuple(gets)
