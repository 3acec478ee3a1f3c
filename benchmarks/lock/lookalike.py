"""An index look-alike on loopback for benchmarks: real pages and metadata, recorded once, then served with a latency.

``python -m benchmarks.lock.lookalike FOLDER [--latency SECONDS] [--port PORT] [--fetch]`` prints its URL and serves

- ``/simple/<name>/`` (PEP 691 JSON, PEP 658 announced, ETag, ``max-age=600``, gzip) from FOLDER,
- ``<file URL>.metadata`` from FOLDER,
- ``/<name>/json`` as pip-compile asks for it, made from the recorded page.

With ``--fetch``, what FOLDER lacks is fetched from pip's own default index and kept; without, it is 404. FOLDER belongs
outside the repository. The server is one thread without a framework, so that it takes little from what is measured.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gzip
import hashlib
import json
import re
import sys
import urllib.parse
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import requests
from pip._internal.models.index import PyPI

if TYPE_CHECKING:
    from kpack.resolve.worker.connection import Connection

SIMPLE = "application/vnd.pypi.simple.v1+json"
WHEEL = re.compile(r"(?P<name>[^-]+)-(?P<version>[^-]+)(-\d[^-]*)?-[^-]+-[^-]+-[^-]+\.whl")


class Recorder:
    """Answers from a folder, and fetches what it lacks when it may."""

    def __init__(self, folder: Path, *, fetch: bool) -> None:
        self.folder = folder
        self.fetch = fetch
        self.session = requests.Session()
        self.session.mount("https://", requests.adapters.HTTPAdapter(pool_maxsize=32))
        self.memory: dict[str, bytes | None] = {}

    def page(self, name: str) -> bytes | None:
        """Return the JSON page of ``name`` as the index gave it."""
        return self._kept(f"simple/{name}.json.gz", lambda: self._page(name))

    def metadata(self, url: str) -> bytes | None:
        """Return METADATA of the wheel at ``url``."""
        return self._kept(f"metadata/{hashlib.sha256(url.encode()).hexdigest()}.gz", lambda: self._metadata(url))

    def _kept(self, key: str, make: Any) -> bytes | None:
        if key in self.memory:
            return self.memory[key]
        path = self.folder / key
        if path.exists():
            found = gzip.decompress(path.read_bytes()) or None
        elif self.fetch:
            found = make()
            path.parent.mkdir(parents=True, exist_ok=True)
            part = path.with_suffix(f".{id(found)}.part")
            part.write_bytes(gzip.compress(found or b"", mtime=0))
            part.replace(path)
        else:
            found = None
        self.memory[key] = found
        return found

    def _page(self, name: str) -> bytes | None:
        answer = self.session.get(f"{PyPI.simple_url}/{name}/", headers={"Accept": SIMPLE}, timeout=60)
        return answer.content if answer.status_code == 200 else None

    def _metadata(self, url: str) -> bytes | None:
        answer = self.session.get(url + ".metadata", timeout=60)
        if answer.status_code == 200 and b"Metadata-Version" in answer.content[:4096]:
            return answer.content
        from kpack.resolve.worker.metadata import BadMetadata
        from kpack.resolve.worker.web import Unreachable

        file: Any = SimpleNamespace(url=url, filename=url.rpartition("/")[2], size=None)
        try:
            return self._connection.metadata.from_wheel(file)
        except (BadMetadata, Unreachable) as error:
            print(f"{url}: {error}", file=sys.stderr)
            return None

    @cached_property
    def _connection(self) -> Connection:
        """What a worker of kpack reads with: only what the records lack is read, so it is opened when it is needed."""
        from kpack.resolve.worker.connection import connect

        return connect([], "", lambda _count: None)


class Lookalike:
    """The server."""

    def __init__(self, recorder: Recorder, latency: float) -> None:
        self.recorder = recorder
        self.latency = latency
        self.pool = ThreadPoolExecutor(16)
        self.root = ""
        self.ready: dict[str, tuple[bytes, bytes, str, str] | None] = {}
        self.originals: dict[str, str] = {}

    def answer(self, path: str) -> tuple[bytes, bytes, str, str] | None:
        """Return (body, gzipped body, content type, cache control) for ``path``; None for 404."""
        if path not in self.ready:
            self.ready[path] = self._answer(path)
        return self.ready[path]

    def _answer(self, path: str) -> tuple[bytes, bytes, str, str] | None:
        if path == "/simple/":
            return _both(b'{"meta": {"api-version": "1.1"}, "projects": []}', SIMPLE, "no-store")
        if path.startswith("/simple/"):
            page = self._page(path.removeprefix("/simple/").strip("/"))
            return _both(json.dumps(page).encode(), SIMPLE, "max-age=600, public") if page else None
        if path.endswith("/json"):
            page = self._page(path.removesuffix("/json").rpartition("/")[2])
            body = json.dumps(_releases(page)).encode() if page else b""
            return _both(body, "application/json", "max-age=900, public") if body else None
        if path.startswith("/f/") and path.endswith(".metadata"):
            url = self.originals.get(path.split("/")[2])
            found = self.recorder.metadata(url) if url else None
            return _both(found, "application/octet-stream", "max-age=365000000, immutable, public") if found else None
        return None

    def _page(self, name: str) -> dict[str, Any] | None:
        raw = self.recorder.page(name)
        if raw is None:
            return None
        page: dict[str, Any] = json.loads(raw)
        for file in page["files"]:
            original = urllib.parse.urljoin(f"{PyPI.simple_url}/{name}/", file["url"])
            key = hashlib.sha256(original.encode()).hexdigest()[:16]
            self.originals[key] = original
            file["url"] = f"{self.root}/f/{key}/{file['filename']}"
            if file["filename"].endswith(".whl"):
                file["core-metadata"] = True
        return page

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        loop = asyncio.get_running_loop()
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
                method, target, _ = head[0].split(" ")
                headers = {key.lower(): value.strip() for key, _, value in (line.partition(":") for line in head[1:])}
                path = target.partition("?")[0]
                await asyncio.sleep(self.latency)
                found = await loop.run_in_executor(self.pool, self.answer, path)
                writer.write(_response(method, headers, found))
                await writer.drain()
        writer.close()


def _both(body: bytes, kind: str, cache: str) -> tuple[bytes, bytes, str, str]:
    return body, gzip.compress(body, 6, mtime=0), kind, cache


def _releases(page: dict[str, Any]) -> dict[str, Any]:
    """Return what the JSON API says of the files: pip-compile reads url, digest and type."""
    releases: dict[str, list[dict[str, Any]]] = {}
    for file in page["files"]:
        name = file["filename"]
        found = WHEEL.fullmatch(name)
        version = found["version"] if found else re.sub(r"\.(tar\.gz|zip|tar\.bz2)$", "", name).rpartition("-")[2]
        row = {
            "url": file["url"],
            "digests": file["hashes"],
            "packagetype": "bdist_wheel" if found else "sdist",
            "filename": name,
        }
        releases.setdefault(version, []).append(row)
    return {"info": {}, "releases": releases}


def _response(method: str, headers: dict[str, str], found: tuple[bytes, bytes, str, str] | None) -> bytes:
    if found is None:
        return b"HTTP/1.1 404 Not Found\r\nContent-Type: text/plain\r\nContent-Length: 0\r\n\r\n"
    body, small, kind, cache = found
    etag = f'"{hashlib.sha256(body).hexdigest()[:20]}"'
    fields = f"Content-Type: {kind}\r\nCache-Control: {cache}\r\nETag: {etag}\r\nVary: Accept-Encoding\r\n"
    if headers.get("if-none-match") == etag:
        return f"HTTP/1.1 304 Not Modified\r\n{fields}\r\n".encode()
    if "gzip" in headers.get("accept-encoding", ""):
        body, fields = small, fields + "Content-Encoding: gzip\r\n"
    start = f"HTTP/1.1 200 OK\r\n{fields}Content-Length: {len(body)}\r\n\r\n".encode()
    return start if method == "HEAD" else start + body


async def main() -> None:
    """Serve until killed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--latency", type=float, default=0.03)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--fetch", action="store_true")
    options = parser.parse_args()
    lookalike = Lookalike(Recorder(options.folder, fetch=options.fetch), options.latency)
    server = await asyncio.start_server(lookalike.serve, "127.0.0.1", options.port, limit=1 << 20)
    lookalike.root = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    print(lookalike.root, flush=True)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(main())
    sys.exit(0)
