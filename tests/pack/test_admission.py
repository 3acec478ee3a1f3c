"""Verdicts that are remembered, and the threads that reach them."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from kpack.errors import IntegrityError, MachineError
from kpack.files import sha256_of
from kpack.pack import admission
from kpack.pack.admission import Judges, Verdicts
from kpack.pack.content import WheelFile
from tests.support.wheels import make_wheel

if TYPE_CHECKING:
    from pathlib import Path

    from kpack.pack.wheel import Admitted


def wheel_file(path: Path) -> WheelFile:
    return WheelFile(filename=path.name, sha256=sha256_of(path), path=path)


def broken(folder: Path) -> Path:
    return make_wheel(folder, "broken", record=b"broken.py,,\n")


def test_a_verdict_is_reached_once_for_the_same_bytes_and_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wheel = wheel_file(make_wheel(tmp_path, "one"))
    first = Verdicts(tmp_path / "verdicts")(wheel)
    monkeypatch.setattr(admission, "admit", lambda *_, **__: pytest.fail("judged again"))
    assert Verdicts(tmp_path / "verdicts")(wheel) == first


def test_a_refusal_is_not_remembered(tmp_path: Path) -> None:
    wheel = wheel_file(broken(tmp_path))
    verdicts = Verdicts(tmp_path / "verdicts")
    for _ in range(2):
        with pytest.raises(IntegrityError, match="RECORD is wrong"):
            verdicts(wheel)


def test_judges_take_the_largest_that_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begun, go = threading.Event(), threading.Event()
    seen: list[str] = []

    class Slow(Verdicts):
        def __call__(self, wheel: WheelFile) -> Admitted:
            if wheel.filename.startswith("first"):
                begun.set()
                assert go.wait(30)
            else:
                seen.append(wheel.filename[:5])
            return super().__call__(wheel)

    monkeypatch.setattr("os.cpu_count", lambda: 1)
    with Judges(Slow(tmp_path / "verdicts")) as judges:
        judges.add(wheel_file(make_wheel(tmp_path, "first")), 1)
        assert begun.wait(30)
        for name, size in (("small", 1), ("large", 3), ("middl", 2)):
            judges.add(wheel_file(make_wheel(tmp_path, name)), size)
        go.set()
    assert seen == ["large", "middl", "small"]


def test_judges_leave_a_refusal_to_the_writer_but_not_a_broken_cache(tmp_path: Path) -> None:
    good = wheel_file(make_wheel(tmp_path, "good"))
    with Judges(Verdicts(tmp_path / "verdicts")) as judges:
        judges.add(wheel_file(broken(tmp_path)), 1)
        judges.add(good, 1)
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(MachineError, match="cannot write"), Judges(Verdicts(tmp_path / "file")) as judges:
        judges.add(good, 1)


def test_judges_stop_with_the_fetch(tmp_path: Path) -> None:
    wheel = wheel_file(make_wheel(tmp_path, "wheel"))
    seen: list[WheelFile] = []
    go = threading.Event()

    class Slow(Verdicts):
        def __call__(self, wheel: WheelFile) -> Admitted:
            seen.append(wheel)
            assert go.wait(30)
            return super().__call__(wheel)

    def fails() -> None:
        with Judges(Slow(tmp_path / "verdicts")) as judges:
            for _ in range(50):
                judges.add(wheel, 1)
            threading.Timer(0.2, go.set).start()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fails()
    assert len(seen) < 50
