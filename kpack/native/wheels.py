"""The wheels of one target, and which library of theirs answers to a name."""

from __future__ import annotations

import itertools
import posixpath
from collections import defaultdict
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from packaging.utils import NormalizedName
    from packaging.version import Version

    from kpack.native.elf import SharedObject


@dataclass(frozen=True, slots=True)
class NativeWheel:
    """A packed wheel, as far as its native code goes."""

    name: NormalizedName
    version: Version
    """As the file name has it: with the local part that tells what it was built for."""
    objects: tuple[SharedObject, ...] | None
    """None when nobody has read the file yet."""
    several: bool = False
    """Its tags say that it is for several Pythons (``cp310-abi3``, ``py3-none``)."""


@dataclass(frozen=True, slots=True, eq=False)
class Located:
    """A shared object and whose it is; the same as itself only, so that asking is cheap."""

    wheel: NormalizedName
    object: SharedObject


class Shelf:
    """What packed wheels bring, by the names that a loader asks for.

    A loader takes what lies in a file's RUNPATH, and what is loaded already under that name, whoever loaded it: torch,
    and those who do as it does, load their libraries before they import what needs them. So a library counts
    wherever in the pack it lies.
    """

    def __init__(self, wheels: Iterable[NativeWheel]) -> None:
        wheels = tuple(wheels)
        self.blind = any(wheel.objects is None for wheel in wheels)
        """Nobody knows what one of the wheels brings."""
        self._of = {wheel.name: [Located(wheel.name, item) for item in wheel.objects or ()] for wheel in wheels}

    def of(self, wheel: NormalizedName) -> list[Located]:
        """Return what a wheel brings, in the order of its archive."""
        return self._of[wheel]

    @cached_property
    def _named(self) -> dict[str, list[Located]]:
        found: dict[str, list[Located]] = defaultdict(list)
        for item in itertools.chain.from_iterable(self._of.values()):
            if item.object.fault or "/stubs/" in item.object.path:
                continue
            for name in {item.object.soname, posixpath.basename(item.object.path)} - {""}:
                found[name].append(item)
        return found

    def find(self, soname: str, by: Located) -> tuple[Located, ...]:
        """Return what ``by`` may get for ``soname``, its own wheel's alone where that has one."""
        # Of a wheel whose tags name no machine nobody knows it before its files are read.
        found = [item for item in self._named.get(soname, ()) if item.object.machine in {by.object.machine, ""}]
        own = tuple(item for item in found if item.wheel == by.wheel)
        return own or tuple(found)

    def names(self) -> Iterator[str]:
        """Yield every name that something packed answers to."""
        yield from self._named


def outside(item: SharedObject) -> tuple[str, ...]:
    """Return the folders that ``item`` searches and no wheel brings: absolute ones, and those above site-packages."""
    place = posixpath.dirname(item.path)
    found = []
    for folder in item.search:
        plain = folder.replace("${ORIGIN}", "$ORIGIN")
        if plain.startswith("/"):
            found.append(folder)
        elif plain.startswith("$ORIGIN"):
            landed = posixpath.normpath(posixpath.join(place, plain.removeprefix("$ORIGIN").lstrip("/")))
            if landed == ".." or landed.startswith("../"):
                found.append(folder)
    return tuple(found)
