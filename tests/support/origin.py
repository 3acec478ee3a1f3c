"""An HTTP server on loopback that misbehaves as told."""

from __future__ import annotations

import functools
import hashlib
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Literal, Self, cast

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable


@dataclass(frozen=True)
class Fault:
    """What goes wrong with one answer."""

    status: int | None = None
    """Answer with this status and no file."""
    headers: tuple[tuple[str, str], ...] = ()
    stop_after: int | None = None
    """Close the connection after so many bytes of the body."""
    stall_after: int | None = None
    """Send no more after so many bytes, and keep the connection open."""
    damage_at: int | None = None
    """Send another byte at this offset of the body."""
    wrong_range: tuple[int, int, int] | None = None
    """Content-Range to claim (first, last, total)."""


@dataclass
class Seen:
    """A request as it came."""

    path: str
    headers: dict[str, str]
    sent: int = 0
    """Bytes of the body that were written."""

    @property
    def range(self) -> str | None:
        return self.headers.get("range")


@dataclass
class Origin:
    """Serves ``files`` by path; ``faults`` are used up one per request, None is a good answer."""

    files: dict[str, bytes] = field(default_factory=dict)
    faults: list[Fault | None] = field(default_factory=list)
    fault_of: Callable[[Seen], Fault | None] | None = None
    ranges: bool = True
    """Know Range; else every answer is the whole file."""
    validator: Literal["etag", "weak", "modified", "none"] = "etag"
    lengths: bool = True
    """Say Content-Length; else the body ends with the connection."""
    redirects: dict[str, str] = field(default_factory=dict)
    auth: str | None = None
    rate: float | None = None
    """Bytes a second on each connection."""
    seen: list[Seen] = field(default_factory=list)
    connections: int = 0
    on_request: Callable[[Seen], None] | None = None
    tls: ssl.SSLContext | None = None
    """Serve https with this certificate."""
    _server: ThreadingHTTPServer | None = None
    _closing: threading.Event = field(default_factory=threading.Event)

    @property
    def url(self) -> str:
        """``http://127.0.0.1:PORT``."""
        assert self._server is not None
        return f"http{'s' if self.tls else ''}://127.0.0.1:{self._server.server_address[1]}"

    @property
    def handler(self) -> type[BaseHTTPRequestHandler]:
        """What answers its requests."""
        assert self._server is not None
        return cast("type[BaseHTTPRequestHandler]", self._server.RequestHandlerClass)

    def __enter__(self) -> Self:
        outer: Origin = self

        class Handler(_Handler):
            origin = outer

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        if self.tls is not None:
            self._server.socket = self.tls.wrap_socket(self._server.socket, server_side=True)
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        assert self._server is not None
        self._closing.set()
        self._server.shutdown()
        self._server.server_close()

    @property
    def sent(self) -> int:
        """Bytes of bodies written so far."""
        return sum(seen.sent for seen in self.seen)


@functools.lru_cache
def _digest(body: bytes) -> str:
    """Return the SHA-256 of a file, computed once: for a big one it takes longer than a client's patience."""
    return hashlib.sha256(body).hexdigest()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    origin: Origin

    def setup(self) -> None:
        super().setup()
        self.origin.connections += 1

    def log_message(self, *_: object) -> None:
        pass

    def handle(self) -> None:
        try:
            super().handle()
        except (ConnectionError, TimeoutError):
            self.close_connection = True

    def do_GET(self) -> None:
        origin = self.origin
        seen = Seen(self.path, {key.lower(): value for key, value in self.headers.items()})
        origin.seen.append(seen)
        if origin.on_request:
            origin.on_request(seen)
        fault = origin.faults.pop(0) if origin.faults else None
        if fault is None and origin.fault_of is not None:
            fault = origin.fault_of(seen)
        fault = fault or Fault()
        if self.path in origin.redirects:
            self.empty(302, ("Location", origin.redirects[self.path]))
        elif origin.auth is not None and seen.headers.get("authorization") != origin.auth:
            self.empty(401, ("WWW-Authenticate", 'Basic realm="x"'))
        elif fault.status is not None:
            self.empty(fault.status, *fault.headers)
        elif self.path.partition("?")[0] not in origin.files:
            self.empty(404)
        else:
            self.file(seen, origin.files[self.path.partition("?")[0]], fault)

    def empty(self, status: int, *headers: tuple[str, str]) -> None:
        self.send_response(status)
        self.send_header("Content-Length", "0")
        for key, value in headers:
            self.send_header(key, value)
        self.end_headers()

    def file(self, seen: Seen, body: bytes, fault: Fault) -> None:
        origin = self.origin
        digest = _digest(body)[:16]
        stamp = f"Mon, 0{int(digest[0], 16) % 9 + 1} Jan 2024 00:00:00 GMT"
        validators = {
            "etag": [("ETag", f'"{digest}"')],
            "weak": [("ETag", f'W/"{digest}"'), ("Last-Modified", stamp)],
            "modified": [("Last-Modified", stamp)],
            "none": [],
        }[origin.validator]
        known = {value for _, value in validators}
        first, last, status = 0, len(body) - 1, 200
        wanted = seen.range
        if wanted and origin.ranges and seen.headers.get("if-range", "") in {"", *known}:
            begin, _, end = wanted.removeprefix("bytes=").partition("-")
            first, last, status = int(begin), min(int(end) if end else len(body), len(body) - 1), 206
            if first >= len(body):
                self.empty(416, ("Content-Range", f"bytes */{len(body)}"))
                return
        self.send_response(status)
        for key, value in validators:
            self.send_header(key, value)
        if status == 206:
            claim = fault.wrong_range or (first, last, len(body))
            self.send_header("Content-Range", "bytes {}-{}/{}".format(*claim))
        if origin.lengths:
            self.send_header("Content-Length", str(last + 1 - first))
        else:
            self.send_header("Connection", "close")
        self.end_headers()
        self.body(seen, body, first, last + 1, fault)

    def body(self, seen: Seen, body: bytes, first: int, end: int, fault: Fault) -> None:
        at = first
        step = 1 << 14 if self.origin.rate or fault != Fault() else 1 << 20
        while at < end:
            done = at - first
            limits = [n - done for n in (fault.stop_after, fault.stall_after) if n is not None]
            if limits and min(limits) <= 0:
                self.wfile.flush()
                if fault.stall_after is not None:
                    self.origin._closing.wait(20)
                self.close_connection = True
                return
            piece = body[at : min(at + min([step, *limits]), end)]
            if fault.damage_at is not None and done <= fault.damage_at < done + len(piece):
                index = fault.damage_at - done
                piece = piece[:index] + bytes([piece[index] ^ 1]) + piece[index + 1 :]
            seen.sent += len(piece)  # before it is: a client that has the last of it may look at once
            try:
                self.wfile.write(piece)
            except OSError:
                seen.sent -= len(piece)
                raise
            at += len(piece)
            if self.origin.rate:
                time.sleep(len(piece) / self.origin.rate)
        if not self.origin.lengths:
            self.close_connection = True
