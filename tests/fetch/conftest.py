"""An origin, a cache and a fetch whose patience is short."""

from __future__ import annotations

import hashlib
import os
import random
from typing import TYPE_CHECKING

import pytest

from kpack import fetch as room
from kpack.cache import Cache
from kpack.fetch import Download, Event, Fetched, Patience
from tests.fetch.origin import Origin

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

PATIENCE = Patience(connect=2, stall=0.3, attempts=3, backoff=0.01, longest_backoff=0.02)


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Keep proxies, certificates and netrc of the machine out of the tests."""
    for name in list(os.environ):
        if name.lower().endswith("_proxy") or name in {"REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "PIP_CERT"}:
            monkeypatch.delenv(name)
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "no-netrc"))


@pytest.fixture
def origin() -> Iterator[Origin]:
    with Origin() as server:
        yield server


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "cache")


@pytest.fixture
def small_segments(monkeypatch: pytest.MonkeyPatch) -> int:
    """Make everything above 64 KiB a big file."""
    size = 1 << 16
    monkeypatch.setattr("kpack.fetch.part.SEGMENT", size)
    monkeypatch.setattr("kpack.fetch.transfer.SEGMENT", size)
    return size


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def noise(size: int, seed: int = 1) -> bytes:
    return random.Random(seed).randbytes(size)


def download(origin: Origin, path: str, data: bytes, **changes: object) -> Download:
    """Return the download of ``data``, which ``origin`` serves at ``path`` from now on."""
    origin.files.setdefault(path, data)
    facts: dict[str, object] = {
        "name": path.strip("/"),
        "urls": (origin.url + path,),
        "sha256": sha(data),
        "size": len(data),
    }
    return Download(**{**facts, **changes})  # type: ignore[arg-type]


def have(
    wanted: Download,
    cache: Cache,
    *,
    on_event: Callable[[Event], None] | None = None,
    offline: bool = False,
    patience: Patience = PATIENCE,
) -> Fetched:
    return room.fetch([wanted], cache, on_event=on_event, offline=offline, patience=patience)[wanted]
