"""One pip session (credentials, netrc, proxies, certificates, cache) that many threads read through."""

from __future__ import annotations

import hashlib
import time
import urllib.parse
from email.utils import parsedate_to_datetime
from typing import IO, TYPE_CHECKING, Any, TypeVar

from pip._internal.exceptions import PipError
from pip._vendor.requests import utils as requests_utils
from pip._vendor.requests.exceptions import ChunkedEncodingError, ContentDecodingError, RequestException
from pip._vendor.urllib3.exceptions import HTTPError, ProtocolError

from kpack import urls
from kpack.hosts import PROXY_REFUSES, certificate_trouble, proxy_trouble
from kpack.resolve.worker.watch import Watch
from kpack.resolve.worker.web import LARGEST, WORKERS, Response, Undecodable, Unreachable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from pip._internal.network.session import PipSession

CHUNK = 1 << 15
"""Bytes that have to come within `watch.SECONDS`: what drips is given up."""

TRIES = 3
LONGEST_PAUSE = 30.0
"""Seconds that are waited before another try, whatever the server asks for."""

PASSING = frozenset({429, 500, 502, 503, 504})
"""Statuses that say to come back later."""

CACHING = ("age", "cache-control", "etag", "last-modified")
"""Headers that tell how long an answer holds."""

_PLAIN = {"Accept-Encoding": "identity"}

Value = TypeVar("Value")


class Transport:
    """GET through pip's session."""

    def __init__(self, session: PipSession, count: Callable[[], None]) -> None:
        """Take ``session`` over; ``count`` is called before each request."""
        self.session = session
        self._count = count
        self.endless: dict[str, set[str]] = {}
        """See `Web.endless`."""
        session.hooks["response"].append(self._look)  # pip's own downloads come this way, too
        for adapter in set(session.adapters.values()):
            if hasattr(adapter, "init_poolmanager"):
                adapter.init_poolmanager(WORKERS, WORKERS * 2)
                # The status comes back here in the end, and how long is waited is decided here.
                adapter.max_retries = adapter.max_retries.new(raise_on_status=False, respect_retry_after_header=False)

    def get(
        self, url: str, headers: Mapping[str, str] | None = None, *, limit: int = LARGEST, stop: int | None = None
    ) -> Response:
        """Answer `Web.get`."""

        def read(response: Any, watch: Watch) -> Response:
            return _read(url, response, watch, limit, stop)

        return self._patiently(url, dict(headers or {}), read)

    def digest(self, url: str, beside: str) -> tuple[str, int, str]:
        """Answer `Web.digest`."""

        def read(response: Any, watch: Watch) -> tuple[str, int, str]:
            digest, size = hashlib.sha256(), 0
            other = hashlib.new(beside, usedforsecurity=False) if beside else None
            for chunk in _chunks_of_file(url, response, watch):
                digest.update(chunk)
                if other is not None:
                    other.update(chunk)
                size += len(chunk)
            return digest.hexdigest(), size, other.hexdigest() if other is not None else ""

        return self._patiently(url, _PLAIN, read)

    def save(self, url: str, stream: IO[bytes], *, limit: int) -> int:
        """Answer `Web.save`."""

        def read(response: Any, watch: Watch) -> int:
            stream.seek(0)
            stream.truncate()
            size = 0
            for chunk in _chunks_of_file(url, response, watch):
                size += stream.write(chunk)
                if size > limit:
                    raise Unreachable(url, f"its answer has more than {limit:,} bytes")
            return size

        return self._patiently(url, {**_PLAIN, "Cache-Control": "no-store"}, read)

    def _look(self, response: Any, **_: object) -> None:
        """Take note of an answer whose end nobody tells; metadata has a digest, or is not believed then."""
        path = urllib.parse.urlsplit(response.url or "").path.rstrip("/")
        if response.status_code == 200 and not _delimited(response) and not path.endswith(".metadata"):
            name = urllib.parse.unquote(path.rpartition("/")[2])
            self.endless.setdefault(urls.host(response.url), set()).add(name)

    def _patiently(self, url: str, headers: dict[str, str], read: Callable[[Any, Watch], Value]) -> Value:
        """Return what ``read`` makes of the answer to a GET; the last try returns or raises."""
        for left in reversed(range(TRIES)):
            self._count()
            pause = 0.5
            try:
                with Watch() as watch, self.session.get(url, headers=headers, stream=True) as response:
                    if trouble := _of_proxy(url, response.status_code):
                        raise trouble
                    if response.status_code not in PASSING or not left:
                        return read(response, watch)
                    pause = retry_after(response.headers.get("Retry-After", ""), 0.5)
            except Broken as error:
                if not left:
                    raise Unreachable(url, error.reason) from error
            except ContentDecodingError as error:
                raise Undecodable(url, "its answer is compressed, and cannot be unpacked") from error
            except (RequestException, PipError, HTTPError, OSError) as error:
                if not left or not isinstance(error, ChunkedEncodingError | ProtocolError):
                    if trouble := _of_proxy(url, error):
                        raise trouble from error
                    if found := certificate_trouble(error):
                        raise Unreachable(url, found.what, advice=found.next) from error
                    raise Unreachable(url, "its answer does not end" if watch.ended else _reason(error)) from error
            time.sleep(pause)
        raise AssertionError("the last try returns or raises")


