from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from packaging.utils import canonicalize_name
from packaging.version import Version

from kpack.cache import Cache
from kpack.fetch import Fetcher
from kpack.lint import WheelReading, report
from kpack.lint.alternatives import words
from kpack.lock import from_resolution
from kpack.resolve.model import TargetResolution, Wheel
from tests.support.elf import make_elf
from tests.support.kernels import base, environment, pin, resolution, target
from tests.support.wheels import make_wheel

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from kpack.resolve.model import Pin

IMAGE = replace(base({}), system={"libc6": "2.35", "cuda-cudart-12-8": "12.8"})
EXT = canonicalize_name("ext")


def ext(folder: Path, cache: Cache, version: str, needed: str) -> Pin:
    tag = "cp312-cp312-manylinux_2_17_x86_64"
    made = make_wheel(folder, "ext", version, files={"ext.abi3.so": make_elf(needed=[needed])}, tag=tag, purelib=False)
    data = made.read_bytes()
    digest = cache.add(data)
    assert digest == hashlib.sha256(data).hexdigest()
    wheel = Wheel(filename=made.name, sha256=digest, size=len(data), url=f"http://127.0.0.1:9/{made.name}")
    return replace(pin("ext", version), wheel=wheel)


@pytest.mark.parametrize(
    ("fitting", "said", "asked"),
    [
        ({"1.0", "1.1"}, 'write "ext<1.2,>=1" in packages, which gives 1.1: its native code fits', ["1.3", "1.2"]),
        ({"0.1"}, "", ["1.3", "1.2", "1.1", "1", "1.0"]),
    ],
)
def test_older_versions_are_tried_until_one_fits(
    tmp_path: Path, fitting: set[str], said: str, asked: list[str]
) -> None:
    cache = Cache(tmp_path / "cache")
    pins: Mapping[Version, Pin] = {
        Version(version): ext(tmp_path, cache, version, "libcudart.so.12" if version in fitting else "libcudart.so.13")
        for version in ("1.0", "1.1", "1.2", "1.3")
    }
    asks, place = environment("ext>=1"), target(IMAGE)
    made = from_resolution(asks, resolution((place, [pins[Version("1.3")]])), meaning="0" * 64)
    fetcher = Fetcher(cache)
    with WheelReading(fetcher) as reading:
        stopping = report(made, asks, [IMAGE], reading).stopping
    bounds = []

    def older(name: str, below: str) -> list[TargetResolution] | None:
        assert name == EXT
        bounds.append(below)
        known = [version for version in pins if version < Version(below)]
        if not known:
            return None
        return [TargetResolution(target=place, packed=(pins[max(known)],), from_base=())]

    assert words(stopping, made, asks, [IMAGE], fetcher, older) == ({EXT: said} if said else {})
    assert bounds[: len(asked)] == asked
