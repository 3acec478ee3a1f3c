"""The host does not show: another CPython locks and builds the same bytes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.interpreters import found
from tests.support.long import listed

if TYPE_CHECKING:
    from tests.e2e.conftest import Workshop

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.index
@pytest.mark.parametrize("series", listed(("3.11", "3.12", "3.13", "3.14"), "3.13".__eq__))
def test_lock_and_pack_have_the_same_bytes_from(series: str, workshop: Workshop, tmp_path: Path) -> None:
    python = found().get(series)
    if python is None:
        pytest.skip(f"no CPython {series} on this machine")
    built = workshop.built()
    host = tmp_path / "host"
    uv = [sys.executable, "-m", "uv"]
    for words in (
        [*uv, "venv", "--quiet", "--python", python, str(host)],
        [*uv, "pip", "install", "--quiet", "--python", str(host), str(ROOT)],
    ):
        for _ in range(3):
            done = subprocess.run(words, check=False)
            if done.returncode == 0:
                break
        assert done.returncode == 0, "the network failed three times"
    other = tmp_path / "other"
    other.mkdir()
    for name in ("kaggle-env.toml", "weights.ckpt"):
        (other / name).write_bytes((workshop.folder / name).read_bytes())
    env = {
        **os.environ,
        "KPACK_INDEX_URL": workshop.index.url,
        "KPACK_CACHE": str(tmp_path / "cache"),
        "NO_PROXY": "127.0.0.1",
    }
    kpack = host / "bin" / "kpack"
    subprocess.run([kpack, "lock"], cwd=other, env=env, check=True, capture_output=True)
    said = subprocess.run([kpack, "build", "--json"], cwd=other, env=env, check=True, capture_output=True).stdout
    assert (other / workshop.lock.name).read_text() == workshop.lock.read_text()
    assert json.loads(said)["id"] == built["id"]
    assert (other / "dist" / "tiny.kpack.bin").read_bytes() == workshop.pack.read_bytes()
