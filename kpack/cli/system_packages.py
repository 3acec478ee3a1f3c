"""What lock and images say of one system package."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, NamedTuple

from kpack.cli.session import human_size

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from kpack.base import BaseImage
    from kpack.debian.model import SystemPackage
    from kpack.lock import Lock


class SystemRow(NamedTuple):
    """A system package in one target."""

    target: str
    name: str
    packed: SystemPackage | None
    """None where the pack does not bring it."""
    installed: str | None
    """The image's version; None where it has none, or nobody knows."""
    asked: tuple[str, ...]
    """The words of ``apt`` that ask for it, all of them where it comes with one of them."""
    direct: bool
    """``apt`` names it."""
    chain: tuple[str, ...] = ()
    """From one that ``apt`` names to this one, each depending on the next; empty where the lock does not say."""

    @property
    def sentence(self) -> str:
        """What is told."""
        if self.packed is None:
            return f"{self.name} {self.installed} in {self.target}: a system package of the image"
        item = self.packed
        instead = f", in place of the image's {self.installed}" if self.installed else ""
        asks = ", ".join(self.asked)
        by = f"apt asks for {asks}" if self.direct else f"it is needed by what apt asks for: {asks}"
        size = human_size(item.size)
        there = f"packed ({item.filename}, {size}){instead}"
        lines = [f"{item.name} {item.version} in {self.target}: {there}"]
        lines.append(f"  asked for:  {' → '.join(self.chain) if len(self.chain) > 1 else by}")
        lines += [f"  needed by:  {name}" for name in item.needed_by]
        return "\n".join(lines)

    def to_dict(self) -> dict[str, object]:
        """Return the row of ``--json``."""
        return {
            "target": self.target,
            "name": self.name,
            "version": self.packed.version if self.packed else None,
            "file": self.packed.filename if self.packed else None,
            "size": self.packed.size if self.packed else None,
            "in_image": self.installed,
            "asked_for": list(self.asked),
            "direct": self.direct,
            "chain": list(self.chain),
            "needed_by": list(self.packed.needed_by) if self.packed else [],
        }


def rows(name: str, lock: Lock | None, bases: Sequence[BaseImage]) -> list[SystemRow]:
    """Return a row for each target whose pack or image has a system package of that ``name``."""
    installed = {base.name: base.system.get(name) for base in bases}
    packed: dict[str, SystemPackage | None] = dict.fromkeys(installed)
    apt = lock.requests.names("apt") if lock is not None else ()
    words = {word.partition("=")[0]: word for word in apt}
    chains = {}
    for target in lock.targets if lock is not None else ():
        there = {item.name: item for item in (target.system.packages if target.system else ())}
        if name in there:
            packed[target.label] = there[name]
            chains[target.label] = _chain(name, there, frozenset(words))
    direct = (words[name],) if name in words else ()
    return [
        SystemRow(
            label,
            name,
            item,
            installed.get(label),
            (direct or tuple(apt)) if item else (),
            bool(item and direct),
            chains.get(label, ()),
        )
        for label, item in packed.items()
        if item is not None or installed.get(label)
    ]


def _chain(name: str, packed: Mapping[str, SystemPackage], asked: frozenset[str]) -> tuple[str, ...]:
    """Return the shortest way from a package that is asked for to ``name``; empty for none."""
    ways: deque[tuple[str, ...]] = deque([(name,)])
    seen = {name}
    while ways:
        way = ways.popleft()
        if way[0] in asked:
            return way
        fresh = [item for item in packed[way[0]].needed_by if item in packed and item not in seen]
        seen.update(fresh)
        ways.extend((item, *way) for item in fresh)
    return ()
