"""HTTP for the worker: pip's own session (credentials, netrc, proxies, certificates, cache), used from many threads."""

from __future__ import annotations

import hashlib
import threading
import urllib.parse
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

from pip._internal.exceptions import PipError
from pip._vendor.requests.exceptions import RequestException
from pip._vendor.urllib3.exceptions import HTTPError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pip._internal.network.session import PipSession

WORKERS = 16
"""Requests under way at once; more gained nothing at 30 ms per request."""

Value = TypeVar("Value")


class Unreachable(Exception):
    """An index or file host did not answer as it should; ``status`` is None when it did not answer at all."""

    def __init__(self, url: str, reason: str, status: int | None = None) -> None:
        super().__init__(f"{host_of(url)}: {reason}")
        self.url = without_credentials(url)
        self.host = host_of(url)
        self.reason = reason
        self.status = status


@dataclass(frozen=True, slots=True)
class Answer:
    """A response, read to its end."""

    status: int
    url: str
    """Where it came from in the end, without credentials."""
    content_type: str
    body: bytes
    content_range: str = ""


def without_credentials(url: str) -> str:
    """Return ``url`` without user, password and fragment."""
    parts = urllib.parse.urlsplit(url)
    return urllib.parse.urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, parts.query, ""))


def host_of(url: str) -> str:
    """Return the host (and port) of ``url``, for messages."""
    return urllib.parse.urlsplit(url).netloc.rpartition("@")[2] or url


class Once(Generic[Value]):
    """Runs a function once per key, whichever thread comes first; the others wait for its outcome."""

    def __init__(self, function: Callable[[str], Value]) -> None:
        self._function = function
        self._outcomes: dict[str, Future[Value]] = {}
        self._lock = threading.Lock()

    def __call__(self, key: str) -> Value:
        """Return the function's value for ``key`` (or raise what it raised)."""
        with self._lock:
            outcome = self._outcomes.get(key)
            mine = outcome is None
            if outcome is None:
                outcome = self._outcomes[key] = Future()
        if mine:
            try:
                outcome.set_result(self._function(key))
            except BaseException as error:  # noqa: BLE001 - handed to every waiting thread, this one included
                outcome.set_exception(error)
        return outcome.result()

    def known(self, key: str) -> Value | None:
        """Return the value if it is there already."""
        outcome = self._outcomes.get(key)
        if outcome is None or not outcome.done() or outcome.exception() is not None:
            return None
        return outcome.result()


class Web:
    """GET through pip's session."""

    def __init__(self, session: PipSession, on_request: Callable[[int], None] = lambda _count: None) -> None:
        self.session = session
        self._on_request = on_request
        self.requests = 0
        self.pool = ThreadPoolExecutor(WORKERS, thread_name_prefix="prefetch")
        for adapter in set(session.adapters.values()):
            if hasattr(adapter, "init_poolmanager"):
                adapter.init_poolmanager(WORKERS, WORKERS * 2)

    def get(self, url: str, headers: Mapping[str, str] | None = None) -> Answer:
        """Return the answer to a GET of ``url``, whatever its status.

        Raises:
            Unreachable: there was none.

        """
        self.requests += 1
        self._on_request(self.requests)
        try:
            with self.session.get(url, headers=dict(headers or {})) as response:
                body = response.content
        except (RequestException, PipError, HTTPError, OSError) as error:
            raise Unreachable(url, _reason(error)) from error
        return Answer(
            response.status_code,
            without_credentials(response.url or url),
            response.headers.get("Content-Type", ""),
            body,
            response.headers.get("Content-Range", ""),
        )

    def close(self) -> None:
        """Drop guesses that are under way, and the connections."""
        self.pool.shutdown(wait=False, cancel_futures=True)
        self.session.close()

    def digest(self, url: str) -> tuple[str, int]:
        """Return sha256 (64 hexadecimal digits) and size (bytes) of the file at ``url``, read in chunks.

        Raises:
            Unreachable: it could not be read to its end.

        """
        self.requests += 1
        digest, size = hashlib.sha256(), 0
        try:
            with self.session.get(url, headers={"Accept-Encoding": "identity"}, stream=True) as response:
                if response.status_code != 200:
                    raise Unreachable(url, f"it answered HTTP {response.status_code} for a file that its index lists")
                for chunk in response.iter_content(1 << 20):
                    digest.update(chunk)
                    size += len(chunk)
                announced = response.headers.get("Content-Length")
        except (RequestException, PipError, HTTPError, OSError) as error:
            raise Unreachable(url, _reason(error)) from error
        if announced is not None and int(announced) != size:
            raise Unreachable(url, f"it sent {size} of {announced} bytes")
        return digest.hexdigest(), size


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
        ("certificate", "its certificate is not trusted"),
        ("timed out", "no answer in time"),
        ("timeout", "no answer in time"),
        ("unreachable", "the network is unreachable"),
        ("proxy", "the proxy did not let it through"),
        ("reset", "the connection was reset"),
        ("too many 5", "it answered with server errors"),
    ):
        if sign in text:
            return words
    return f"the connection failed ({type(error).__name__})"
