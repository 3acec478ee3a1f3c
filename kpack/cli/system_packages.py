"""What lock and images say of one system package."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from kpack.cli.session import human_size

if TYPE_CHECKING:
    from collections.abc import Sequence

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
        return f"{item.name} {item.version} in {self.target}: {there}\n  asked for:  {by}"

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
        }


def rows(name: str, lock: Lock | None, bases: Sequence[BaseImage]) -> list[SystemRow]:
    """Return a row for each target whose pack or image has a system package of that ``name``."""
    installed = {base.name: base.system.get(name) for base in bases}
    packed: dict[str, SystemPackage | None] = dict.fromkeys(installed)
    for target in lock.targets if lock is not None else ():
        for item in target.system.packages if target.system else ():
            if item.name == name:
                packed[target.label] = item
    apt = lock.requests.names("apt") if lock is not None else ()
    direct = tuple(word for word in apt if word.partition("=")[0] == name)
    return [
        SystemRow(
            label, name, item, installed.get(label), (direct or tuple(apt)) if item else (), bool(item and direct)
        )
        for label, item in packed.items()
        if item is not None or installed.get(label)
    ]
