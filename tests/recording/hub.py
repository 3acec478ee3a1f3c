"""A stand-in for the Hub of models that its own client downloads from: HEAD and GET of files, with their commit."""

from __future__ import annotations

import hashlib
import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Mapping

COMMIT = "c" * 40


class Hub:
    """Serves ``org/repo`` with ``files``, its branch main at `COMMIT`."""

    def __init__(self, files: Mapping[str, bytes]) -> None:
        siblings = [
            {
                "rfilename": name,
                "size": len(data),
                "lfs": {"sha256": _sha256(data), "size": len(data), "pointerSize": 1},
            }
            for name, data in files.items()
        ]
        info = json.dumps({"id": "org/repo", "sha": COMMIT, "siblings": siblings, "private": False}).encode()

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: object) -> None:
                pass

            def do_GET(self, *, body: bool = True) -> None:
                match = re.fullmatch(rf"/org/repo/resolve/(?:main|{COMMIT})/(.+)", self.path.partition("?")[0])
                found = files.get(match[1]) if match else None
                if self.path.startswith("/api/models/org/repo"):
                    found = info
                self.send_response(404 if found is None else 200)
                data = found or b""
                self.send_header("Content-Length", str(len(data)))
                self.send_header("ETag", f'"{_sha256(data)}"')
                self.send_header("X-Repo-Commit", COMMIT)
                self.end_headers()
                if body:
                    self.wfile.write(data)

            def do_HEAD(self) -> None:
                self.do_GET(body=False)

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"

    def __enter__(self) -> Self:
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.server.server_close()


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
