"""Folders in the place for temporary files: what a killed restore left goes with the next one."""

from __future__ import annotations

import fcntl
import os
import sys
import tempfile
from typing import TYPE_CHECKING

from kpack.restore import temporary
from tests.restore import kit
from tests.support.wheels import make_wheel

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

HERE = ["{}.{}".format(*sys.version_info[:2])]


def test_only_what_nobody_holds_is_swept(tmp_path: Path) -> None:
    place = tmp_path / "tmp"
    place.mkdir()
    precious = tmp_path / "precious"
    precious.mkdir()
    for name in ("kpack-restore-killed_0", "kpack-restore-another1", "kpack-restore-being_he", "kpack-rehearse-killed"):
        (place / name).mkdir(0o700)
        (place / name / "restore.zip").touch()
    (place / "kpack-restore-another1" / "restore.zip").rename(place / "kpack-restore-another1" / "some_1.0_all.deb")
    (place / "kpack-restore-alinkto8").symlink_to(precious)
    (place / "kpack-restore-afileof8").touch()
    pack = kit.make_pack(tmp_path / "pack", [make_wheel(tmp_path, "thing")], series=HERE).path
    held = os.open(place / "kpack-restore-being_he", os.O_RDONLY)
    fcntl.flock(held, fcntl.LOCK_EX)
    try:
        kit.good(sys.executable, pack, target=str(tmp_path / "target"), env={"TMPDIR": str(place)})
    finally:
        os.close(held)
    assert sorted(path.name for path in place.iterdir()) == [
        "kpack-rehearse-killed",
        "kpack-restore-afileof8",
        "kpack-restore-alinkto8",
        "kpack-restore-being_he",
    ]
    assert precious.is_dir()


def test_a_folder_of_the_users_with_such_a_name_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    kept = {
        "kpack-restore-notes": (0o700, "restore.zip"),
        "kpack-restore-my_notes": (0o700, "notes.txt"),
        "kpack-restore-readable": (0o755, "restore.zip"),
    }
    for name, (mode, inside) in kept.items():
        (tmp_path / name).mkdir()
        (tmp_path / name).chmod(mode)
        (tmp_path / name / inside).touch()
    temporary.sweep()
    assert {name for name, (_, inside) in kept.items() if (tmp_path / name / inside).exists()} == kept.keys()


def test_a_folder_of_this_moment_is_left_to_who_made_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is locked before there is anything in it."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    young = tmp_path / "kpack-restore-unlocked"
    young.mkdir(0o700)
    folder, held = temporary.make()
    (tmp_path / folder / "restore.zip").touch()
    temporary.sweep()
    assert young.is_dir()
    assert (tmp_path / folder / "restore.zip").exists()
    os.close(held)
    temporary.sweep()
    assert list(tmp_path.iterdir()) == [young]
