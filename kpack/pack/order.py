"""The order in which the distributions of a target are installed: where two bring one file, the later one's stays."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from kpack.lock.model import LockedPin, LockedTarget

_VISITS = 5
"""How often pip looks at what stands in a circle, or needs one: the number of all ways grows without bound."""


def installation_order(target: LockedTarget) -> tuple[LockedPin, ...]:
    """Return what a target packs in pip's order: what is needed before who needs it, then names from z to a.

    Among those that need each other, and who needs them, what is further from the requests comes first. What the base
    has counts as needing nothing, for a lock does not know more of it.
    """
    packed: dict[str, LockedPin] = {pin.name: pin for pin in target.packed}
    needs: dict[str, set[str]] = {name: set() for name in packed}
    asked: set[str] = set()
    for name, needed_by in (
        *((pin.name, pin.needed_by) for pin in target.packed),
        *((use.name, use.needed_by) for use in target.leans),
    ):
        needs.setdefault(name, set())
        for need in needed_by:
            if need.by in packed and need.by != name:
                needs[need.by].add(name)
            elif need.by not in packed:
                asked.add(name)
    weights = _weights(needs, asked)
    return tuple(sorted(packed.values(), key=lambda pin: (weights[pin.name], pin.name), reverse=True))


def _weights(needs: Mapping[str, set[str]], asked: set[str]) -> dict[str, int]:
    """Return what pip sorts by: the more, the earlier.

    Round by round what needs nothing any more; of the rest (circles, and who needs them) how far from the requests.
    """
    found: dict[str, int] = {}
    left = {name: set(wanted) for name, wanted in needs.items()}
    while ready := {name for name, wanted in left.items() if not wanted}:
        found.update(dict.fromkeys(ready, len(left)))
        left = {name: wanted - ready for name, wanted in left.items() if name not in ready}
    starts = sorted(asked & left.keys())
    while left.keys() - found.keys():
        found.update(_depths(left, starts))
        starts = sorted(left.keys() - found.keys())[:1]
    return found


def _depths(needs: Mapping[str, set[str]], starts: Iterable[str]) -> dict[str, int]:
    """Return of what ``starts`` lead to, themselves included, how long the longest way is that meets nothing twice."""
    found: dict[str, int] = {}
    visits = Counter[str]()
    way: list[str] = []
    waiting = [iter(starts)]
    while waiting:
        name = next(waiting[-1], None)
        if name is None:
            waiting.pop()
            if way:
                done = way.pop()
                visits[done] += 1
                found[done] = max(found.get(done, 0), len(way) + 1)
        elif name not in way and visits[name] < _VISITS:
            way.append(name)
            waiting.append(iter(sorted(needs[name])))
    return found
