"""Another version whose native code fits: older ones are resolved and read until one does, a few of them."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

from kpack.lint.reading import WheelReading
from kpack.lint.report import report
from kpack.lock.model import LockedPin
from kpack.native import Certainty
from kpack.resolve import bounded

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from packaging.utils import NormalizedName
    from packaging.version import Version

    from kpack.base import BaseImage
    from kpack.environment import Environment
    from kpack.fetch import Fetcher
    from kpack.lock import Lock
    from kpack.native import Misfit
    from kpack.resolve.model import TargetResolution

    Older = Callable[[NormalizedName, str], Sequence[TargetResolution] | None]
    """What every target gets with a name below a version; None when there is nothing."""

TRIES = 5
SECONDS = 40.0
"""No further one is tried after that."""
_READING = 10.0
_UNFIT = (Certainty.SURE, Certainty.LIKELY)


def words(
    stopping: Iterable[Misfit],
    made: Lock,
    environment: Environment,
    bases: Sequence[BaseImage],
    fetcher: Fetcher,
    older: Older,
) -> dict[NormalizedName, str]:
    """Return what to write for packages that cannot work, by name, as far as it was found; all of it was tried."""
    until = time.monotonic() + SECONDS
    found: dict[NormalizedName, str] = {}
    built = {pin.name for target in made.targets for pin in target.packed if pin.source is not None}
    for name in dict.fromkeys(item.package for item in stopping):
        if name in built:
            continue
        search = _Search(name, made, environment, bases, fetcher, older, until)
        if text := search.run():
            found[name] = text
    return found


class _Search:
    """The search for one package."""

    def __init__(
        self,
        name: NormalizedName,
        made: Lock,
        environment: Environment,
        bases: Sequence[BaseImage],
        fetcher: Fetcher,
        older: Older,
        until: float,
    ) -> None:
        self._name = name
        self._made = made
        self._environment = environment
        self._bases = bases
        self._fetcher = fetcher
        self._older = older
        self._until = until

    def run(self) -> str:
        version = max(pin.version for target in self._made.targets for pin in target.packed if pin.name == self._name)
        first = version
        for step in range(TRIES):
            if time.monotonic() > self._until:
                return ""
            below = _below(first, version, step)
            answers = self._older(self._name, below)
            if answers is None and below != str(version.public):
                below = str(version.public)  # the stride was too long
                answers = self._older(self._name, below)
            if answers is None:
                return ""
            versions = {pin.version for found in answers for pin in found.packed if pin.name == self._name}
            if self._fits(answers):
                got = " and ".join(str(item) for item in sorted(versions)) or "what the image has"
                asked = bounded.words(self._environment, self._name, below)
                return f'write "{asked}" in packages, which gives {got}: its native code fits'
            if not versions:
                return ""
            version = max(versions)
        return ""

    def _fits(self, answers: Sequence[TargetResolution]) -> bool:
        """Tell whether all of an answer's native code that was read works, the package's own being among it."""
        by_label = {found.target.label: found for found in answers}
        targets = []
        for target in self._made.targets:
            pins = by_label[target.label].packed
            if any(pin.wheel is None for pin in pins):
                return False  # something would have to be built first
            packed = (
                LockedPin(name=pin.name, version=pin.version, wheel=pin.wheel, needed_by=pin.needed_by)
                for pin in pins
                if pin.wheel is not None
            )
            targets.append(replace(target, packed=tuple(packed)))
        other = replace(self._made, targets=tuple(targets))
        with WheelReading(self._fetcher, seconds=_READING) as reading:
            reading.start(pin.wheel for target in targets for pin in target.packed)
            found = report(other, self._environment, self._bases, reading)
        own = {pin.wheel.filename for target in targets for pin in target.packed if pin.name == self._name}
        misfit = any(item.package == self._name and item.certainty in _UNFIT for item in found.findings)
        return not misfit and not found.stopping and own.isdisjoint(reading.unread)


def _below(first: Version, last: Version, step: int) -> str:
    """Return below what to look after ``step`` tries: the version itself, its minor release, then in longer strides."""
    if not step:
        return str(last.public)
    minor = first.minor - (2**step - 2)
    bound = f"{first.major}.{minor}" if minor > 0 else f"{first.major}"
    return bound if last >= type(last)(bound) else str(last.public)