def _of_proxy(url: str, error: BaseException | int) -> Unreachable | None:
    """Return the error for a proxy that is in the way, or None: ``error`` is an exception or a status."""
    if isinstance(error, int) and error != PROXY_REFUSES:
        return None
    trouble = proxy_trouble(url, error, requests_utils)
    return None if trouble is None else Unreachable(url, trouble.what, advice=trouble.next)


class Broken(Exception):
    """An answer that ended too early."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def _read(url: str, response: Any, watch: Watch, limit: int, stop: int | None) -> Response:
    """Read a response to its end, or until ``stop`` bytes are there."""
    body, cut = bytearray(), False
    for chunk in _chunks(response, watch):
        body += chunk
        if stop is not None and len(body) > stop:
            cut = True
            break
        if len(body) > limit:
            raise Unreachable(url, f"its answer has more than {limit:,} bytes")
    return Response(
        response.status_code,
        response.url or url,
        response.headers.get("Content-Type", ""),
        bytes(body),
        response.headers.get("Content-Range", ""),
        cut,
        _delimited(response),
        {name: value for name in CACHING if (value := response.headers.get(name))},
    )


def _delimited(response: Any) -> bool:
    """Tell whether an answer says where it ends (RFC 9112, section 6.3)."""
    headers = response.headers
    return (
        "Content-Length" in headers
        or "chunked" in headers.get("Transfer-Encoding", "").lower()
        or getattr(response, "from_cache", False)
        or not str(response.url).startswith("http")
    )


def _chunks_of_file(url: str, response: Any, watch: Watch) -> Iterator[bytes]:
    """Yield the bytes of a file that an index lists."""
    if response.status_code != 200:
        words = f"it answered HTTP {response.status_code} for a file that its index lists"
        raise Unreachable(url, words, response.status_code)
    yield from _chunks(response, watch)


def _chunks(response: Any, watch: Watch) -> Iterator[bytes]:
    """Yield what an answer carries, unpacked.

    Raises:
        Broken: it ended before the length that it announces.

    """
    received = 0
    for chunk in response.iter_content(CHUNK):
        watch.extend()
        received += len(chunk)
        yield chunk
    announced = str(response.headers.get("Content-Length", ""))  # of a file, pip 25 and older give a number
    # Older urllib3 takes a cut body for a whole one; a compressed one tells by itself.
    plain = not response.headers.get("Content-Encoding") and not getattr(response, "from_cache", False)
    if plain and announced.isdecimal() and announced.lstrip("0") != str(received).lstrip("0"):
        raise Broken(f"it sent {received} of {announced[:20]} bytes")


def retry_after(text: str, default: float) -> float:
    """Return the seconds that Retry-After (RFC 9110, section 10.2.3) asks for, at most `LONGEST_PAUSE`."""
    if text.isdecimal():
        return min(float(text[:6]), LONGEST_PAUSE)
    try:
        until = parsedate_to_datetime(text).timestamp()
    except (TypeError, ValueError, OverflowError):
        return default
    return min(max(until - time.time(), 0.0), LONGEST_PAUSE)


def _reason(error: BaseException) -> str:
    """Return one sentence, free of URLs, on why a connection failed."""
    seen: list[str] = []
    step: BaseException | None = error
    while step is not None and len(seen) < 8:
        seen.append(type(step).__name__ + " " + str(step))
        inner = getattr(step, "reason", None)
        step = step.__cause__ or step.__context__ or (inner if isinstance(inner, BaseException) else None)
    text = " ".join(seen).lower()
    for sign, words in (
        ("name or service not known", "the name is not known to DNS"),
        ("nodename nor servname", "the name is not known to DNS"),
        ("getaddrinfo", "the name is not known to DNS"),
        ("name resolution", "the name is not known to DNS"),
        ("refused", "the connection was refused"),
        ("timed out", "no answer in time"),
        ("timeout", "no answer in time"),
        ("unreachable", "the network is unreachable"),
        ("reset", "the connection was reset"),
        ("too many 5", "it answered with server errors"),
    ):
        if sign in text:
            return words
    return f"the connection failed ({type(error).__name__})"
