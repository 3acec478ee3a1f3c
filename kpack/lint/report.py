"""The verdict of a lock on the native code of its wheels: of those in the cache all, of the others what was read."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING

from kpack.errors import IntegrityError
from kpack.pack import native
from kpack.pack.layout import target_of, wheel_files

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from kpack.base import BaseImage
    from kpack.environment import Environment
    from kpack.lint.reading import WheelReading
    from kpack.lock import Lock
    from kpack.native import NativeReport
    from kpack.native.elf import SharedObject
    from kpack.pack.content import WheelFile

_TOLD = 6


def report(made: Lock, environment: Environment, bases: Iterable[BaseImage], reading: WheelReading) -> NativeReport:
    """Judge the native code of every target of ``made``.

    What the gate says of wheels in the cache is remembered, so that a build need not look at them again.
    """

    def objects(wheel: WheelFile) -> tuple[SharedObject, ...] | None:
        try:
            return reading.verdicts(wheel).objects
        except IntegrityError:
            reading.refused.add(wheel.filename)  # the build says why
            return None

    reading.wait()
    there = {wheel.sha256: reading.cache.find(wheel.sha256, wheel.size) for wheel in made.wheels()}
    wheels = wheel_files(made, {digest: path for digest, path in there.items() if path is not None})
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        read = dict(zip((wheel.filename for wheel in wheels), pool.map(objects, wheels), strict=True))
    found = native.report(
        [target_of(target) for target in made.targets],
        {**reading.found, **{name: item for name, item in read.items() if item is not None}},
        {base.name: base for base in bases},
        environment.allow_native,
        environment.accelerator,
    )
    untold = {name: why for name, why in reading.untold.items() if name not in read}
    return replace(found, unknown=(*found.unknown, _untold(untold))) if untold else found


def _untold(reasons: Mapping[str, str]) -> str:
    """Return the one sentence on wheels of which nothing is known yet; ``reasons`` are by file name."""
    told = [f"{name.partition('-')[0]} ({why})" for name, why in sorted(reasons.items())]
    more = f" and {len(told) - _TOLD} more" if len(told) > _TOLD else ""
    return f"native code that kpack build will look at: {', '.join(told[:_TOLD])}{more}"
