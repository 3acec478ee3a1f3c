"""Verdicts on wheels, remembered by digest: the same bytes need not be judged twice by the same judge."""

from __future__ import annotations

import bisect
import contextlib
import hashlib
import itertools
import json
import os
import threading
from dataclasses import fields
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from packaging.version import Version

import kpack
from kpack.errors import IntegrityError
from kpack.files import keep, recalled
from kpack.native.elf import SharedObject
from kpack.pack.wheel import Admitted, admit

if TYPE_CHECKING:
    from collections.abc import Callable

    from kpack.pack.content import WheelFile

_KEPT = ("name", "version", "size", "cuts", "unpacked", "files", "notes", "objects", "requires_dist", "requires_python")
"""What is kept of a verdict; a wheel with something that was let in by name has none."""
_OF_OBJECT = tuple(field.name for field in fields(SharedObject))
_LARGE = 1 << 24
"""Bytes; larger than any block that a build takes and gives back again and again."""


@cache
def judge_digest() -> str:
    """Return a digest over kpack's own code, so that a changed judge forgets what it said before.

    All of the package counts: which modules the gate runs need not be found out, and nothing can be forgotten.
    """
    package = Path(kpack.__file__).parent
    digest = hashlib.sha256()
    for path in sorted(package.rglob("*.py")):
        digest.update(path.relative_to(package).as_posix().encode() + b"\0")
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:16]


class Verdicts:
    """What `admit` said about wheels, kept in ``folder`` under their digests.

    A verdict speaks for bytes of that SHA-256 only; the pack writer hashes what it copies, so a file that changed
    since is still found out. A wheel with something that was let in by name is judged anew each time.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._said: dict[tuple[str, str], Admitted] = {}
        """By file name and digest: what this process was told or found out."""

    def __call__(self, wheel: WheelFile) -> Admitted:
        """Return the verdict on ``wheel``.

        Raises:
            IntegrityError: it may not enter a pack.

        """
        known = self.known(wheel.filename, wheel.sha256)
        if known is not None:
            return known
        verdict = admit(wheel.path, wheel.filename, wheel.lax)
        if not verdict.lax and not verdict.odd:
            self._said[wheel.filename, wheel.sha256] = verdict
            keep(self._place(wheel.filename, wheel.sha256), _text(verdict))
        return verdict

    def known(self, filename: str, sha256: str) -> Admitted | None:
        """Return what is remembered of a wheel, without looking at it; None for nothing."""
        said = self._said.get((filename, sha256)) or _read(self._place(filename, sha256))
        if said is not None:
            self._said[filename, sha256] = said
        return said

    def notes(self, key: str, plan: Callable[[], tuple[str, ...]]) -> tuple[str, ...]:
        """Return what ``plan`` says of what ``key`` stands for; it is not asked twice, unless it finds an error."""
        place = self.folder / judge_digest() / f"plan-{key}"
        try:
            return tuple(map(str, recalled(place)))
        except (ValueError, TypeError):  # none, or not one that can be read
            said = plan()
        keep(place, json.dumps(said))
        return said

    def _place(self, filename: str, sha256: str) -> Path:
        return self.folder / judge_digest() / f"{sha256}-{hashlib.sha256(filename.encode()).hexdigest()[:16]}"


class Judges:
    """Threads that judge wheels while others are still on their way, from both ends of what is there.

    One takes the largest, the next the smallest, so that one inflates, without the lock of the interpreter, while
    another goes through many small files.

    A context: leaving it waits for them, or, with an exception, leaves the rest unjudged. A wheel that may not enter
    a pack is no error here: the pack writer asks again, and then it is one.
    """

    def __init__(self, verdicts: Verdicts) -> None:
        self._verdicts = verdicts
        self._waiting: list[tuple[int, int, WheelFile]] = []
        """Sorted by size, and then as they came."""
        self._order = itertools.count()
        self._changed = threading.Condition()
        self._over = False
        self._error: BaseException | None = None
        # More of them than processors would only wait for each other.
        self._threads = [
            threading.Thread(target=self._work, args=(-(number % 2),), daemon=True)
            for number in range(1, (os.cpu_count() or 1) + 1)
        ]

    def add(self, wheel: WheelFile, size: int) -> None:
        """Let a wheel of ``size`` bytes be judged."""
        with self._changed:
            bisect.insort(self._waiting, (size, next(self._order), wheel))
            self._changed.notify()

    def __enter__(self) -> Self:
        # glibc keeps what is given back, up to the size of the largest block that it has ever unmapped. Without one it
        # asks the system for the pages of each piece anew: a twentieth of the processor time of a build.
        bytes(_LARGE)
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        with self._changed:
            self._over = True
            if kind is not None:
                self._waiting.clear()
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()
        if kind is None and self._error is not None:
            raise self._error

    def _next(self, end: int) -> WheelFile | None:
        """Return the wheel at an end of what waits, 0 or -1, when there is one; None once there will be no more."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._over)
            return self._waiting.pop(end)[2] if self._waiting else None

    def _work(self, end: int) -> None:
        try:
            while (wheel := self._next(end)) is not None:
                with contextlib.suppress(IntegrityError):
                    self._verdicts(wheel)
        except BaseException as error:  # noqa: BLE001 - raised where the judges are left
            self._error = error


def _text(verdict: Admitted) -> str:
    return json.dumps({name: getattr(verdict, name) for name in _KEPT}, default=plain)


def plain(value: object) -> object:
    """Return what JSON has for a shared object, which `object_of` reads, or for another value."""
    return {name: getattr(value, name) for name in _OF_OBJECT} if isinstance(value, SharedObject) else str(value)


def object_of(raw: Any) -> SharedObject:
    """Return the shared object that was kept as JSON; raises KeyError, TypeError or ValueError for what is none."""
    if not isinstance(raw, dict):
        raise TypeError("not an object")
    lists = {key: tuple(value) for key, value in raw.items() if isinstance(value, list)}
    return SharedObject(**raw | lists | {"versions": tuple((library, version) for library, version in raw["versions"])})


def _read(place: Path) -> Admitted | None:
    """Return a kept verdict, or None when there is none that can be read."""
    try:
        raw = recalled(place)
        return Admitted(
            name=raw["name"],
            version=Version(raw["version"]),
            size=raw["size"],
            cuts=tuple(raw["cuts"]),
            unpacked=raw["unpacked"],
            files=raw["files"],
            notes=tuple(raw["notes"]),
            objects=tuple(object_of(item) for item in raw["objects"]),
            requires_dist=tuple(raw["requires_dist"]),
            requires_python=raw["requires_python"],
        )
    except (ValueError, KeyError, TypeError):
        return None
