"""Answers of an index that are not what they say."""

from __future__ import annotations

import socket
import struct
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from http.server import BaseHTTPRequestHandler

    from tests.support.index import IndexServer

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
def lying(index: IndexServer, lie: str, number: int) -> Iterator[None]:
    """Answer the request of that number, and every third one after it, in a way that is a lie."""
    seen = 0
    lock = threading.Lock()

    def intercept(handler: BaseHTTPRequestHandler) -> bool:
        nonlocal seen
        with lock:
            seen += 1
            if seen < number or (seen - number) % 3:
                return False
        handler.close_connection = True
        index.intercept, truth = None, _Recorder()
        real, handler.wfile = handler.wfile, truth  # type: ignore[assignment]
        try:
            handler.do_GET()  # type: ignore[attr-defined]
        finally:
            handler.wfile = real
            index.intercept = intercept
        head, _, body = bytes(truth.data).partition(b"\r\n\r\n")
        _send(handler, lie, head, body)
        return True

    before, index.intercept = index.intercept, intercept
    try:
        yield
    finally:
        index.intercept = before


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
