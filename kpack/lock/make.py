"""From a resolution to a lock."""

from __future__ import annotations

import re
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING

from packaging.version import Version

from kpack import urls
from kpack.errors import IntegrityError, NoSolution
from kpack.files import is_sha256
from kpack.lock.model import Lock, LockedPin, LockedTarget
from kpack.lock.requests import requests_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from kpack.checkpoints import LockedCheckpoint
    from kpack.debian import LockedSystem
    from kpack.environment.model import Environment
    from kpack.resolve.model import Pin, Resolution, Source, TargetResolution, Wheel

UNKNOWN_VERSION = Version("0+unknown")
"""What a distribution replaces that the image has in a version which its list does not know."""

WHEEL_NAME = re.compile(r"[A-Za-z0-9_.+!]+(-[A-Za-z0-9_.+!]+){4,5}\.whl")
"""A wheel's file name as the binary distribution format spells it; nothing that a path could be made of."""


def from_resolution(
    environment: Environment,
    resolution: Resolution,
    *,
    meaning: str,
    checkpoints: Sequence[LockedCheckpoint] = (),
    system: Mapping[str, LockedSystem] = MappingProxyType({}),
) -> Lock:
    """Return the lock of ``resolution``.

    ``meaning`` is the digest of `kpack.environment.digest`, ``system`` has system packages by the target's label.

    Raises:
        NoSolution: two bases that no marker tells apart need different packages.
        IntegrityError: a file without a sha256, or two files of one name.

    """
    _check_twins(resolution)
    lock = Lock(
        name=environment.name,
        meaning=meaning,
        requests=requests_of(environment),
        targets=tuple(_target(environment, found, system) for found in resolution.targets),
        restore=environment.restore,
        checkpoints=tuple(
            replace(c, urls=tuple(urls.stable(url, fragment=True) for url in c.urls), note=None)
            for c in sorted(checkpoints, key=lambda c: c.path)
        ),
        notes=resolution.notes,
    )
    check_files(lock)
    return lock


def _clean(wheel: Wheel) -> Wheel:
    if wheel.url is None:
        return wheel
    url = urls.stable(wheel.url)
    return replace(wheel, url=url, index=None if wheel.index is None else urls.stable(wheel.index))


def _clean_source(source: Source | None) -> Source | None:
    if source is None:
        return None
    return replace(
        source,
        url=urls.stable(source.url, fragment=True),
        build_requires=tuple(sorted(map(_clean, source.build_requires), key=lambda wheel: wheel.filename)),
    )


def _target(environment: Environment, found: TargetResolution, system: Mapping[str, LockedSystem]) -> LockedTarget:
    target = found.target
    # In the image in a version that nobody knows, and opened: whatever is there gives way.
    blind = frozenset(target.base.unknown if target.base else ()) & frozenset(environment.replace)
    return LockedTarget(
        base=target.base.name if target.base else None,
        fingerprint=target.base.fingerprint if target.base else None,
        python=target.python_version,
        python_full_version=target.python_full_version,
        machine=target.machine,
        glibc=target.glibc,
        packed=tuple(
            _pin(replace(pin, replaces=UNKNOWN_VERSION) if pin.name in blind else pin)
            for pin in sorted(found.packed, key=lambda pin: pin.name)
        ),
        leans=tuple(
            replace(use, needed_by=tuple(sorted(use.needed_by, key=lambda need: (need.by, need.requirement))))
            for use in sorted(found.from_base, key=lambda use: use.name)
        ),
        held_back=tuple(sorted(found.held_back, key=lambda held: held.name)),
        dropped=tuple(sorted(found.dropped)),
        notes=found.notes,
        preloaded=target.base.preloaded if target.base else (),
        accelerator=None if found.accelerator is None else _clean(found.accelerator),
        system=system.get(target.label),
    )


def _pin(pin: Pin) -> LockedPin:
    if pin.wheel is None:
        raise ValueError(f"{pin.name} {pin.version} is to be built before it can be locked")
    return LockedPin(
        name=pin.name,
        version=pin.version,
        wheel=_clean(pin.wheel),
        needed_by=tuple(sorted(pin.needed_by, key=lambda need: (need.by, need.requirement))),
        extras=tuple(sorted(pin.extras)),
        source=_clean_source(pin.source),
        replaces=pin.replaces,
    )


def check_files(lock: Lock, where: str = "") -> None:
    """Check that every file of ``lock`` is pinned by a sha256 and that no two files bear one name.

    ``where`` is the lock's file name for messages.

    Raises:
        IntegrityError: names the file.

    """
    at = f"{where}: " if where else ""
    digests: dict[str, str] = {}
    built: dict[str, bool] = {}
    for target in lock.targets:
        wheels = [pin.wheel for pin in target.packed]
        wheels += [wheel for pin in target.packed if pin.source for wheel in pin.source.build_requires]
        wheels += [target.accelerator] if target.accelerator else []
        for wheel in wheels:
            if WHEEL_NAME.fullmatch(wheel.filename) is None:
                raise IntegrityError(f"not the file name of a wheel: {wheel.filename!r:.120}", where=where)
            if not is_sha256(wheel.sha256):
                raise IntegrityError(
                    f"sha256 must be 64 lower-case hexadecimal digits, not {wheel.sha256!r:.80}",
                    where=f"{at}{wheel.filename}",
                    next="kpack locks sha256 only; ask the index's owner to serve it",
                )
            if digests.setdefault(wheel.filename, wheel.sha256) != wheel.sha256:
                raise IntegrityError(
                    f"two different files bear this name: sha256 {digests[wheel.filename]} and {wheel.sha256}",
                    where=f"{at}{wheel.filename}",
                    next="lock the targets in two files, or take the package from one index",
                )
        for item in target.system.packages if target.system else ():
            if problem := item.problem():
                raise IntegrityError(problem, where=f"{at}{target.label}")
            if not is_sha256(item.sha256) or digests.setdefault(item.filename, item.sha256) != item.sha256:
                raise IntegrityError("one name, two files, or a digest that is none", where=f"{at}{item.filename}")
        for pin in target.packed:
            if built.setdefault(pin.wheel.filename, pin.source is not None) != (pin.source is not None):
                raise IntegrityError(
                    "kpack built this wheel for one target, and an index has it for another",
                    where=f"{at}{pin.wheel.filename}",
                    next="lock the targets in two files",
                )


def _check_twins(resolution: Resolution) -> None:
    """Refuse two targets with one marker and different packages: an installer could not tell which to take."""
    first: dict[str, TargetResolution] = {}
    for found in resolution.targets:
        twin = first.setdefault(found.target.marker, found)
        if twin is found:
            continue
        ours, theirs = ({pin.name: pin for pin in side.packed} for side in (twin, found))
        differences = []
        for name in sorted(ours.keys() | theirs.keys()):
            left, right = ours.get(name), theirs.get(name)
            if left is None or right is None:
                there = left or right
                assert there is not None
                differences.append(
                    f"{name} {there.version} is needed for {(twin if left else found).target.label} alone"
                )
            elif left.version != right.version:
                differences.append(f"{name} is {left.version} in one and {right.version} in the other")
            elif left.wheel and right.wheel and left.wheel.sha256 != right.wheel.sha256:
                differences.append(f"{name} {left.version} is {left.wheel.filename} and {right.wheel.filename}")
        if differences:
            raise NoSolution(
                f"{twin.target.label} and {found.target.label} both run Python {found.target.python_version}, so that "
                "no marker tells them apart, and they need different packages: " + "; ".join(differences),
                where="base",
                next="make two files, one for each of these bases, and lock each with `kpack lock --config FILE`",
            )
