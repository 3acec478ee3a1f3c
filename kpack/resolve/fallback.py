"""Requests that got an old version in silence: what really stands in the way of the new one, and what to write."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name
from packaging.version import Version

from kpack.resolve.advice import Advice
from kpack.resolve.amendment import pinned
from kpack.resolve.model import Fallback
from kpack.resolve.trial import Refusal

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from kpack.environment import Environment
    from kpack.resolve.model import TargetResolution
    from kpack.resolve.trial import Trials
    from kpack.resolve.wire import Older
    from kpack.target import Target

DAYS = 90
"""Between two uploads: what is older by more is no small difference."""

MOST = 3
"""Requests of one target that are looked into."""


def suspects(environment: Environment, found: TargetResolution, older: Sequence[Older]) -> list[Older]:
    """Return those of ``older`` that were asked for by name, are packed, and are of another minor version or old."""
    asked = {canonicalize_name(each.requirement.name) for each in environment.packages if each.requirement}
    packed = {pin.name for pin in found.packed if pin.name in asked}
    return [each for each in older if each.name in packed and each.candidate and _far(each)]


def _far(older: Older) -> bool:
    taken, newest = Version(older.version), Version(older.candidate)
    return taken.release[:2] != newest.release[:2] or (older.days is not None and older.days > DAYS)


def explained(
    trials: Trials,
    environment: Environment,
    targets: Sequence[Target],
    found: TargetResolution,
    older: Sequence[Older],
) -> TargetResolution:
    """Return ``found`` with its fallbacks, and with their reasons among what is held back."""
    fallbacks = tuple(_looked_into(trials.limited(), environment, targets, found, older))
    if not fallbacks:
        return found
    because = {each.name: each.because for each in fallbacks}
    held = tuple(replace(each, because=because.get(each.name, each.because)) for each in found.held_back)
    return replace(found, fallbacks=fallbacks, held_back=held)


def _looked_into(
    trials: Trials,
    environment: Environment,
    targets: Sequence[Target],
    found: TargetResolution,
    older: Sequence[Older],
) -> Iterator[Fallback]:
    for each in suspects(environment, found, older)[:MOST]:
        name = canonicalize_name(each.name)
        asked = pinned(environment, name, each.candidate)
        outcome = trials.outcome(asked, found.target)
        if not isinstance(outcome, Refusal):
            continue  # nothing stands in its way but the old lock, or what else was asked for
        refused = outcome.error(found.target.label)
        first = refused.what.partition("\n")[0]
        words = Advice(trials, asked, targets, found.target).words(outcome)
        yield Fallback(
            name=name,
            version=Version(each.version),
            newest=Version(each.candidate),
            because=_without(first, f"kaggle-env.toml needs {name}=={each.candidate}"),
            words=words,
        )


def _without(sentence: str, pin: str) -> str:
    """Return ``sentence`` without ``pin``, which nobody wrote: the version was only tried."""
    return sentence.removeprefix(f"{pin}, but ").removesuffix(f", but {pin}")
