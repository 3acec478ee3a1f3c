"""Requests that got an old version in silence: what really stands in the way of the new one, and what to write."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name
from packaging.version import Version

from kpack.resolve.advice import Advice
from kpack.resolve.amendment import pinned
from kpack.resolve.explore import held
from kpack.resolve.model import Fallback
from kpack.resolve.offer import Offer, Shopping
from kpack.resolve.older import suspects
from kpack.resolve.trial import Refusal

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from kpack.environment import Environment
    from kpack.resolve.model import TargetResolution
    from kpack.resolve.trial import Trials
    from kpack.resolve.wire import Older
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
        words = _alone(trials, environment, targets, found, each)
        words = words or Advice(trials, asked, targets, found.target).words(outcome, because)
        yield Fallback(
            name=name,
            version=Version(each.version),
            newest=Version(each.candidate),
            because=because,
            words=words,
        )


def _alone(
    trials: Trials, environment: Environment, targets: Sequence[Target], found: TargetResolution, old: Older
) -> str:
    """Return the words that give the new version of one request while the others stay as they are; or nothing."""
    name = canonicalize_name(old.name)
    asked = pinned(held(environment, found), name, old.candidate)
    offer = Shopping(trials, targets, found.target).offer(asked)
    if not isinstance(offer, Offer) or offer.newer or offer.old:
        return ""
    wanted = offer.edit.applied(pinned(environment, name, old.candidate))
    if any(isinstance(trials.outcome(wanted, target), Refusal) for target in targets):
        return ""
    return Advice(trials, environment, targets, found.target).told(offer)
