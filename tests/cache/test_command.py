"""``kpack cache`` in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from kpack.cache import Cache

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "cache")


def run(cache: Cache, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "kpack", "cache", *words],
        env={**os.environ, "KPACK_CACHE": str(cache.root)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_dir_and_size_are_said_in_text_and_json(cache: Cache) -> None:
    cache.add(b"12345")
    assert run(cache, "dir").stdout == f"{cache.root}\n"
    assert json.loads(run(cache, "dir", "--json").stdout) == {"dir": str(cache.root)}
    assert "1 files, 5 B" in run(cache, "size").stdout
    assert json.loads(run(cache, "size", "--json").stdout)["bytes"] == 5


def test_verify_exits_5_and_removes_what_is_damaged(cache: Cache) -> None:
    path = cache.path(cache.add(b"good"))
    assert run(cache, "verify").returncode == 0
    path.chmod(0o644)
    path.write_bytes(b"baad")
    done = run(cache, "verify")
    assert done.returncode == 5
    assert path.name in done.stderr
    assert not path.exists()
    assert json.loads(run(cache, "verify", "--json").stdout)["ok"] is True


def test_verify_with_json_exits_5_too(cache: Cache) -> None:
    path = cache.path(cache.add(b"good"))
    path.chmod(0o644)
    path.write_bytes(b"baad")
    done = run(cache, "verify", "--json")
    assert done.returncode == 5
    assert [item["sha256"] for item in json.loads(done.stdout)["damaged"]] == [path.name]


def test_prune_keeps_what_is_young_unless_told_to_take_all(cache: Cache) -> None:
    cache.add(b"12345")
    assert json.loads(run(cache, "prune", "--json").stdout) == {"removed": 0, "bytes": 0}
    assert json.loads(run(cache, "prune", "--all", "--json").stdout) == {"removed": 1, "bytes": 5}
