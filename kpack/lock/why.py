"""Why a distribution is in a lock, from the lock alone."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from packaging.utils import NormalizedName

    from kpack.lock import Lock, LockedPin, LockedTarget
    from kpack.resolve.model import BaseUse, HeldBack, Need

State = Literal["packed", "base", "excluded", "absent"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Without:
    """What a target would lose if a name were excluded."""

    packed: tuple[LockedPin, ...]
    """Distributions that only it needs, itself first."""
    leans: tuple[BaseUse, ...]
    """What of the base nothing packed would lean on any more."""

    @property
    def size(self) -> int:
        """Bytes of wheels that the pack would be smaller by, as far as sizes are known."""
        return sum(pin.wheel.size or 0 for pin in self.packed)


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """Why a name is there, or is not, for one target."""

    target: LockedTarget
    state: State
    pin: LockedPin | None = None
    use: BaseUse | None = None
    held_back: HeldBack | None = None
    needed_by: tuple[Need, ...] = ()
    chain: tuple[str, ...] = ()
    """The shortest way from a request of kaggle-env.toml: requirements, the last one is on the name itself."""
    without: Without | None = None


def why(lock: Lock, name: NormalizedName) -> tuple[Explanation, ...]:
    """Return the answer for every target of ``lock``."""
    return tuple(_answer(target, name) for target in lock.targets)


def names(lock: Lock) -> set[str]:
    """Return every name that the lock has something to say about."""
    return {
        str(name)
        for target in lock.targets
        for name in (*(pin.name for pin in target.packed), *(use.name for use in target.leans), *target.dropped)
    }


def _answer(target: LockedTarget, name: NormalizedName) -> Explanation:
    nodes = _nodes(target)
    held = next((item for item in target.held_back if item.name == name), None)
    node = nodes.get(name)
    if node is None:
        return Explanation(target=target, state="excluded" if name in target.dropped else "absent", held_back=held)
    pin = next((pin for pin in target.packed if pin.name == name), None)
    use = next((use for use in target.leans if use.name == name), None)
    return Explanation(
        target=target,
        state="packed" if pin else "base",
        pin=pin,
        use=use,
        held_back=held,
        needed_by=node.needed_by,
        chain=_chain(nodes, name),
        without=_without(target, nodes, name) if pin else None,
    )


def _nodes(target: LockedTarget) -> dict[str, LockedPin | BaseUse]:
    return {str(use.name): use for use in target.leans} | {str(pin.name): pin for pin in target.packed}


def _chain(nodes: Mapping[str, LockedPin | BaseUse], name: str) -> tuple[str, ...]:
    """Walk from ``name`` up to the nearest request, breadth first."""
    waiting: deque[tuple[str, tuple[str, ...]]] = deque([(name, ())])
    seen = {name}
    while waiting:
        current, below = waiting.popleft()
        for need in nodes[current].needed_by:
            if not need.by:
                return (need.requirement, *below)
        for need in nodes[current].needed_by:
            if need.by in nodes and need.by not in seen:
                seen.add(need.by)
                waiting.append((need.by, (need.requirement, *below)))
    return ()


def _without(target: LockedTarget, nodes: Mapping[str, LockedPin | BaseUse], name: str) -> Without:
    """Return what the requests do not reach any more when they may not pass through ``name``."""
    reached: set[str] = set()
    grew = True
    while grew:
        grew = False
        for other, node in nodes.items():
            if other in reached or other == name:
                continue
            if any(not need.by or need.by in reached for need in node.needed_by):
                reached.add(other)
                grew = True
    lost = [pin for pin in target.packed if pin.name not in reached]
    return Without(
        packed=tuple(sorted(lost, key=lambda pin: (pin.name != name, pin.name))),
        leans=tuple(use for use in target.leans if use.name not in reached),
    )
