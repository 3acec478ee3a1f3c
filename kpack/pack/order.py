"""The order in which the distributions of a target are installed: where two bring one file, the later one's stays."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from kpack.lock.model import LockedPin, LockedTarget


def installation_order(target: LockedTarget) -> tuple[LockedPin, ...]:
    """Return what a target packs in pip's order: what is needed before who needs it, then names from z to a.

    Among those that need each other, names alone decide. What the base has counts as needing nothing, for a lock
    does not know more of it.
    """
    packed: dict[str, LockedPin] = {pin.name: pin for pin in target.packed}
    needs: dict[str, set[str]] = {name: set() for name in packed}
    for name, asked in (
        *((pin.name, pin.needed_by) for pin in target.packed),
        *((use.name, use.needed_by) for use in target.leans),
    ):
        for need in asked:
            if need.by in needs and need.by != name:
                needs[need.by].add(name)
    order: list[str] = []
    for round_ in _rounds(needs):
        order += sorted((name for name in round_ if name in packed), reverse=True)
    return tuple(packed[name] for name in order)


def _rounds(needs: Mapping[str, set[str]]) -> Iterable[set[str]]:
    """Yield the names round by round: those that need nothing any more, or only each other."""
    left = {name: set(wanted) for name, wanted in needs.items()}
    for wanted in needs.values():
        for name in wanted:
            left.setdefault(name, set())
    while left:
        ready = {name for name, wanted in left.items() if not wanted}
        if not ready:
            reached = {name: _reached(name, left) for name in left}
            ready = {name for name in left if all(name in reached[other] for other in reached[name])}
        yield ready
        left = {name: wanted - ready for name, wanted in left.items() if name not in ready}


def _reached(name: str, needs: Mapping[str, set[str]]) -> set[str]:
    """Return everything that a name needs, over others too."""
    found: set[str] = set()
    waiting = [name]
    while waiting:
        for other in needs[waiting.pop()]:
            if other not in found:
                found.add(other)
                waiting.append(other)
    return found
