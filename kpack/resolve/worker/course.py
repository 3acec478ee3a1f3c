"""How far a search is: told to whoever waits for it, now and then."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from kpack.resolve.wire import Underway

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

TOLD_EVERY = 0.1
"""Seconds between two words on it."""

MANY = 3
"""Versions of one name that are given up before that is worth a word: one or two are nothing special."""


class Course:
    """Hears from the resolver and from the threads that read, and tells `Underway`."""

    def __init__(self, tell: Callable[[Underway], object]) -> None:
        self._tell = tell
        self._lock = threading.Lock()
        self._told = 0.0
        self._requests = 0
        self._trying = False
        self._anew()

    def _anew(self) -> None:
        self._known = 0
        self._back = ""
        self._building = ""
        self._rejected: dict[str, int] = {}

    def begin(self, *, trying: bool) -> None:
        """Take note of a new question; ``trying`` says that it is about words."""
        self._trying = trying
        self._anew()

    def requested(self, count: int) -> None:
        """Hear that ``count`` requests were sent in all."""
        self._requests = count
        self._now_and_then()

    def known(self, count: int) -> None:
        """Hear that ``count`` distributions have a version; nothing is given up at the moment."""
        self._known = count
        self._back = self._building = ""
        self._now_and_then()

    def rejected(self, name: str) -> None:
        """Hear that one more version of ``name`` does not do."""
        self._building = ""
        self._rejected[name] = self._rejected.get(name, 0) + 1
        if self._rejected[name] >= MANY:
            self._back = name
        self._now_and_then()

    def building(self, name: str, needs: Sequence[str]) -> None:
        """Hear that a source is asked what it requires, for which a build needs ``needs``; nothing of that is here."""
        self._building = f"{name}, whose build needs {', '.join(needs) or 'nothing'}"
        self._told = 0.0
        self._now_and_then()

    def _now_and_then(self) -> None:
        now = time.monotonic()
        with self._lock:
            if now - self._told < TOLD_EVERY:
                return
            self._told = now
        back = self._back
        self._tell(
            Underway(
                requests=self._requests,
                known=self._known,
                back=back,
                rejected=self._rejected.get(back, 0),
                trying=self._trying,
                building=self._building,
            )
        )
