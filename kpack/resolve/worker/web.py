"""HTTP for the worker, loaded with the first request: where all pages are fresh none is sent."""

from __future__ import annotations

import threading
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING, Generic, TypeVar

from kpack import urls
from kpack.resolve.wire import Failure

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pip._internal.network.session import PipSession

    from kpack.resolve.worker.transport import Transport

WORKERS = 16
"""Requests under way at once; more gained nothing at 30 ms per request."""

LARGEST = 256 << 20
"""Bytes that a page or a metadata file may have."""

Value = TypeVar("Value")


class Unreachable(Exception):
    """An index or file host did not answer as it should; ``status`` is None when it did not answer at all."""

    def __init__(self, url: str, reason: str, status: int | None = None, advice: str = "") -> None:
        super().__init__(f"{urls.host(url)}: {reason}")
        self.advice = advice
        self.host = urls.host(url)
        self.reason = reason
        self.status = status

    def failure(self) -> Failure:
        """Return what the answer says of it."""
        return Failure(kind="network", host=self.host, text=self.reason, next=self.advice, status=self.status)


class Undecodable(Unreachable):
    """An answer whose Content-Encoding cannot be undone: a Range of a compressed file, say."""


@dataclass(frozen=True, slots=True)
class Response:
    """A response, read to its end or as far as was wanted."""

    status: int
    url: str
    """Where it came from in the end."""
    content_type: str
    body: bytes
    content_range: str = ""
    cut: bool = False
    """There was more than was wanted."""
    delimited: bool = True
    """Its end was told, by a length or in chunks; else it came until the connection closed."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """Those that tell how long it holds, by their names in lower case."""


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
    """GET through pip's session, from many threads; it is opened when there is something to ask."""

    def __init__(
        self,
        open_it: Callable[[Callable[[], None]], Transport],
        on_request: Callable[[int], None] = lambda _count: None,
    ) -> None:
        """Take what opens a session, given what is called before each request; ``on_request`` is told how many."""
        self._open = open_it
        self._on_request = on_request
        self.requests = 0
        self.pool = ThreadPoolExecutor(WORKERS, thread_name_prefix="prefetch")
        self._opening = threading.Lock()
        self._opened: Transport | None = None

    @property
    def session(self) -> PipSession:
        """Pip's session."""
        return self._transport().session

    def get(
        self, url: str, headers: Mapping[str, str] | None = None, *, limit: int = LARGEST, stop: int | None = None
    ) -> Response:
        """Return the answer to a GET of ``url``, whatever its status.

        An answer of more than ``limit`` bytes is an error, one of more than ``stop`` is read no further: it is `cut`.
        What may pass (a cut answer, a status that says to come back) is tried again (`transport.TRIES`).

        Raises:
            Unreachable: there was none, or one that does not end.

        """
        return self._transport().get(url, headers, limit=limit, stop=stop)

    def digest(self, url: str, beside: str = "") -> tuple[str, int, str]:
        """Return sha256 (hexadecimal digits), size (bytes) and another digest of the file at ``url``, read in chunks.

        ``beside`` names the algorithm of the other digest; without one it is empty.

        Raises:
            Unreachable: it could not be read to its end.

        """
        return self._transport().digest(url, beside)

    def save(self, url: str, stream: IO[bytes], *, limit: int) -> int:
        """Write the file at ``url`` into ``stream`` from its beginning and return its size; both in bytes.

        Raises:
            Unreachable: it could not be read to its end, or is larger than ``limit``.

        """
        return self._transport().save(url, stream, limit=limit)

    @property
    def endless(self) -> dict[str, list[str]]:
        """Names of what came until the connection closed, by host: had it broken, that would look the same."""
        found = self._opened.endless if self._opened is not None else {}
        return {host: sorted(names) for host, names in sorted(found.items())}

    def close(self) -> None:
        """Drop guesses that are under way, and the connections."""
        self.pool.shutdown(wait=False, cancel_futures=True)
        if self._opened is not None:
            self._opened.session.close()

    def _transport(self) -> Transport:
        if self._opened is None:
            with self._opening:
                if self._opened is None:
                    self._opened = self._open(self._count)
        return self._opened

    def _count(self) -> None:
        self.requests += 1
        self._on_request(self.requests)
