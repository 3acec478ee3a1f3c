"""Fetch files in parallel into the cache, verified, resumed after a kill, from the first mirror that has them."""

from __future__ import annotations

from kpack.fetch.fetcher import Fetcher
from kpack.fetch.model import (
    Announced,
    Cached,
    Download,
    Event,
    Fetched,
    Finished,
    Making,
    PassedOver,
    Patience,
    Received,
    Resumed,
    Retrying,
    Started,
    Waiting,
)

__all__ = [
    "Announced",
    "Cached",
    "Download",
    "Event",
    "Fetched",
    "Fetcher",
    "Finished",
    "Making",
    "PassedOver",
    "Patience",
    "Received",
    "Resumed",
    "Retrying",
    "Started",
    "Waiting",
]
