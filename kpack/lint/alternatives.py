"""Another version whose native code fits: newer ones, then older ones are resolved and read until one does, a few.

Before them, of a package that names its CUDA, the one that its project has for the CUDA of the image; and of a version
that names what it was built for (``2.8.3+cu12torch2.8``) its other builds.
"""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, NamedTuple

from packaging.utils import canonicalize_name

from kpack import source
from kpack.lint.reading import WheelReading
from kpack.lint.report import report
from kpack.lock.model import LockedPin
from kpack.native import Certainty
from kpack.pack import native
from kpack.pack.layout import target_of
from kpack.resolve import bounded
from kpack.resolve.model import Resolution

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from packaging.utils import NormalizedName
    from packaging.version import Version

    from kpack.base import BaseImage
    from kpack.environment import Environment
    from kpack.fetch import Fetcher
    from kpack.lock import Lock
    from kpack.native import Misfit, NativeReport
    from kpack.resolve.bounded import Bounds
    from kpack.resolve.model import TargetResolution

    Ask = Callable[[NormalizedName, Bounds], Sequence[TargetResolution] | None]
    """What every target gets with a name within bounds; None when there is nothing."""

TRIES = 5
"""Older versions that are tried."""
NEWER = 3
"""Newer ones."""
BUILDS = 30
"""Other builds of the same version, which differ in its local part; most are passed over by their names."""
SECONDS = 40.0
"""No further one is tried after that."""
SECONDS_OF_NOTES = 15.0
"""The same where nothing is stopped."""
_READING = 10.0
_UNFIT = (Certainty.SURE, Certainty.LIKELY)


def words(
    findings: Iterable[Misfit],
    made: Lock,
    environment: Environment,
    bases: Sequence[BaseImage],
    fetcher: Fetcher,
    ask: Ask,
    *,
    seconds: float = SECONDS,
) -> dict[NormalizedName, str]:
    """Return what to write for packages with ``findings``, by name, as far as it was found; all of it was tried.

    What fits has none of the kinds of findings that its package had, and nothing beside it stops.
    """
    until = time.monotonic() + seconds
    found: dict[NormalizedName, str] = {}
    one_of_its_kind = {pin.name for target in made.targets for pin in target.packed if _no_choice(environment, pin)}
    for name, items in _by_package(findings).items():
        if name in one_of_its_kind:
            continue
        search = _Search(name, items, made, environment, bases, fetcher, ask, until)
        if text := search.run():
            found[name] = text
    return found


def _no_choice(environment: Environment, pin: LockedPin) -> bool:
    """Tell whether there is no other version of a pin: it is built, or the file names its URL or path."""
    if pin.source is not None and pin.source.kind != "wheel":
        return True
    for package in environment.packages:
        if package.path is not None:
            if pin.source is not None and PurePosixPath(package.path) == PurePosixPath(pin.source.url):
                return True
        elif (asked := package.requirement) is not None and asked.url and canonicalize_name(asked.name) == pin.name:
            return True
    return False


def _by_package(findings: Iterable[Misfit]) -> dict[NormalizedName, list[Misfit]]:
    found: dict[NormalizedName, list[Misfit]] = {}
    for item in findings:
        found.setdefault(item.package, []).append(item)
    return found


class _Tried(NamedTuple):
    """What came of one try."""

    words: str
    """What to write; empty when it does not fit either."""
    version: Version | None
    """The highest that is packed; None when the image's own is taken."""


