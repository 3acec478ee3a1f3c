"""A git repository over HTTP, for those who have its password."""

from __future__ import annotations

import base64
import subprocess
import threading
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path


def git(folder: Path, *words: str) -> str:
    """Run git in ``folder`` and return what it says."""
    command = ["git", "-C", str(folder), "-c", "user.name=t", "-c", "user.email=t@localhost", *words]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


@contextmanager
def guarded(folder: Path, files: Mapping[str, str], user: str, password: str) -> Iterator[tuple[str, str]]:
    """Serve a repository of ``files`` below ``folder``; give ``127.0.0.1:PORT/r.git`` and its commit."""
    work = folder / "work"
    work.mkdir(parents=True)
    for name, text in files.items():
        (work / name).write_text(text)
    git(work, "init", "-q", "-b", "main")
    git(work, "add", ".")
    git(work, "commit", "-qm", "first")
    git(work, "clone", "-q", "--bare", str(work), str(folder / "r.git"))
    git(folder / "r.git", "update-server-info")
    key = "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()

    class Handler(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

        def do_GET(self) -> None:
            if self.headers.get("Authorization") == key:
                super().do_GET()
                return
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Basic realm="r"')
            self.send_header("Content-Length", "0")
            self.end_headers()

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(folder))) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        yield f"127.0.0.1:{server.server_address[1]}/r.git", git(work, "rev-parse", "HEAD")
        server.shutdown()
