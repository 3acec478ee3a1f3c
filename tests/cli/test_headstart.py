"""A resolver starts before all else when the lock will hardly hold, and only then."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Self

import pytest

from kpack.cli.headstart import headstart

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
    started: list[int] = []

    class Started:
        def __init__(self, count: int, **_: object) -> None:
            started.append(count)

        def __enter__(self) -> Self:
            return self

        def __exit__(self, *_: object) -> None:
            pass

    monkeypatch.setattr("kpack.resolve.child.Workers", Started)
    if lock_is != "missing":
        lock = config.with_name("pylock.kaggle-env.toml")
        lock.touch()
        os.utime(lock, ns=(0, config.stat().st_mtime_ns + (1 if lock_is == "newer" else -1)))
    with headstart(None, **{"renew": False, **more}) as workers:
        assert (workers is not None) == starts
    assert started == ([1] if starts else [])


def test_nothing_starts_where_there_is_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with headstart(None, renew=True) as workers:
        assert workers is None
