"""What kpack 0.1 made: its lock speaks for its file, its pack is verified and restored, and gives way to a newer one.

``first/`` holds a file, and the lock and the pack that kpack 0.1.0 made of it, for Python 3.11.
"""

from __future__ import annotations

import lzma
import shutil
from pathlib import Path

import pytest

from kpack import pack
from kpack.environment import load as load_environment
from kpack.lock.read import load as load_lock
from kpack.lock.write import dumps
from tests.cli.run import kpack
from tests.restore import kit
from tests.support.interpreters import found
from tests.support.wheels import make_wheel

FIRST = Path(__file__).with_name("first")
ID = "f3ade1e2b8eca19c812ad863149fa5219952dd0cecad5eb0a48cf6c7c924ccad"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for name in ("kaggle-env.toml", "pylock.kaggle-env.toml"):
        shutil.copy(FIRST / name, tmp_path)
    (tmp_path / "weights.ckpt").write_bytes(b"weights" * 10)
    (tmp_path / "dist").mkdir()
    with lzma.open(FIRST / "tiny.kpack.bin.xz") as packed:
        (tmp_path / "dist" / "tiny.kpack.bin").write_bytes(packed.read())
    return tmp_path


def test_a_lock_of_the_first_version_speaks_for_its_file(project: Path) -> None:
    held = load_lock(project / "pylock.kaggle-env.toml")
    assert [str(pin.name) for pin in held.targets[0].packed] == ["alpha", "beta"]
    assert dumps(held) == (FIRST / "pylock.kaggle-env.toml").read_text(encoding="utf-8")
    assert load_environment(project / "kaggle-env.toml").name == held.name
    assert kpack(project, "lock", "--check").code == 0


def test_a_pack_of_the_first_version_is_read_and_verified(project: Path) -> None:
    notes: list[str] = []
    held = pack.read(project / "dist" / "tiny.kpack.bin")
    assert held.id == ID
    assert pack.verify(held, on_note=notes.append) == ()
    assert notes[0].startswith("its code is that of kpack 0.1.0")
    assert [str(item.name) for item in held.manifest.targets[0].distributions] == ["alpha", "beta"]


@pytest.mark.skipif("3.11" not in found(), reason="needs CPython 3.11")
def test_a_pack_of_the_first_version_is_restored_and_gives_way_to_a_newer_one(project: Path, tmp_path: Path) -> None:
    path, target = project / "dist" / "tiny.kpack.bin", tmp_path / "target"
    python = str(found()["3.11"])
    done = kpack(project, "restore", str(path), "--python", python, "--target", str(target), "--json")
    assert done.code == 0, done.out + done.err
    assert done.json["changed"]
    assert not kit.good(python, path, target=str(target)).report["changed"]
    assert (target / "beta" / "__init__.py").exists()
    assert (target / "checkpoints" / "weights.ckpt").read_bytes() == b"weights" * 10
    beta = make_wheel(tmp_path / "wheels", "beta", "2.0", files={"beta/__init__.py": "NEW = 1\n"})
    newer = kit.make_pack(tmp_path / "newer", [beta], series=["3.11"], replaces={"beta": "1.5"}).path
    kit.good(python, newer, target=str(target))
    assert (target / "beta" / "__init__.py").read_text() == "NEW = 1\n"
    assert not (target / "beta-1.5.dist-info").exists()
