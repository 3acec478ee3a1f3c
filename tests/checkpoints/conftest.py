"""Checkpoints are locked and fetched against servers on loopback."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from kpack.cache import Cache
from kpack.checkpoints.fetching import fetch
from kpack.checkpoints.locking import lock
from kpack.environment import CheckpointRequest
from kpack.fetch import Fetcher, Patience
from kpack.urls import Credentials
from tests.support.network import no_settings, origin

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from kpack.checkpoints import LockedCheckpoint
    from kpack.fetch import Fetched

__all__ = ["no_settings", "origin"]

PATIENCE = Patience(connect=2, stall=1, attempts=2, backoff=0.01)


class Bench:
    """Locks and fetches in a folder, with a cache."""

    def __init__(self, folder: Path, cache: Cache) -> None:
        self.folder = folder
        self.cache = cache

    def lock(
        self, *requests: CheckpointRequest, offline: bool = False, **changes: object
    ) -> tuple[LockedCheckpoint, ...]:
        return lock(requests, self.fetcher(offline=offline), folder=self.folder, **changes)  # type: ignore[arg-type]

    def fetch(
        self, *locked: LockedCheckpoint, offline: bool = False, credentials: Credentials | None = None
    ) -> Mapping[str, Fetched]:
        fetcher = self.fetcher(offline=offline, credentials=credentials)
        return fetch(locked, fetcher, folder=self.folder)

    def fetcher(self, *, offline: bool, credentials: Credentials | None = None) -> Fetcher:
        return Fetcher(self.cache, offline, credentials or Credentials(), patience=PATIENCE)

    def empty(self, name: str = "another") -> Bench:
        """The same folder with an empty cache."""
        return Bench(self.folder, Cache(self.cache.root.with_name(name)))


def ask(*urls: str, path: str | None = "w.ckpt", **facts: object) -> CheckpointRequest:
    return CheckpointRequest(urls=urls, path=path, **facts)  # type: ignore[arg-type]


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    (tmp_path / "project").mkdir()
    return Bench(tmp_path / "project", Cache(tmp_path / "cache"))
