"""Checkpoints are locked and fetched against servers on loopback."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from kpack.cache import Cache
from kpack.checkpoints.fetching import fetch
from kpack.checkpoints.locking import lock
from kpack.environment import CheckpointRequest
from kpack.fetch import Patience
from tests.fetch.origin import Origin

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from kpack.checkpoints import LockedCheckpoint
    from kpack.fetch import Fetched

PATIENCE = Patience(connect=2, stall=1, attempts=2, backoff=0.01)


class Bench:
    """Locks and fetches in a folder, with a cache."""

    def __init__(self, folder: Path, cache: Cache) -> None:
        self.folder = folder
        self.cache = cache

    def lock(self, *requests: CheckpointRequest, **changes: object) -> tuple[LockedCheckpoint, ...]:
        return lock(requests, self.cache, folder=self.folder, patience=PATIENCE, **changes)  # type: ignore[arg-type]

    def fetch(self, *locked: LockedCheckpoint, **changes: object) -> Mapping[str, Fetched]:
        return fetch(locked, self.cache, folder=self.folder, patience=PATIENCE, **changes)  # type: ignore[arg-type]

    def empty(self, name: str = "another") -> Bench:
        """The same folder with an empty cache."""
        return Bench(self.folder, Cache(self.cache.root.with_name(name)))


def ask(*urls: str, path: str | None = "w.ckpt", **facts: object) -> CheckpointRequest:
    return CheckpointRequest(urls=urls, path=path, **facts)  # type: ignore[arg-type]


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in list(os.environ):
        if name.lower().endswith("_proxy") or name in {"REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "PIP_CERT"}:
            monkeypatch.delenv(name)
        if name.startswith(("HF_", "KAGGLE")):
            monkeypatch.delenv(name)
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "no-netrc"))


@pytest.fixture
def origin() -> Iterator[Origin]:
    with Origin() as server:
        yield server


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    (tmp_path / "project").mkdir()
    return Bench(tmp_path / "project", Cache(tmp_path / "cache"))
