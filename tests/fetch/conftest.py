"""An origin, a cache and a fetch whose patience is short."""

from __future__ import annotations

import hashlib
import random
from typing import TYPE_CHECKING

import pytest

from kpack.cache import Cache
from kpack.fetch import Download, Event, Fetched, Fetcher, Patience
from tests.support.network import no_settings, origin

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.support.origin import Origin

__all__ = ["no_settings", "origin"]

PATIENCE = Patience(connect=2, stall=0.3, attempts=3, backoff=0.01, longest_backoff=0.02)

"""For servers that are to be given up."""

LASTING = Patience(connect=60, stall=600, attempts=1)
"""For servers that are not: nothing is tried again, however slow the machine is."""


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
    listener: Callable[[Event], object] | None = None,
    offline: bool = False,
    patience: Patience = PATIENCE,
) -> Fetched:
    return Fetcher(cache, offline, patience=patience, listener=listener).fetch([wanted])[wanted]
