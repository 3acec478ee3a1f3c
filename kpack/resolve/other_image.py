"""Another shipped image, in which requests have an answer that they do not have here."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from kpack import target as target_module
from kpack.base import load, shipped
from kpack.resolve.explore import movable
from kpack.resolve.offer import Offer, Shopping
from kpack.resolve.older import suspects
from kpack.resolve.trial import Refusal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kpack.base import BaseImage
    from kpack.environment import Environment
    from kpack.resolve.trial import Trials
    from kpack.resolve.wire import Obstacle
    from kpack.target import Target

ANYWHERE = frozenset({"unknown", "damaged", "invalid", "exclude-newer"})
"""Kinds of obstacles that are the same in every image."""

BASES = 2
"""Other images that are asked without a change of words at most."""


@dataclass(frozen=True, slots=True)
class OtherImage:
    """Tries the shipped images of the same accelerator."""

    trials: Trials
    environment: Environment
    target: Target

    def sentence(self, obstacles: Sequence[Obstacle], *, alike: bool) -> str:
        """Return a sentence on an image in which the requests have an answer; ``alike``: also one that is old."""
        here = self.target.base
        if here is None or all(each.kind in ANYWHERE for each in obstacles):
            return ""
        infos = [info for info in shipped() if info.name != here.name and info.accelerator in {here.accelerator, "any"}]
        bases = [load(info.name, Path()) for info in infos]
        needed = [each for each in obstacles if each.kind == "kernel"]
        # One that has what is asked for needs no other words; then one with another Python.
        for base in [base for base in bases if all(_met(each, base) for each in needed)][:BASES]:
            asked, target = self._elsewhere(base)
            outcome = self.trials.outcome(asked, target)
            if not isinstance(outcome, Refusal) and not suspects(asked, outcome):
                return f'write base = "{base.name}": that image (Python {target.python_version}) has an answer as it is'
        second = ""
        for base in sorted(bases, key=lambda base: not all(self._possible(each, base) for each in needed)):
            asked, target = self._elsewhere(base)
            if target.python_version >= self.target.python_version or self.trials.over:
                continue
            offer = Shopping(self.trials, [target], target).offer(asked)
            if not isinstance(offer, Offer):
                continue
            edit = offer.newer or offer.edit
            words = f'write base = "{base.name}" and {edit.words(asked)}: that image (Python {target.python_version})'
            if not offer.old:
                return f"{words} has an answer then" + (", if the build succeeds" if edit.allow_source else "")
            second = second or f"{words} gives {offer.old} and not {offer.missed}"
        return second if alike else ""

    def _possible(self, obstacle: Obstacle, base: BaseImage) -> bool:
        """Tell whether ``base`` meets what stood in the way, or could with another version."""
        asked, target = self._elsewhere(base)
        return _met(obstacle, base) or canonicalize_name(obstacle.name) in movable(asked, target)

    def _elsewhere(self, base: BaseImage) -> tuple[Environment, Target]:
        asked = replace(self.environment, bases=(base.name,), replace=(), allow_broken=(), allow_preloaded=())
        return asked, target_module.targets(asked, [base])[0]


def _met(obstacle: Obstacle, base: BaseImage) -> bool:
    item = base.distributions.get(canonicalize_name(obstacle.name))
    try:
        wanted = Requirement(obstacle.requirement).specifier
    except InvalidRequirement:
        return True
    return item is None or wanted.contains(item.version, prereleases=True)
