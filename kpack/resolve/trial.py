"""What targets get for an `Environment`, asked as often as words are tried; each outcome is judged before it counts."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from kpack.errors import NoSolution
from kpack.resolve import consistency
from kpack.resolve.ask import Allowance, question
from kpack.resolve.assemble import assemble
from kpack.resolve.child import error_of
from kpack.resolve.wire import Failure

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from packaging.utils import NormalizedName
    from packaging.version import Version

    from kpack.environment import Environment
    from kpack.errors import KpackError
    from kpack.resolve.ask import Freedom
    from kpack.resolve.child import Workers
    from kpack.resolve.model import Source, TargetResolution
    from kpack.resolve.requires_dist import RequiresDist
    from kpack.resolve.wire import Answer, Question, Unisolated
    from kpack.target import Target

ROUNDS = 600
"""Rounds of the resolver that are granted to words which are tried."""

SECONDS = 30.0
"""Seconds in which words are looked for; what is found by then is told."""

LEAST = 1.0
"""Seconds that a question gets all the same."""

JUDGED = 10.0
"""Seconds that the words which were found get all the same: what a long search ends with is not lost by its length."""


@dataclass(frozen=True, kw_only=True)
class Trials:
    """Asks the workers; what they read for one question is there for the next."""

    workers: Workers
    requires_of: RequiresDist
    pins: Mapping[str, Mapping[NormalizedName, Version]] = field(default_factory=dict)
    """The old lock's versions by target label."""
    sources: Mapping[str, Mapping[NormalizedName, Source]] = field(default_factory=dict)
    """What they were made from, for those that have a source."""
    unisolated: Mapping[str, Unisolated] = field(default_factory=dict)
    """With which interpreter the packages of ``no-build-isolation`` are built, by target label."""
    cache_dir: Path | None = None
    index_url: str | None = None
    until: float = math.inf
    """Moment of `time.monotonic` at which no more words are looked for."""

    @property
    def over(self) -> bool:
        """Whether the time for words is over."""
        return time.monotonic() > self.until

    def limited(self) -> Trials:
        """Return the same with an end: words are looked for from now on."""
        return replace(self, until=time.monotonic() + SECONDS)

    def prolonged(self) -> Trials:
        """Return the same with `JUDGED` seconds left at least: for other roads, when the first one was long."""
        return replace(self, until=max(self.until, time.monotonic() + JUDGED))

    def briefly(self) -> Trials:
        """Return the same with `JUDGED` seconds from now on, no more: for what is told all the same."""
        return replace(self, until=time.monotonic() + JUDGED)

    def first(self, environment: Environment, targets: Sequence[Target]) -> list[TargetResolution | Refusal]:
        """Return what each target gets when old pins are kept where they fit."""
        answers = self.workers.ask([self._question(environment, target) for target in targets])
        return [self._judged(environment, target, answer) for target, answer in zip(targets, answers, strict=True)]

    def outcome(self, environment: Environment, target: Target, least: float = LEAST) -> TargetResolution | Refusal:
        """Return what ``target`` would get for changed words, without the old lock; sources are read and not built.

        ``least`` are the seconds that it gets when the time for words is over.
        """
        (answer,) = self.workers.ask([self._question(environment, target, self._allowance(1, least))])
        return self._judged(environment, target, answer)

    def explored(self, environment: Environment, target: Target, freedom: Freedom) -> TargetResolution | Failure:
        """Return what ``target`` would get with ``freedom``; nothing is judged yet."""
        (answer,) = self.workers.ask([self._question(environment, target, self._allowance(0.5), freedom)])
        return answer if isinstance(answer, Failure) else assemble(environment, target, answer, {})

    def _allowance(self, share: float, least: float = LEAST) -> Allowance:
        """Return what a question gets that may use up ``share`` of the time that is left."""
        left = min(SECONDS, self.until - time.monotonic())
        return Allowance(rounds=ROUNDS, seconds=max(least, left * share))

    def _question(
        self,
        environment: Environment,
        target: Target,
        allowance: Allowance | None = None,
        freedom: Freedom | None = None,
    ) -> Question:
        # Base packages that stay have a say in what takes the place of others. A shipped snapshot has all that an
        # index could say.
        asks = target.base is not None and not target.base.shipped and (environment.replace or freedom)
        needed = target.base.distributions.values() if target.base and asks else ()
        return question(
            environment,
            target,
            pins={} if allowance else self.pins.get(target.label, {}),
            sources=self.sources.get(target.label, {}),
            cache_dir=self.cache_dir,
            index_url=self.index_url,
            requires=self.requires_of.all_of(needed),
            unisolated=self.unisolated.get(target.label),
            freedom=freedom,
            allowance=allowance,
        )

    def _judged(self, environment: Environment, target: Target, answer: Answer | Failure) -> TargetResolution | Refusal:
        if isinstance(answer, Failure):
            return Refusal(failure=answer)
        found = assemble(environment, target, answer, self.sources.get(target.label, {}))
        try:
            return consistency.checked(environment, found, self.requires_of)
        except NoSolution as error:
            return Refusal(judgement=error)


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """Why there is no outcome: the resolver found none, or the last look refused what it found."""

    failure: Failure | None = None
    judgement: NoSolution | None = None

    @property
    def lost(self) -> bool:
        """Whether no answer was found in the time that words are given, which does not mean that there is none."""
        return self.failure is not None and self.failure.because == "too-many-tries"

    def error(self, label: str) -> KpackError:
        """Return it as an error; ``label`` is that of the target."""
        if self.failure is not None:
            return error_of(label, self.failure)
        assert self.judgement is not None
        return self.judgement

    def sentence(self, label: str, pin: str = "") -> str:
        """Return its first line; ``pin`` is a request that nobody wrote: a version was only tried."""
        first = self.error(label).what.partition("\n")[0]
        by = f"kaggle-env.toml needs {pin}"
        return first.removeprefix(f"{by}, but ").removesuffix(f", but {by}") if pin else first
