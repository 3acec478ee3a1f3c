from __future__ import annotations

import hashlib
import random
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from kpack.cache import Cache
from kpack.fetch import Fetcher
from kpack.lint import WheelReading, reading
from kpack.lint.reading import PURE, SMALL
from kpack.resolve.model import Wheel
from tests.support.elf import make_elf
from tests.support.origin import Origin
from tests.support.wheels import make_wheel

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import pytest

TAG = "cp312-cp312-manylinux_2_17_x86_64"
MODULE = {"ext/_C.abi3.so": make_elf(needed=["libcudart.so.13"])}
NOISE = {"ext/data.bin": random.Random(1).randbytes(SMALL)}


def wheel(folder: Path, origin: Origin, tag: str = TAG, more: Mapping[str, bytes] = MappingProxyType({})) -> Wheel:
    made = make_wheel(folder, "ext", files={**MODULE, **more}, tag=tag, purelib=False)
    data = made.read_bytes()
    origin.files[f"/{made.name}"] = data
    digest = hashlib.sha256(data).hexdigest()
    return Wheel(filename=made.name, sha256=digest, size=len(data), url=f"{origin.url}/{made.name}")


def large(folder: Path, origin: Origin) -> Wheel:
    return wheel(folder, origin, more=NOISE)


def read(folder: Path, *wheels: Wheel, **more: Any) -> WheelReading:
    with WheelReading(Fetcher(Cache(folder / "cache"), **more)) as reading:
        reading.start(wheels)
        reading.wait()
    return reading


def test_a_small_wheel_comes_whole_into_the_cache_with_its_verdict(tmp_path: Path) -> None:
    with Origin() as origin:
        small = wheel(tmp_path, origin)
        reading = read(tmp_path, small)
        assert reading.cache.find(small.sha256) is not None
        known = reading.verdicts.known(small.filename, small.sha256)
        assert known is not None
        assert known.objects[0].needed == ("libcudart.so.13",)
        assert not reading.unread
        read(tmp_path, small)
    assert len(origin.seen) == 1


def test_of_a_large_wheel_parts_are_read_and_remembered(tmp_path: Path) -> None:
    with Origin() as origin:
        big = large(tmp_path, origin)
        found = read(tmp_path, big).found
        assert found[big.filename][0].needed == ("libcudart.so.13",)
        asked = len(origin.seen)
        assert read(tmp_path, big).found == found
    assert len(origin.seen) == asked
    assert sum(seen.sent for seen in origin.seen) < SMALL // 10


def test_small_wheels_without_native_code_are_not_asked_for(tmp_path: Path) -> None:
    with Origin() as origin:
        read(tmp_path, wheel(tmp_path, origin, tag="py3-none-any"))
    assert not origin.seen


def test_native_code_of_a_wheel_that_is_tagged_to_have_none_is_found(tmp_path: Path) -> None:
    with Origin() as origin:
        odd = wheel(tmp_path, origin, "py3-none-any", NOISE)
        reading = read(tmp_path, odd)
        assert reading.found[odd.filename][0].needed == ("libcudart.so.13",)
        assert sum(seen.sent for seen in origin.seen) < SMALL // 10
        origin.ranges = False
        assert not read(tmp_path / "again", odd).unread  # there should be nothing to read


def test_only_the_largest_wheels_without_native_code_are_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "PURE_ONES", 1)
    with Origin() as origin:
        odd = wheel(tmp_path, origin, "py3-none-any", {"ext/data.bin": random.Random(2).randbytes(PURE)})
        large = wheel(tmp_path, origin, "py2.py3-none-any", NOISE)
        assert set(read(tmp_path, odd, large).found) == {large.filename}


def test_nobody_is_asked_offline(tmp_path: Path) -> None:
    with Origin() as origin:
        small = wheel(tmp_path, origin)
        assert read(tmp_path, small, offline=True).unread == {small.filename: "it is not asked for"}
    assert not origin.seen


def test_a_server_without_ranges_leaves_a_large_wheel_to_the_build(tmp_path: Path) -> None:
    with Origin(ranges=False) as origin:
        big = large(tmp_path, origin)
        reading = read(tmp_path, big)
    assert reading.unread == {big.filename: "the server does not answer to a Range"}
    assert not reading.found


def test_another_file_than_the_locks_is_not_kept(tmp_path: Path) -> None:
    with Origin() as origin:
        other = replace(wheel(tmp_path, origin), sha256="0" * 64)
        reading = read(tmp_path, other)
    assert reading.unread == {other.filename: "its server has another file"}
    assert not reading.cache.size().files


def test_a_slow_server_holds_up_no_lock(tmp_path: Path) -> None:
    with Origin(rate=1000) as origin:
        big = large(tmp_path, origin)
        with WheelReading(Fetcher(Cache(tmp_path / "cache")), seconds=0.2) as reading:
            reading.start([big])
            reading.wait()
        assert big.filename in reading.unread


def test_a_wheel_whose_files_tell_at_their_end_is_told_to_be_left_to_the_build(tmp_path: Path) -> None:
    late = {"ext/_C.abi3.so": make_elf(gap=2 * SMALL, needed=["libcudart.so.13"])[:-1] + NOISE["ext/data.bin"]}
    with Origin() as origin:
        moved = wheel(tmp_path, origin, more=late)
        reading = read(tmp_path, moved)
    assert reading.untold == {moved.filename: "its files tell at their end what they need"}
    assert not reading.unread
