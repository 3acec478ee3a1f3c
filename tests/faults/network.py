"""Answers of a server that are not what they say."""

from __future__ import annotations

import socket
import struct
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from http.server import BaseHTTPRequestHandler

LIES = ("reset", "cut", "long", "short", "range", "type", "encoding", "content", "busy", "stall")
"""How an answer is wrong: reset or closed halfway, a Content-Length above or below the truth, a Content-Range of other
bytes, a page of HTML instead, an encoding that it does not have, other bytes of the same length, a server error,
nothing more after the first half until the connection is dropped."""

_RESET = struct.pack("ii", 1, 0)
STALL = 3.0
"""Seconds."""


class _Recorder:
    """Takes an answer instead of the client."""

    def __init__(self) -> None:
        self.data = bytearray()

    def write(self, data: bytes) -> int:
        self.data += data
        return len(data)

    def flush(self) -> None:
        pass


@contextmanager
def lying(server: type[BaseHTTPRequestHandler], lie: str, number: int) -> Iterator[list[str]]:
    """Answer the request of that number, and every third one after it, in a way that is a lie; what it asks is done.

    Number 0 lies never. What is asked for is written down in the list.
    """
    seen: list[str] = []
    lock = threading.Lock()

    def wrong(path: str) -> bool:
        with lock:
            seen.append(path)
            return 0 < number <= len(seen) and not (len(seen) - number) % 3

    def told(answer: Callable[[BaseHTTPRequestHandler], None]) -> Callable[[BaseHTTPRequestHandler], None]:
        def lied(handler: BaseHTTPRequestHandler) -> None:
            if not wrong(handler.path):
                answer(handler)
                return
            handler.close_connection = True
            truth = _Recorder()
            real, handler.wfile = handler.wfile, truth  # type: ignore[assignment]
            try:
                answer(handler)
            finally:
                handler.wfile = real
            head, _, body = bytes(truth.data).partition(b"\r\n\r\n")
            _send(handler, lie, head, body)

        return lied

    honest = {name: getattr(server, name) for name in dir(server) if name.startswith("do_") and name != "do_HEAD"}
    for name, answer in honest.items():
        setattr(server, name, told(answer))
    try:
        yield seen
    finally:
        for name, answer in honest.items():
            setattr(server, name, answer)


def _send(handler: BaseHTTPRequestHandler, lie: str, head: bytes, body: bytes) -> None:
    half = len(body) // 2
    lines = [line for line in head.split(b"\r\n") if not line.lower().startswith(b"connection:")]
    if lie in ("long", "short"):
        size = len(body) + 100 if lie == "long" else half
        lines = [line for line in lines if not line.lower().startswith(b"content-length:")] + [
            b"Content-Length: %d" % size
        ]
    if lie == "range":
        lines = [
            b"HTTP/1.1 206 Partial Content",
            *lines[1:],
            b"Content-Range: bytes 7-%d/%d" % (6 + len(body), 99 + len(body)),
        ]
    if lie in ("type", "busy"):
        body = b"<html><body>Please log in</body></html>"
        first = b"HTTP/1.1 200 OK" if lie == "type" else b"HTTP/1.1 503 Busy"
        lines = [first, b"Content-Type: text/html", b"Content-Length: %d" % len(body)]
    if lie == "encoding":
        lines += [b"Content-Encoding: gzip"]
    if lie == "content":
        body = bytes(byte ^ 1 for byte in body)
    try:
        handler.connection.sendall(b"\r\n".join([*lines, b"Connection: close"]) + b"\r\n\r\n")
        handler.connection.sendall(body[:half] if lie in ("reset", "cut", "stall") else body)
        if lie == "stall":
            threading.Event().wait(STALL)
        if lie == "reset":
            handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            handler.connection.close()
    except OSError:
        return  # the client knows enough
