"""A Simple index (PEP 503, 691, 658) on loopback, for tests."""

from __future__ import annotations

import hashlib
import json
import ssl
import sys
import threading
import urllib.parse
import zipfile
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Self, cast

from packaging.utils import canonicalize_name

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@dataclass
class ServedFile:
    """One file of a project's page."""

    path: Path
    upload_time: str = "2026-01-01T00:00:00Z"
    requires_python: str | None = None
    yanked: bool | str = False
    sha256: str | None = None
    """What the page claims; None for the truth, empty for nothing (not in HTML)."""


class _Server(ThreadingHTTPServer):
    """One to which a client that goes away in the middle of an answer is no news."""

    def handle_error(self, request: object, client_address: object) -> None:
        if not isinstance(sys.exception(), ConnectionError | ssl.SSLError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]


@dataclass
class IndexServer:
    """Serves ``/simple/<name>/``, ``/files/<filename>`` (with Range) and ``/<filename>.metadata``.

    ``requests`` collects the paths that were asked for, in order. ``html`` serves PEP 503 pages only;
    ``announce_metadata`` sets ``core-metadata``; ``intercept`` may answer a request itself
    (it gets the handler, and returns True when it did).
    """

    html: bool = False
    announce_metadata: bool = True
    auth: str | None = None
    """Value that the Authorization header must have, or None."""
    latency: float = 0.0
    """Seconds."""
    page_headers: dict[str, str] = field(default_factory=dict)
    """What is sent with a page; who asks with the ETag among them gets 304."""
    files: dict[str, list[ServedFile]] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)
    intercept: Callable[[BaseHTTPRequestHandler], bool] | None = None
    tls: ssl.SSLContext | None = None
    """Serve https with this certificate."""
    _server: ThreadingHTTPServer | None = None

    def add(self, wheel: Path, **facts: object) -> Path:
        """Serve ``wheel`` (or an sdist) on its project's page; ``facts`` are fields of `ServedFile`."""
        name = canonicalize_name(wheel.name.split("-")[0] if wheel.suffix == ".whl" else wheel.name.rpartition("-")[0])
        self.files.setdefault(name, []).append(ServedFile(wheel, **facts))  # type: ignore[arg-type]
        return wheel

    @property
    def root(self) -> str:
        """``http://127.0.0.1:PORT``."""
        assert self._server is not None
        return f"http{'s' if self.tls else ''}://127.0.0.1:{self._server.server_address[1]}"

    @property
    def url(self) -> str:
        """The Simple index URL."""
        return f"{self.root}/simple/"

    @property
    def handler(self) -> type[BaseHTTPRequestHandler]:
        """What answers its requests."""
        assert self._server is not None
        return cast("type[BaseHTTPRequestHandler]", self._server.RequestHandlerClass)

    def __enter__(self) -> Self:
        outer = self

        class Handler(_Handler):
            index: IndexServer = outer

        self._server = _Server(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        if self.tls is not None:
            self._server.socket = self.tls.wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(self, *exc: object) -> None:
        assert self._server is not None
        self._server.shutdown()
        self._server.server_close()

    def find(self, filename: str) -> ServedFile | None:
        """Return the served file of that name."""
        return next((f for served in self.files.values() for f in served if f.path.name == filename), None)


def metadata_of(wheel: Path) -> bytes:
    """Return METADATA of a wheel."""
    with zipfile.ZipFile(wheel) as archive:
        name = next(n for n in archive.namelist() if n.endswith(".dist-info/METADATA"))
        return archive.read(name)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    index: IndexServer  # the server that the handler answers for

    def log_message(self, *_: object) -> None:
        pass

    def answer(self, status: int, body: bytes, content_type: str = "text/plain", **headers: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        for key, value in headers.items():
            self.send_header(key.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        index = self.index
        path = urllib.parse.unquote(urllib.parse.urlsplit(self.path).path)
        index.requests.append(path)
        if index.latency:
            threading.Event().wait(index.latency)
        if index.auth and self.headers.get("Authorization") != index.auth:
            self.answer(401, b"who are you?", WWW_Authenticate='Basic realm="index"')
            return
        if index.intercept and index.intercept(self):
            return
        if path.startswith("/simple/"):
            self.page(canonicalize_name(path.removeprefix("/simple/").strip("/")))
        elif path.startswith("/files/"):
            self.file(path.removeprefix("/files/"))
        else:
            self.answer(404, b"no such thing")

    def page(self, name: str) -> None:
        served = self.index.files.get(name)
        if served is None:
            self.answer(404, b"no such project")
            return
        rows = []
        for item in served:
            digest = hashlib.sha256(item.path.read_bytes()).hexdigest() if item.sha256 is None else item.sha256
            url = f"../../files/{urllib.parse.quote(item.path.name)}"
            row: dict[str, object] = {
                "filename": item.path.name,
                "url": url,
                "hashes": {"sha256": digest} if digest else {},
                "size": item.path.stat().st_size,
                "upload-time": item.upload_time,
                "yanked": item.yanked,
            }
            if item.requires_python:
                row["requires-python"] = item.requires_python
            if self.index.announce_metadata and item.path.suffix == ".whl":
                row["core-metadata"] = {"sha256": hashlib.sha256(metadata_of(item.path)).hexdigest()}
            rows.append(row)
        if self.index.html:
            links = "".join(
                f'<a href="{row["url"]}#sha256={row["hashes"]["sha256"]}"'  # type: ignore[index]
                + (
                    f' data-requires-python="{str(row["requires-python"]).replace(">", "&gt;").replace("<", "&lt;")}"'
                    if "requires-python" in row
                    else ""
                )
                + f">{row['filename']}</a><br>\n"
                for row in rows
            )
            self.answer(200, f"<!DOCTYPE html><html><body>{links}</body></html>".encode(), "text/html")
            return
        body = json.dumps({"meta": {"api-version": "1.1"}, "name": name, "files": rows}).encode()
        etag = self.index.page_headers.get("ETag")
        if etag and self.headers.get("If-None-Match") == etag:
            self.answer(304, b"", **self.index.page_headers)
            return
        self.answer(200, body, "application/vnd.pypi.simple.v1+json", **self.index.page_headers)

    def file(self, name: str) -> None:
        metadata = name.endswith(".metadata")
        item = self.index.find(name.removesuffix(".metadata"))
        if item is None:
            self.answer(404, b"no such file")
            return
        if metadata:
            self.answer(200, metadata_of(item.path))
            return
        body = item.path.read_bytes()
        etag = f'"{hashlib.sha256(body).hexdigest()[:16]}"'
        wanted = self.headers.get("Range")
        if wanted and self.headers.get("If-Range", etag) == etag:
            first, _, last = wanted.removeprefix("bytes=").partition("-")
            if first:
                start, end = int(first), int(last) if last else len(body) - 1
            else:
                start, end = max(0, len(body) - int(last)), len(body) - 1
            end = min(end, len(body) - 1)
            if start >= len(body):
                self.answer(416, b"", Content_Range=f"bytes */{len(body)}")
                return
            self.answer(206, body[start : end + 1], Content_Range=f"bytes {start}-{end}/{len(body)}", ETag=etag)
            return
        self.answer(200, body, "application/octet-stream", ETag=etag, Accept_Ranges="bytes")
