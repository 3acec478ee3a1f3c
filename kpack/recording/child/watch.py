"""Watches what a process downloads and which files it writes.

It runs as ``sitecustomize`` of every Python that a recorded notebook starts, with ``LOG`` (a file that gets one JSON
object a line) in its globals. Requests are seen where they are made: in ``http.client`` (urllib, requests, urllib3) and
in httpx, httpx2 and aiohttp. Of headers nothing is written down but whether there were credentials.
"""

from __future__ import annotations

import hashlib
import http.client
import importlib.util
import itertools
import json
import os
import sys
import threading
from typing import Any, Dict, Optional, Set

LOG = str(globals()["LOG"])
WRITING = os.O_WRONLY | os.O_RDWR
SECRET = ("authorization", "cookie", "x-api-key", "private-token")

_numbers = itertools.count()
_guard = threading.local()


def write(**row: Any) -> None:
    """Add a line to the log; one write call, so that the lines of several processes do not mix."""
    data = (json.dumps(row) + "\n").encode()
    _guard.writing = True
    try:
        descriptor = os.open(LOG, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            os.write(descriptor, data)
        finally:
            os.close(descriptor)
    finally:
        _guard.writing = False


class DigestedBody:
    """The body of an answer, digested as it is read."""

    def __init__(self, number: str) -> None:
        self.number = number
        self.digest = hashlib.sha256()
        self.size = 0
        self.busy = False
        self.told = False

    def feed(self, data: bytes) -> None:
        """Take a piece."""
        self.digest.update(data)
        self.size += len(data)

    def end(self) -> None:
        """Say what it was."""
        if not self.told:
            self.told = True
            write(kind="body", id=self.number, sha256=self.digest.hexdigest(), size=self.size)


def answered(method: str, url: str, status: int, location: Optional[str], *, secret: bool = False) -> DigestedBody:
    """Say that a request was answered, and return who digests the body."""
    number = "{}-{}".format(os.getpid(), next(_numbers))
    write(kind="request", id=number, method=method, url=url, status=status, location=location, secret=secret)
    return DigestedBody(number)


def watch_http() -> None:
    """Look into ``http.client``."""
    connection: Any = http.client.HTTPConnection
    response: Any = http.client.HTTPResponse
    put, header, answer = connection.putrequest, connection.putheader, connection.getresponse

    def putrequest(self: Any, method: str, url: str, *rest: Any, **more: Any) -> Any:
        self._kpack_asked = [method, url, False]
        return put(self, method, url, *rest, **more)

    def putheader(self: Any, name: Any, *values: Any) -> Any:
        text = name.decode("latin-1") if isinstance(name, bytes) else str(name)
        if text.lower() in SECRET and hasattr(self, "_kpack_asked"):
            self._kpack_asked[2] = True
        return header(self, name, *values)

    def getresponse(self: Any, *rest: Any, **more: Any) -> Any:
        found = answer(self, *rest, **more)
        asked = self.__dict__.pop("_kpack_asked", None)
        if asked is not None:
            method, url, secret = asked
            place = found.headers.get("Location")
            body = answered(method, whole(self, url), found.status, place, secret=secret)
            found.__dict__["_kpack_body"] = body
        return found

    connection.putrequest, connection.putheader, connection.getresponse = putrequest, putheader, getresponse
    for name in ("read", "read1", "readinto", "readline"):
        setattr(response, name, reading(getattr(response, name), into=name == "readinto"))


def reading(original: Any, *, into: bool) -> Any:
    """Return a method of an answer that digests what it reads; one such method may call another."""

    def method(self: Any, *arguments: Any) -> Any:
        body = self.__dict__.get("_kpack_body")
        if body is None or body.busy:
            return original(self, *arguments)
        body.busy = True
        try:
            result = original(self, *arguments)
        finally:
            body.busy = False
        data = bytes(memoryview(arguments[0])[:result]) if into else result
        body.feed(data)
        if self.isclosed() or (not data and not (arguments and arguments[0] == 0)):
            body.end()
        return result

    return method


def whole(connection: Any, url: str) -> str:
    """Return the URL of a request; a proxy is asked with a whole one."""
    if "://" in url:
        return url
    secure = connection.default_port == 443
    host = getattr(connection, "_tunnel_host", None) or connection.host
    port = connection._tunnel_port if getattr(connection, "_tunnel_host", None) else connection.port  # noqa: SLF001
    host = "[{}]".format(host) if ":" in host else host
    place = host if port in (None, 443 if secure else 80) else "{}:{}".format(host, port)
    return "{}://{}{}".format("https" if secure else "http", place, url)


def watch_httpx(module: Any) -> None:
    """Look into httpx (or httpx2, what follows it), both clients."""

    class DigestedStream(module.SyncByteStream):  # type: ignore[misc]
        def __init__(self, inner: Any, body: DigestedBody) -> None:
            self.inner, self.body = inner, body

        def __iter__(self) -> Any:
            for piece in self.inner:
                self.body.feed(piece)
                yield piece
            self.body.end()

        def close(self) -> None:
            self.inner.close()

    class DigestedAsyncStream(module.AsyncByteStream):  # type: ignore[misc]
        def __init__(self, inner: Any, body: DigestedBody) -> None:
            self.inner, self.body = inner, body

        async def __aiter__(self) -> Any:
            async for piece in self.inner:
                self.body.feed(piece)
                yield piece
            self.body.end()

        async def aclose(self) -> None:
            await self.inner.aclose()

    def told(request: Any, response: Any, stream: Any) -> Any:
        secret = any(name in request.headers for name in SECRET)
        location = response.headers.get("location")
        body = answered(request.method, str(request.url), response.status_code, location, secret=secret)
        response.stream = stream(response.stream, body)
        return response

    send, send_async = module.Client._send_single_request, module.AsyncClient._send_single_request  # noqa: SLF001

    def single(self: Any, request: Any) -> Any:
        return told(request, send(self, request), DigestedStream)

    async def single_async(self: Any, request: Any) -> Any:
        return told(request, await send_async(self, request), DigestedAsyncStream)

    module.Client._send_single_request = single  # noqa: SLF001
    module.AsyncClient._send_single_request = single_async  # noqa: SLF001


def watch_aiohttp(module: Any) -> None:
    """Look into aiohttp: its client, and the reader from which every way of reading takes its pieces."""
    original, reader = module.ClientSession._request, module.StreamReader  # noqa: SLF001
    take, feed_eof = reader._read_nowait_chunk, reader.feed_eof  # noqa: SLF001
    bodies: Dict[int, Any] = {}  # by the id of a reader, which has no room for more; it is kept so that its id is

    def at_end(self: Any) -> None:
        if id(self) in bodies and self.at_eof():
            bodies.pop(id(self))[1].end()

    def chunk(self: Any, size: int) -> bytes:
        data: bytes = take(self, size)
        if id(self) in bodies:
            bodies[id(self)][1].feed(data)
            at_end(self)
        return data

    def eof(self: Any) -> None:
        feed_eof(self)
        at_end(self)

    async def request(self: Any, method: str, url: Any, *rest: Any, **more: Any) -> Any:
        response = await original(self, method, url, *rest, **more)
        secret = any(name in response.request_info.headers for name in SECRET)
        body = answered(method, str(url), response.status, None, secret=secret)
        bodies[id(response.content)] = response.content, body
        return response

    reader._read_nowait_chunk, reader.feed_eof = chunk, eof  # noqa: SLF001
    module.ClientSession._request = request  # noqa: SLF001


def plain_hub(module: Any) -> None:
    """Have the Hub's client download by HTTP, whatever the code asks for: hf_xet and hf_transfer cannot be seen."""
    module.HF_HUB_DISABLE_XET = True
    module.HF_HUB_ENABLE_HF_TRANSFER = False


LATER: Dict[str, Any] = {
    "httpx": watch_httpx,
    "httpx2": watch_httpx,
    "aiohttp": watch_aiohttp,
    "huggingface_hub.constants": plain_hub,
}


class Later:
    """Finds the modules of `LATER` and has them watched when they are imported."""

    def __init__(self) -> None:
        self.looking = False

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:  # noqa: ARG002
        """Return the module's own spec, whose loader tells."""
        if name not in LATER or self.looking:
            return None
        self.looking = True
        try:
            spec = importlib.util.find_spec(name)
        finally:
            self.looking = False
        if spec is not None and spec.loader is not None:
            spec.loader = Told(spec.loader, LATER[name])  # type: ignore[assignment]
        return spec


class Told:
    """A loader that tells when the module is there."""

    def __init__(self, inner: Any, then: Any) -> None:
        self.inner, self.then = inner, then

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def create_module(self, spec: Any) -> Any:
        """Return what the loader makes."""
        return self.inner.create_module(spec)

    def exec_module(self, module: Any) -> None:
        """Run the module, then look into it."""
        self.inner.exec_module(module)
        self.then(module)


_seen: Set[str] = set()


def heard(event: str, arguments: Any) -> None:
    """Write down which files are opened to be written, and what is renamed."""
    if event == "open" and not getattr(_guard, "writing", False):
        path, mode, flags = arguments
        wanted = any(letter in mode for letter in "wax+") if isinstance(mode, str) else flags & WRITING
        if wanted and isinstance(path, (str, bytes)):
            written(os.fsdecode(path))
    elif event == "os.rename":
        written(os.fsdecode(arguments[1]))


def written(path: str) -> None:
    """Write down a path once."""
    path = os.path.abspath(path)
    if path not in _seen and not path.startswith(("/dev/", "/proc/")) and path != LOG:
        _seen.add(path)
        write(kind="written", path=path)


def installs() -> bool:
    """Tell whether this process is an installer of packages, whose downloads are no checkpoints."""
    try:
        with open("/proc/self/cmdline", "rb") as stream:
            words = stream.read().decode("utf-8", "replace").split("\0")[:4]
    except OSError:
        return False
    return any(word.rpartition("/")[2] in ("pip", "pip3", "uv", "conda") for word in words)


if not installs():
    watch_http()
    sys.meta_path.insert(0, Later())
    sys.addaudithook(heard)
