"""Requests that got an old version in silence: what really stands in the way of the new one, and what to write."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name
from packaging.version import Version

from kpack.resolve.advice import Advice
from kpack.resolve.amendment import pinned
from kpack.resolve.model import Fallback
from kpack.resolve.older import suspects
from kpack.resolve.trial import Refusal

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from kpack.environment import Environment
    from kpack.resolve.model import TargetResolution
    from kpack.resolve.trial import Trials
    from kpack.target import Target

MOST = 3
"""Requests of one target that are looked into."""


def explained(
    trials: Trials, environment: Environment, targets: Sequence[Target], found: TargetResolution
) -> TargetResolution:
    """Return ``found`` with its fallbacks, and with their reasons among what is held back."""
    fallbacks = tuple(_looked_into(trials.limited(), environment, targets, found))
    if not fallbacks:
        return found
    because = {each.name: each.because for each in fallbacks}
    held = tuple(replace(each, because=because.get(each.name, each.because)) for each in found.held_back)
    return replace(found, fallbacks=fallbacks, held_back=held)


def _looked_into(
    trials: Trials, environment: Environment, targets: Sequence[Target], found: TargetResolution
) -> Iterator[Fallback]:
    for each in suspects(environment, found)[:MOST]:
        name = canonicalize_name(each.name)
        asked = pinned(environment, name, each.candidate)
        outcome = trials.outcome(asked, found.target)
        if not isinstance(outcome, Refusal):
            continue  # nothing stands in its way but the old lock, or what else was asked for
        because = outcome.sentence(found.target.label, f"{name}=={each.candidate}")
        words = Advice(trials, asked, targets, found.target).words(outcome, because)
        yield Fallback(
            name=name,
            version=Version(each.version),
            newest=Version(each.candidate),
            because=because,
            words=words,
        )
