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
        self._until = time.monotonic() + SECONDS
        self._timer = self._armed(SECONDS)

    def __enter__(self) -> Self:
        _CURRENT.watch = self
        self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        _CURRENT.watch = None
        self._timer.cancel()

    def extend(self) -> None:
        """Grant the time anew: a chunk has come."""
        self._until = time.monotonic() + SECONDS

    def over(self, connection: Any) -> None:
        """Say which socket is read from."""
        self._connection = connection

    def _armed(self, seconds: float) -> threading.Timer:
        timer = threading.Timer(seconds, self._look)
        timer.daemon = True
        return timer

    def _look(self) -> None:
        left = self._until - time.monotonic()
        if left > 0:
            self._timer = self._armed(left)
            self._timer.start()
            return
        self.ended = True
        if self._connection is not None:
            with contextlib.suppress(OSError, ValueError):
                self._connection.shutdown(socket.SHUT_RDWR)


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
