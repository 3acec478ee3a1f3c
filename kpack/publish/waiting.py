"""Waiting for Kaggle: often at first, seldom later, and not for ever."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_FIRST, _LAST = 0.5, 15.0
"""Seconds between two questions."""


def turns(seconds: float) -> Iterator[float]:
    """Yield the seconds that have gone, once for each question to ask; end when ``seconds`` are over."""
    begun = time.monotonic()
    pause = _FIRST
    while True:
        gone = time.monotonic() - begun
        yield gone
        if gone >= seconds:
            return
        time.sleep(min(pause, max(seconds - gone, 0.0)))
        pause = min(pause * 1.5, _LAST)
