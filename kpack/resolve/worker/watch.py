"""An end to requests that drip: a timeout of a socket starts anew with every byte, this one does not."""

from __future__ import annotations

import contextlib
import http.client
import socket
import threading
import time
from typing import Any, Self

SECONDS = 60.0
"""Until the headers of an answer are there, and until its next chunk is."""

_CURRENT = threading.local()


class Watch:
    """Shuts the connection that this thread reads from when it takes longer than `SECONDS`; a context manager."""

    def __init__(self) -> None:
        self.ended = False
        """The time was over."""
        self._connection: Any = None
        self._until = 0.0

    def __enter__(self) -> Self:
        self.extend()
        _CURRENT.watch = self
        _GUARD.add(self)
        return self

    def __exit__(self, *_: object) -> None:
        _CURRENT.watch = None
        _GUARD.remove(self)

    def extend(self) -> None:
        """Grant the time anew: a chunk has come."""
        self._until = time.monotonic() + SECONDS

    def over(self, connection: Any) -> None:
        """Say which socket is read from."""
        self._connection = connection

    def look(self) -> None:
        """End what takes too long."""
        if self.ended or time.monotonic() < self._until:
            return
        self.ended = True
        if self._connection is not None:
            with contextlib.suppress(OSError, ValueError):
                self._connection.shutdown(socket.SHUT_RDWR)


class _Guard:
    """One thread that looks at all watches now and then: a timer for each would be a thread for each request."""

    def __init__(self) -> None:
        self._watches: set[Watch] = set()
        self._some = threading.Event()
        self._started = threading.Lock()

    def add(self, watch: Watch) -> None:
        self._watches.add(watch)
        if self._started.acquire(blocking=False):
            threading.Thread(target=self._keep_looking, name="kpack-watch", daemon=True).start()
        if not self._some.is_set():
            self._some.set()

    def remove(self, watch: Watch) -> None:
        self._watches.discard(watch)

    def _keep_looking(self) -> None:
        while self._some.wait():
            time.sleep(min(1.0, SECONDS / 4))
            for watch in list(self._watches):
                watch.look()
            if not self._watches:
                self._some.clear()
                if self._watches:  # one came between the two lines
                    self._some.set()


_GUARD = _Guard()


def install() -> None:
    """Have every HTTP connection of this process tell the watch of its thread which socket it reads from."""
    original = http.client.HTTPConnection.getresponse
    if getattr(original, "watched", False):
        return

    def getresponse(self: Any) -> Any:
        watch = getattr(_CURRENT, "watch", None)
        if watch is not None:
            watch.over(self.sock)
        return original(self)

    getresponse.watched = True  # type: ignore[attr-defined]
    http.client.HTTPConnection.getresponse = getresponse  # type: ignore[method-assign]
