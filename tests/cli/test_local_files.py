"""A checkpoint that is a file of this machine may become another one: lock, status and build know it."""

from __future__ import annotations

import hashlib
import json
import os
from typing import TYPE_CHECKING

import pytest

from kpack import files
from kpack.checkpoints import local
from tests.cli.conftest import SERIES

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import Desk

CONFIG = f'name = "tiny"\npython = "{SERIES}"\n[[checkpoints]]\nurl = "file:w.bin"\npath = "models/w.bin"\n'


@pytest.fixture
def locked(desk: Desk) -> Desk:
    (desk.folder / "kaggle-env.toml").write_text(CONFIG, encoding="utf-8")
    (desk.folder / "w.bin").write_bytes(b"one")
    desk("lock")
    return desk


@pytest.mark.parametrize("content", [b"two", b"longer"])
def test_a_local_checkpoint_that_is_another_file_now_is_locked_anew(locked: Desk, content: bytes) -> None:
    desk = locked
    assert "up to date" in desk("lock", "--check")
    (desk.folder / "w.bin").write_bytes(content)
    assert "models/w.bin changed" in desk("lock", "--check", code=1)
    assert "stale: models/w.bin changed" in desk("status", "--offline")
    assert "the lock is stale: models/w.bin changed" in desk("build", code=1)
    assert "sha256 " + hashlib.sha256(content).hexdigest() in desk("lock")
    assert "up to date" in desk("lock", "--check")
    assert "built" in desk("build")


def test_one_lock_compares_a_large_file_once(locked: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    hashed: list[Path] = []

    def counted(path: Path) -> str:
        hashed.append(path)
        return files.sha256_of(path)

    monkeypatch.setattr(local, "sha256_of", counted)
    (locked.folder / "w.bin").write_bytes(b"two")
    locked("lock")
    assert hashed == [locked.folder / "w.bin"]


def test_a_file_that_is_only_touched_is_the_same(locked: Desk) -> None:
    desk = locked
    before = (desk.folder / "pylock.kaggle-env.toml").read_bytes()
    (desk.folder / "w.bin").write_bytes(b"one")
    assert "up to date" in desk("lock")
    assert (desk.folder / "pylock.kaggle-env.toml").read_bytes() == before


def test_a_file_with_the_locked_size_and_an_old_time_is_left_to_the_build(locked: Desk) -> None:
    desk = locked
    (desk.folder / "w.bin").write_bytes(b"two")
    os.utime(desk.folder / "w.bin", (0, 0))
    assert "up to date" in desk("lock")
    error = json.loads(desk("build", "--json", code=5))["error"]
    assert "kpack lock -P models/w.bin" in error["next"]
    assert hashlib.sha256(b"two").hexdigest() in desk("lock", "-P", "models/w.bin")


def test_a_file_that_is_gone_leaves_the_lock_as_it_is(locked: Desk) -> None:
    desk = locked
    (desk.folder / "w.bin").unlink()
    assert "up to date" in desk("lock")


def test_where_the_digest_is_written_another_file_is_a_wrong_one(desk: Desk) -> None:
    digest = hashlib.sha256(b"one").hexdigest()
    (desk.folder / "kaggle-env.toml").write_text(f'{CONFIG}sha256 = "{digest}"\n', encoding="utf-8")
    (desk.folder / "w.bin").write_bytes(b"one")
    desk("lock")
    (desk.folder / "w.bin").write_bytes(b"two")
    assert "up to date" in desk("lock")
    assert digest in desk("build", code=5)
