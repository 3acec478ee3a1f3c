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
    for name in ("kpack-restore-left", "kpack-restore-held", "kpack-rehearse-kept"):
        (place / name / "inner").mkdir(parents=True)
    (place / "kpack-restore-link").symlink_to(precious)
    (place / "kpack-restore-file").touch()
    pack = kit.make_pack(tmp_path / "pack", [make_wheel(tmp_path, "thing")], series=HERE).path
    held = os.open(place / "kpack-restore-held", os.O_RDONLY)
    fcntl.flock(held, fcntl.LOCK_EX)
    try:
        kit.good(sys.executable, pack, target=str(tmp_path / "target"), env={"TMPDIR": str(place)})
    finally:
        os.close(held)
    assert sorted(path.name for path in place.iterdir()) == [
        "kpack-rehearse-kept",
        "kpack-restore-file",
        "kpack-restore-held",
        "kpack-restore-link",
    ]
    assert precious.is_dir()


def test_a_folder_of_this_moment_is_left_to_who_made_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is locked before there is anything in it."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    young = tmp_path / "kpack-restore-made-and-not-locked-yet"
    young.mkdir()
    folder, held = temporary.make()
    (tmp_path / folder / "engine").touch()
    temporary.sweep()
    assert young.is_dir()
    assert (tmp_path / folder / "engine").exists()
    os.close(held)
    temporary.sweep()
    assert list(tmp_path.iterdir()) == [young]
