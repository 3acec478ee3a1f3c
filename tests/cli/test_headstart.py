"""A resolver starts before all else when the lock will hardly hold, and only then."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

import pytest

from kpack.cli.headstart import headstart
from kpack.resolve import process

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KPACK_CACHE", str(tmp_path / "cache"))
    path = tmp_path / "kaggle-env.toml"
    path.touch()
    return path


@pytest.mark.parametrize(
    ("lock_is", "more", "starts"),
    [
        ("missing", {}, True),
        ("older", {}, True),
        ("newer", {}, False),
        ("newer", {"renew": True}, True),
    ],
)
def test_resolver_starts_when_the_lock_looks_stale(
    lock_is: str, more: dict[str, Any], starts: bool, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []

    class Started:
        process = None

        def __init__(self, scratch: Path) -> None:
            assert scratch.is_dir()
            done.append("started")

        def kill(self) -> None:
            raise AssertionError

        def dismiss(self) -> None:
            raise AssertionError

        def end(self, patience: float) -> None:
            assert not patience  # it was asked nothing, and has nothing to keep
            done.append("ended")

    monkeypatch.setattr("kpack.resolve.process.StartedWorker", Started)
    if lock_is != "missing":
        lock = config.with_name("pylock.kaggle-env.toml")
        lock.touch()
        os.utime(lock, ns=(0, config.stat().st_mtime_ns + (1 if lock_is == "newer" else -1)))
    with headstart(None, **{"renew": False, **more}) as workers:
        assert (workers is not None) == starts
    assert done == (["started", "ended"] if starts else [])


def test_nothing_starts_where_there_is_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with headstart(None, renew=True) as workers:
        assert workers is None


def test_worker_ends_when_what_talks_to_it_cannot_be_loaded(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started = []

    class Started(process.StartedWorker):
        def __init__(self, scratch: Path | None) -> None:
            super().__init__(scratch)
            started.append(self)

    monkeypatch.setattr("kpack.resolve.process.StartedWorker", Started)
    monkeypatch.setitem(sys.modules, "kpack.resolve.child", None)
    with pytest.raises(ImportError), headstart(config, renew=True):
        raise AssertionError
    assert [worker.process.returncode is not None for worker in started] == [True]
