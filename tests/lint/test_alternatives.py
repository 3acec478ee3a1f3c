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

    from kpack.native import NativeReport
    from kpack.resolve.bounded import Bounds
    from kpack.resolve.model import Pin

IMAGE = replace(base({"torch": "2.10.0+cu128"}), system={"libc6": "2.35", "cuda-cudart-12-8": "12.8"})
EXT = canonicalize_name("ext")


def ext(folder: Path, cache: Cache, version: str, needed: str, *, name: str = "ext", file: str = "ext.abi3.so") -> Pin:
    files = {"ext.abi3.so": make_elf(needed=["libc.so.6"]), file: make_elf(needed=[needed])}
    tag = "cp312-cp312-manylinux_2_17_x86_64"
    made = make_wheel(folder, name, version, files=files, tag=tag, purelib=False)
    data = made.read_bytes()
    digest = cache.add(data)
    assert digest == hashlib.sha256(data).hexdigest()
    wheel = Wheel(filename=made.name, sha256=digest, size=len(data), url=f"http://127.0.0.1:9/{made.name}")
    return replace(pin(name, version), wheel=wheel)


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


def verdict_of(tmp_path: Path, asks: str, pins: list[Pin]) -> tuple[NativeReport, list[tuple[str, str]]]:
    """Judge a lock of the first of ``pins``, of which an index would give what is asked for; tell what it was asked."""
    file, place = environment(asks), target(IMAGE)
    made = from_resolution(file, resolution((place, pins[:1])), meaning="0" * 64)
    fetcher = Fetcher(Cache(tmp_path / "cache"))
    seen = []

    def ask(name: str, bounds: Bounds) -> list[TargetResolution] | None:
        seen.append((name, bounds.name or str(bounds.specifier)))
        wanted = bounds.name or name
        known = [one for one in pins if one.name == wanted and bounds.specifier.contains(one.version)]
        return [TargetResolution(target=place, packed=(known[0],), from_base=())] if known else None

    with WheelReading(fetcher) as reading:
        found = report(made, file, [IMAGE], reading)
    assert not found.stopping
    return found.advised(words(found.mismatched, made, file, [IMAGE], fetcher, ask)), seen


def test_a_plug_in_for_another_cuda_stops_nothing_and_names_the_version_that_fits(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "cache")
    built = (("1.2", "libcudart.so.13"), ("1.1", "libcudart.so.13"), ("1.0", "libcudart.so.12"))
    pins = [ext(tmp_path, cache, version, needed, file="ext/provider.so") for version, needed in built]
    found, seen = verdict_of(tmp_path, "ext", pins)
    (note,) = found.notes
    assert note.endswith('→ write "ext<1.1" in packages, which gives 1.0: its native code fits')
    assert seen == [(EXT, ">1.2"), (EXT, "<1.2"), (EXT, "<1.1")]


def test_a_plug_in_that_wants_a_library_of_which_there_is_no_version_is_only_told(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "cache")
    found, seen = verdict_of(tmp_path, "ext", [ext(tmp_path, cache, "1.0", "libGL.so.1", file="ext/provider.so")])
    assert len(found.notes) == 1
    assert not seen


@pytest.mark.parametrize("there", [True, False])
def test_a_name_with_another_cuda_is_tried_with_that_of_the_image(tmp_path: Path, *, there: bool) -> None:
    cache = Cache(tmp_path / "cache")
    pins = [ext(tmp_path, cache, "2.0", "libc.so.6", name="ext-cuda13x")]
    pins += [ext(tmp_path, cache, "1.9", "libc.so.6", name="ext-cuda12x")] * there
    found, seen = verdict_of(tmp_path, "ext-cuda13x>=1", pins)
    wanted = 'write "ext-cuda12x" for "ext-cuda13x>=1" in packages, which gives 1.9: its native code fits'
    (note,) = found.notes
    assert note.endswith(f"→ {wanted}" if there else "add the package that brings libcudart.so.13")
    assert seen[0] == ("ext-cuda13x", "ext-cuda12x")
    assert (len(seen) == 1) == there


def test_of_a_version_with_builds_that_one_is_named_which_is_for_the_torch_of_the_image(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "cache")
    built = ("2.1+cu13torch2.10", "2.1+cu12torch2.9", "2.1+cu12torch2.10", "2.0")
    pins = [ext(tmp_path, cache, version, "libc.so.6") for version in built]
    found, seen = verdict_of(tmp_path, "ext>2", pins)
    (note,) = found.notes
    wanted = (
        'write "ext==2.1+cu12torch2.10" for "ext>2" in packages, which gives 2.1+cu12torch2.10: its native code fits'
    )
    assert note.endswith(f"→ {wanted}")
    without = [f"!={version}" for version in built[:2]]
    assert [set(asked.split(",")) for _, asked in seen] == [
        {"==2.1", without[0]},
        {"==2.1", *without},
        {"==2.1+cu12torch2.10"},
    ]


def test_a_build_of_which_no_pack_can_be_made_is_not_named(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "cache")
    pins = [ext(tmp_path, cache, "2.1+cu12torch2.9", "libc.so.6")]
    pins.append(ext(tmp_path, cache, "2.1+cu12torch2.10", "libc.so.6", file="../out.abi3.so"))
    found, seen = verdict_of(tmp_path, "ext", pins)
    (note,) = found.notes
    assert note.endswith("→ take the build for torch 2.10 and CUDA 12")
    assert {"==2.1", "!=2.1+cu12torch2.9"} == set(seen[0][1].split(","))