class _Search:
    """The search for one package."""

    def __init__(
        self,
        name: NormalizedName,
        findings: Sequence[Misfit],
        made: Lock,
        environment: Environment,
        bases: Sequence[BaseImage],
        fetcher: Fetcher,
        ask: Ask,
        until: float,
    ) -> None:
        self._name = name
        self._sibling = next((item.sibling for item in findings if item.sibling), "")
        self._other = any(item.other for item in findings)
        self._made = made
        self._environment = environment
        self._bases = bases
        self._fetcher = fetcher
        self._ask = ask
        self._until = until

    def run(self) -> str:
        version = max(pin.version for target in self._made.targets for pin in target.packed if pin.name == self._name)
        found = self._named() or self._builds(version) or self._newer(version) or self._older(version, free=False)
        if not found and bounded.asked_for(self._environment, self._name):
            found = self._older(version, free=True)
        return found

    def _named(self) -> str:
        """Try the distribution that its project has for the image's CUDA, if its name is like this one's."""
        if not self._sibling or not bounded.requested(self._environment, self._name):
            return ""
        found = self._try(bounded.Bounds(free=True, name=self._sibling))
        return found.words if found else ""

    def _builds(self, first: Version) -> str:
        """Try the other builds of the same version, one after the other as an index would give them."""
        found: _Tried | None = _Tried("", first)
        without: list[str] = []
        while found is not None and found.version is not None and found.version.local and len(without) < BUILDS:
            without.append(str(found.version))
            found = self._try(bounded.Bounds(at=str(first.public), without=tuple(without), free=True))
            if found is not None and found.words:
                exact = self._try(bounded.Bounds(at=str(found.version), free=True))
                return exact.words if exact else ""
        return ""

    def _newer(self, first: Version) -> str:
        """Try the newest version, then those below it: a request of the file, or a pin, kept them out."""
        bounds = bounded.Bounds(above=str(first.public), free=True)
        for _ in range(NEWER):
            found = self._try(bounds)
            if found is None or found.words or found.version is None:
                return found.words if found else ""
            bounds = bounds._replace(below=str(found.version.public))
        return ""

    def _older(self, first: Version, *, free: bool) -> str:
        version = first
        for step in range(TRIES):
            below = _below(first, version, step)
            found = self._try(bounded.Bounds(below=below, free=free))
            if found is None and below != str(version.public):
                found = self._try(bounded.Bounds(below=str(version.public), free=free))  # the stride was too long
            if found is None or found.words or found.version is None:
                return found.words if found else ""
            version = found.version
        return ""

    def _try(self, bounds: Bounds) -> _Tried | None:
        """Return what the targets get within bounds; None for nothing, and when the time is over."""
        answers = None if time.monotonic() > self._until else self._ask(self._name, bounds)
        if answers is None:
            return None
        name = canonicalize_name(bounds.name or self._name)
        versions = {pin.version for found in answers for pin in found.packed if pin.name == name}
        text = ""
        if self._fits(answers, name):
            got = " and ".join(str(item) for item in sorted(versions)) or "what the image has"
            asked = bounded.words(self._environment, self._name, bounds)
            text = f"write {asked} in packages, which gives {got}: its native code fits"
        return _Tried(text, max(versions, default=None))

    def _fits(self, answers: Sequence[TargetResolution], name: NormalizedName) -> bool:
        """Tell whether all of an answer's native code that was read works, that of ``name`` being among it."""
        by_label = {found.target.label: found for found in answers}
        targets = []
        for target in self._made.targets:
            pins = by_label[target.label].packed
            if any(pin.source is not None and pin.source.kind != "wheel" for pin in pins):
                return False  # something would have to be built first
            if any(pin.source is not None for pin in pins):
                given = source.fill(self._environment, Resolution(targets=(by_label[target.label],)), self._fetcher)
                pins = given.targets[0].packed
            packed = (
                LockedPin(name=pin.name, version=pin.version, wheel=pin.wheel, needed_by=pin.needed_by)
                for pin in pins
                if pin.wheel is not None
            )
            targets.append(replace(target, packed=tuple(packed)))
        other = replace(self._made, targets=tuple(targets))
        images = {base.name: base for base in self._bases}
        by_name = native.report(
            map(target_of, targets), {}, images, self._environment.allow_native, self._environment.accelerator
        )
        if self._unfit(by_name, name):
            return False  # no need to read anything
        with WheelReading(self._fetcher, seconds=_READING) as reading:
            reading.start(pin.wheel for target in targets for pin in target.packed)
            found = report(other, self._environment, self._bases, reading)
        own = {pin.wheel.filename for target in targets for pin in target.packed if pin.name == name}
        return (
            not self._unfit(found, name) and not found.stopping and own.isdisjoint({*reading.untold, *reading.refused})
        )

    def _unfit(self, found: NativeReport, name: NormalizedName) -> bool:
        """Tell whether one of the kinds of findings that the package had is told of ``name``, too."""
        kinds = (item for item in found.findings if item.package == name)
        return any(item.certainty in _UNFIT or (item.other and self._other) for item in kinds)


def _below(first: Version, last: Version, step: int) -> str:
    """Return below what to look after ``step`` tries: the version itself, its minor release, then in longer strides."""
    if not step:
        return str(last.public)
    minor = first.minor - (2**step - 2)
    bound = f"{first.major}.{minor}" if minor > 0 else f"{first.major}"
    return bound if last >= type(last)(bound) else str(last.public)
