from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
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

    from kpack.resolve.bounded import Bounds
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
    ("asks", "fitting", "said", "tried"),
    [
        (
            "ext>=1",
            {"1.0", "1.1"},
            'write "ext<1.2,>=1" in packages, which gives 1.1: its native code fits',
            [">1.3", "<1.3", "<1.2"],
        ),
        ("ext>=1", set(), "", [">1.3", "<1.3", "<1.2", "<1.1", "<1", "<1.0", "<1.3", "<1.2", "<1.1", "<1", "<1.0"]),
        (
            "ext[x]<1.2,>=1",
            {"0.1", "1.2"},
            'write "ext[x]<1.3,>1.1" for "ext[x]<1.2,>=1" in packages, which gives 1.2: its native code fits',
            [">1.1", "<1.3,>1.1"],
        ),
        (
            "ext==1.1",
            {"1.0"},
            'write "ext<1.1" for "ext==1.1" in packages, which gives 1.0: its native code fits',
            [">1.1", "<1.3,>1.1", "<1.2,>1.1", "<1.1", "<1.1"],
        ),
        (
            "other",
            {"1.0"},
            'write "ext<1.1" in packages, which gives 1.0: its native code fits',
            [">1.3", "<1.3", "<1.2", "<1.1"],
        ),
    ],
)
def test_newer_versions_and_then_older_ones_are_tried_until_one_fits(
    tmp_path: Path, asks: str, fitting: set[str], said: str, tried: list[str]
) -> None:
    cache = Cache(tmp_path / "cache")
    pins: Mapping[Version, Pin] = {
        Version(version): ext(tmp_path, cache, version, "libcudart.so.12" if version in fitting else "libcudart.so.13")
        for version in ("1.0", "1.1", "1.2", "1.3")
    }
    file, place = environment(asks), target(IMAGE)
    own = Requirement(asks).specifier if asks != "other" else SpecifierSet()
    made = from_resolution(file, resolution((place, [pins[max(own.filter(pins))]])), meaning="0" * 64)
    fetcher = Fetcher(cache)
    with WheelReading(fetcher) as reading:
        stopping = report(made, file, [IMAGE], reading).stopping
    seen = []

    def ask(name: str, bounds: Bounds) -> list[TargetResolution] | None:
        assert name == EXT
        seen.append(str(bounds.specifier))
        held = bounds.specifier if bounds.free else bounds.specifier & own
        known = list(held.filter(pins))
        return [TargetResolution(target=place, packed=(pins[max(known)],), from_base=())] if known else None

    assert words(stopping, made, file, [IMAGE], fetcher, ask) == ({EXT: said} if said else {})
    assert seen == tried
