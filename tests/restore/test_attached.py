"""Attached checkpoints: found by size and digest in every layout of Kaggle's inputs, with a bound."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

import pytest

from kpack.restore import attached
from kpack.restore.manifest import PackedCheckpoint
from tests.restore import kit

if TYPE_CHECKING:
    from pathlib import Path

WEIGHTS = b"weights" * 100
HERE = (f"{sys.version_info[0]}.{sys.version_info[1]}",)
PLACES = (
    "weights",
    "weights/weights",
    "weights/sub",
    "datasets/me/weights",
    "datasets/me/weights/sub/deeper",
    "notebooks/me/trainer",
    "model/pytorch/default/3",
    "models/me/model/pytorch/default/3",
    "models/me/model/pytorch/default/3/sub",
    "competitions/cup",
)


def put(folder: Path, data: bytes = WEIGHTS, name: str = "w.ckpt") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(data)
    return folder / name


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "input"
    folder.mkdir()
    monkeypatch.setenv("KPACK_INPUT", str(folder))
    return folder


def find(size: int = len(WEIGHTS), lands: str = "w.ckpt") -> str | None:
    return attached.find([(kit.sha256(WEIGHTS), size, lands)]).get(kit.sha256(WEIGHTS))


@pytest.mark.parametrize("place", PLACES)
def test_it_is_found_wherever_it_is_mounted_and_whatever_it_is_called(root: Path, place: str) -> None:
    put(root / "datasets/me/other", b"another" * 100)
    put(root / "a", WEIGHTS[:-1])
    there = put(root / place, name="renamed.bin")
    assert find() == str(there)


def test_a_file_of_the_same_name_is_hashed_first_and_few_others(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hashed: list[str] = []
    real = attached.sha256_of

    def hashing(path: str) -> str:
        hashed.append(path)
        return real(path)

    monkeypatch.setattr(attached, "sha256_of", hashing)
    for number in range(40):
        put(root / "a", b"x" * len(WEIGHTS), f"{number}.bin")
    there = put(root / "z")
    assert find(lands="models/w.ckpt") == str(there)
    assert hashed == [str(there)]
    there.rename(there.with_name("other.bin"))
    hashed.clear()
    assert find() is None
    assert len(hashed) == attached.HASHED


def test_a_large_input_is_not_walked(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for patient in range(80):
        for part in range(40):
            (root / "cup" / "train" / f"p{patient}" / f"s{part}").mkdir(parents=True)
    there = put(root / "models/me/model/pytorch/default/3")
    listed: list[str] = []
    real = os.scandir

    def listing(path: str) -> Any:
        listed.append(path)
        return real(path)

    monkeypatch.setattr(os, "scandir", listing)
    assert find() == str(there)
    assert len(listed) < 200


def test_nothing_is_searched_when_nothing_is_sought(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "scandir", lambda _path: pytest.fail("listed"))
    assert attached.find([]) == {}


def test_a_restore_links_what_it_found_and_says_where_nothing_was(tmp_path: Path) -> None:
    sought = PackedCheckpoint("models/m.ckpt", kit.sha256(WEIGHTS), len(WEIGHTS), attached.ROOT)
    pack = kit.make_pack(tmp_path / "pack", [], extra_checkpoints=[sought], series=HERE)
    target, root = tmp_path / "target", tmp_path / "input"
    env = {"KPACK_INPUT": str(root)}
    put(root / "datasets/me/w", b"x" * len(WEIGHTS))
    missing = kit.restore(sys.executable, pack.path, target=str(target), env=env)
    assert missing.code == 7
    assert missing.error["what"].startswith("the checkpoint is not attached: no file of 700 bytes with sha256 ")
    assert not target.exists()
    there = put(root / "model/pytorch/default/1")
    kit.good(sys.executable, pack.path, target=str(target), env=env)
    assert (target / "models/m.ckpt").readlink() == there
    assert not kit.good(sys.executable, pack.path, target=str(target), env=env).report["changed"]
