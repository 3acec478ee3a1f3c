"""``python -m benchmarks.build.serve FOLDER LATENCY``: a Simple index and a file server in a process of its own.

Serves ``/simple/<name>/`` (JSON), ``/files/<name>`` with Range and ETag, and ``/files/<wheel>.metadata``; every request
waits LATENCY seconds first. Prints its port. Files are sent by the kernel, so that the server is no bottleneck.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import threading
import time
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from packaging.utils import canonicalize_name

from kpack.files import sha256_of


class Handler(BaseHTTPRequestHandler):
    """Answers from what `main` found in the folder."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    folder: Path
    latency: float
    pages: dict[str, bytes]
    metadata: dict[str, bytes]

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        """Answer one request."""
        time.sleep(self.latency)
        kind, _, name = self.path.strip("/").partition("/")
        if kind == "simple":
            self.send(self.pages.get(name.strip("/")), "application/vnd.pypi.simple.v1+json")
        elif name.endswith(".metadata"):
            self.send(self.metadata.get(name.removesuffix(".metadata")), "text/plain")
        else:
            self.file(self.folder / name)

    def send(self, body: bytes | None, content_type: str) -> None:
        """Send a small body, or 404."""
        self.send_response(200 if body is not None else 404)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body or b"")))
        self.end_headers()
        self.wfile.write(body or b"")

    def file(self, path: Path) -> None:
        """Send a file or a range of it."""
        size = path.stat().st_size
        first, end = 0, size
        asked = self.headers.get("Range")
        if asked:
            begin, _, last = asked.removeprefix("bytes=").partition("-")
            first, end = int(begin), min(int(last) + 1, size) if last else size
        self.send_response(206 if asked else 200)
        self.send_header("ETag", f'"{hashlib.sha256(f"{path.name} {size}".encode()).hexdigest()[:16]}"')
        self.send_header("Content-Length", str(end - first))
        if asked:
            self.send_header("Content-Range", f"bytes {first}-{end - 1}/{size}")
        self.end_headers()
        self.wfile.flush()
        with path.open("rb") as stream:
            while first < end:
                first += os.sendfile(self.connection.fileno(), stream.fileno(), first, min(end - first, 1 << 20))


def main() -> None:
    """Read the folder and serve until stdin ends."""
    Handler.folder, Handler.latency = Path(sys.argv[1]), float(sys.argv[2])
    Handler.pages, Handler.metadata = {}, {}
    for wheel in sorted(Handler.folder.glob("*.whl")):
        with zipfile.ZipFile(wheel) as archive:
            name = next(n for n in archive.namelist() if n.count("/") == 1 and n.endswith(".dist-info/METADATA"))
            Handler.metadata[wheel.name] = archive.read(name)
        row = {
            "filename": wheel.name,
            "url": f"../../files/{wheel.name.replace('+', '%2B')}",
            "hashes": {"sha256": sha256_of(wheel)},
            "size": wheel.stat().st_size,
            "core-metadata": {"sha256": hashlib.sha256(Handler.metadata[wheel.name]).hexdigest()},
        }
        project = canonicalize_name(wheel.name.split("-")[0])
        page = {"meta": {"api-version": "1.1"}, "name": project, "files": [row]}
        Handler.pages[project] = json.dumps(page).encode()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(server.server_address[1], flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
