"""The one HTTP client: proxies, netrc and certificates as the environment says, streams with a stall limit."""

from __future__ import annotations

import contextlib
import http.cookiejar
import re
import socket
import threading
import time
import weakref
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Self

import requests
import urllib3.exceptions

import kpack
from kpack.fetch import trust
from kpack.fetch.content import Facts
from kpack.fetch.model import Patience
from kpack.fetch.refusal import refusal
from kpack.hosts import (
    PROXY_REFUSES,
    causes_of,
    certificate_trouble,
    check_files,
    once_per_host,
    proxy_trouble,
    shown_to_servers,
    trusted,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from kpack.hosts import ProxyTrouble

CHUNK = 1 << 18
"""Bytes read from a connection at a time."""

_TRANSIENT_STATUS = frozenset({408, 425, 429, 500, 502, 503, 504})
_DIGITS = re.compile(r"[0-9]{1,18}")
_CONTENT_RANGE = re.compile(r"bytes ([0-9]{1,18})-([0-9]{1,18})/([0-9]{1,18})")
_UNSATISFIED_RANGE = re.compile(r"bytes \*/([0-9]{1,18})")
_SHORT = 1 << 16
_LONGEST_RETRY_AFTER = 60.0


class Transient(Exception):
    """Trying again may help; ``retry_after`` is what the server asked for, in seconds.

    ``status`` is that of the answer, None when the trouble was with the connection.
    """

    def __init__(
        self, reason: str, retry_after: float | None = None, status: int | None = None, advice: str = ""
    ) -> None:
        super().__init__(reason)
        self.reason = reason
        self.advice = advice
        """What to do; empty where the reason tells."""
        self.retry_after = retry_after
        self.status = status


class RangeTrouble(Exception):
    """An answer to a Range that is of no use; a server may ignore Range, so the whole file can be asked for.

    ``start`` is where it says that its bytes begin, None when it says nothing or has none.
    """

    def __init__(self, reason: str, start: int | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.start = start


class Refused(Exception):
    """This URL will not give the file, however often it is asked."""

    def __init__(self, reason: str, advice: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.advice = advice
        """What to do; empty where the reason tells."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Body:
    """An answer whose bytes are still to be read."""

    response: requests.Response
    start: int
    """Offset of the first byte in the whole file."""
    length: int | None
    """Bytes that this answer carries; None when the server does not say."""
    total: int | None
    """Bytes of the whole file; None when the server does not say."""
    partial: bool
    """The server answered to the Range (206)."""
    validator: str | None
    """What If-Range takes: a strong ETag, else Last-Modified (RFC 9110, section 13.1.5)."""
    patience: Patience

    @property
    def delimited(self) -> bool:
        """The server says where the body ends, by a length or in chunks."""
        return self.length is not None or "chunked" in self.response.headers.get("Transfer-Encoding", "").lower()

    @property
    def facts(self) -> Facts:
        """What the headers say of the content."""
        headers = self.response.headers
        return Facts(headers.get("Content-Type", ""), headers.get("Content-Encoding", ""))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.response.close()

    def chunks(self) -> Iterator[bytes]:
        """Yield the bytes as they come.

        Raises:
            Transient: the connection broke, stalled, or ended too early.

        """
        received = in_window = 0
        window = time.monotonic()
        stall = self.patience.stall
        while self.length is None or received < self.length:
            try:
                chunk = self.response.raw.read1(CHUNK, decode_content=False)
            except (urllib3.exceptions.HTTPError, OSError, ValueError) as error:
                raise failure_of(error, stall) from None
            if not chunk:
                break
            received += len(chunk)
            in_window += len(chunk)
            now = time.monotonic()
            if now - window > stall:
                if in_window < self.patience.slowest * (now - window):
                    raise Transient(f"only {in_window} bytes in {now - window:.0f} s")
                window, in_window = now, 0
            yield chunk
        if self.length is not None and received != self.length:
            raise Transient(f"the connection ended after {received} of {self.length} bytes")
        self._finish()

    def content(self) -> bytes:
        """Return all bytes at once, which takes half the processor time; for a short body of known length.

        Raises:
            Transient: the connection broke, stalled, or ended too early.

        """
        try:
            found: bytes = self.response.raw.read(self.length, decode_content=False)
        except (urllib3.exceptions.HTTPError, OSError, ValueError) as error:
            raise failure_of(error, self.patience.stall) from None
        if self.length is not None and len(found) != self.length:
            raise Transient(f"the connection ended after {len(found)} of {self.length} bytes")
        self._finish()
        return found

    def _finish(self) -> None:
        """Let http.client notice that every byte is here, so that the connection can serve the next request."""
        with contextlib.suppress(urllib3.exceptions.HTTPError, OSError):
            self.response.raw.read(1, decode_content=False)


class Client:
    """A session shared by threads; ``connections`` are kept open per host.

    Proxies and netrc are read from the environment by requests. Certificates: what the operating system trusts, and
    what `kpack.hosts.trusted` names. Making one raises MachineError for a netrc or certificates that are not there.
    """

    def __init__(self, *, connections: int = 16, patience: Patience | None = None) -> None:
        check_files()
        self.patience = patience or Patience.of_environment()
        self._mutex = threading.Lock()
        self._answers: weakref.WeakSet[requests.Response] = weakref.WeakSet()
        self.session = requests.Session()
        self.session.merge_environment_settings = once_per_host(  # type: ignore[method-assign]
            self.session.merge_environment_settings
        )
        self.session.headers["User-Agent"] = f"kpack/{kpack.__version__}"
        # The bytes that were hashed are the bytes of the file: no transfer compression.
        self.session.headers["Accept-Encoding"] = "identity"
        self.session.cookies.set_policy(http.cookiejar.DefaultCookiePolicy(allowed_domains=[]))
        found = trusted()
        if found is not None:
            self.session.verify = found.path
        adapter = trust.TrustingAdapter(found, shown_to_servers(), connections=connections)
        self.session.mount("https://", adapter)
        self.session.mount("http://", adapter)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self.session.close()

    def interrupt(self) -> None:
        """End every answer that is being read: whoever waits for a byte of it wakes up with a `Transient`."""
        with self._mutex:
            answers = list(self._answers)
        for answer in answers:
            with contextlib.suppress(ValueError, RuntimeError, OSError):  # read to its end meanwhile
                answer.raw.shutdown()

    def open(
        self,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        first: int | None = None,
        last: int | None = None,
        validator: str | None = None,
    ) -> Body:
        """Ask for ``url``, or for its bytes from ``first`` to ``last`` (inclusive; None for the end).

        ``validator`` goes into If-Range: a file that changed comes whole. The answer to a Range may always be the
        whole file: look at `Body.partial` and `Body.start`.

        Raises:
            Transient: connection trouble, or a status that says to come back later.
            RangeTrouble: a Range was asked for, and the answer neither is that range nor the whole file.
            Refused: any other status, a certificate that is not trusted, a URL that cannot be asked.

        """
        wanted = dict(headers or {})
        if first is not None:
            wanted["Range"] = f"bytes={first}-{'' if last is None else last}"
            if validator is not None:
                wanted["If-Range"] = validator
        patience = self.patience
        try:
            response = self.session.get(
                url, headers=wanted, stream=True, timeout=(patience.connect, patience.stall), allow_redirects=True
            )
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError, ValueError) as error:
            if (trouble := proxy_trouble(url, error, requests.utils)) is not None:
                raise _of_proxy(trouble, error) from None
            raise failure_of(error, patience.stall) from None
        if response.status_code == PROXY_REFUSES and (trouble := proxy_trouble(url, PROXY_REFUSES, requests.utils)):
            response.close()
            raise Refused(trouble.what, trouble.next)
        with self._mutex:
            self._answers.add(response)
        try:
            return _body(response, first, last, patience)
        except BaseException:
            response.close()
            raise


def _body(response: requests.Response, first: int | None, last: int | None, patience: Patience) -> Body:
    status, headers = response.status_code, response.headers
    validator = headers.get("ETag")
    if validator is None or validator.startswith("W/"):
        validator = headers.get("Last-Modified")
    length = number(headers.get("Content-Length", ""))
    if status == requests.codes.ok:
        if first is not None and ("Content-Range" in headers or (last is not None and length == last + 1 - first)):
            raise RangeTrouble("status 200 with what looks like the range alone")
        return Body(
            response=response,
            start=0,
            length=length,
            total=length,
            partial=False,
            validator=validator,
            patience=patience,
        )
    if status == requests.codes.partial_content and first is not None:
        matched = _CONTENT_RANGE.fullmatch(headers.get("Content-Range", "").strip())
        if matched is None:
            raise RangeTrouble(f"status 206 with Content-Range {headers.get('Content-Range')!r:.80}")
        start, end, total = int(matched[1]), int(matched[2]), int(matched[3])
        if not start <= end < total or (length is not None and length != end + 1 - start):
            reason = f"status 206 with Content-Range {matched[0]!r} and Content-Length {length}"
            raise RangeTrouble(reason, start if length else None)
        return Body(
            response=response,
            start=start,
            length=end + 1 - start,
            total=total,
            partial=True,
            validator=validator,
            patience=patience,
        )
    if status == requests.codes.requested_range_not_satisfiable and first is not None:
        matched = _UNSATISFIED_RANGE.fullmatch(headers.get("Content-Range", "").strip())
        if matched is None:
            raise RangeTrouble("status 416 without the file's length")
        _drain(response, length)
        response.close()
        return Body(
            response=response,
            start=-1,
            length=0,
            total=int(matched[1]),
            partial=True,
            validator=validator,
            patience=patience,
        )
    said, advice = refusal(status, response.reason or "", headers)
    _drain(response, length)
    if status in _TRANSIENT_STATUS:
        raise Transient(said, _retry_after(headers.get("Retry-After", "")), status)
    if first is not None:
        raise RangeTrouble(said)
    raise Refused(said, advice)


def _drain(response: requests.Response, length: int | None) -> None:
    """Read a short refusal to its end, so that its connection can serve the next request."""
    if length is not None and length <= _SHORT:
        with contextlib.suppress(urllib3.exceptions.HTTPError, OSError):
            response.raw.read(decode_content=False)


def number(text: str) -> int | None:
    """Return the number that a header spells in ASCII digits, None for anything else or more than 18 digits."""
    return int(text) if _DIGITS.fullmatch(text) else None


def _retry_after(text: str) -> float | None:
    """Read Retry-After (RFC 9110, section 10.2.3): seconds or a date; at most a minute is granted."""
    seconds = number(text)
    if seconds is not None:
        return min(float(seconds), _LONGEST_RETRY_AFTER)
    try:
        until = parsedate_to_datetime(text).timestamp()
    except (TypeError, ValueError, OverflowError):
        return None
    return min(max(until - time.time(), 0.0), _LONGEST_RETRY_AFTER)


def failure_of(error: BaseException, stall: float) -> Transient | Refused:
    """Say in a few words, none of them from a URL, what an exception of the client means."""
    if (trouble := certificate_trouble(error)) is not None:
        return Refused(trouble.what, trouble.next)
    causes = list(causes_of(error))
    for cause in causes:
        if isinstance(cause, socket.gaierror):
            return Transient("the host's name cannot be resolved")
        if isinstance(cause, OSError) and cause.strerror and not isinstance(cause, requests.RequestException):
            return Transient(cause.strerror.lower())
    # Only now: urllib3 counts a refused connection among its timeouts.
    if any(isinstance(cause, TimeoutError | urllib3.exceptions.TimeoutError) for cause in causes):
        return Transient(f"no answer for {stall:g} s")
    if isinstance(error, requests.TooManyRedirects):
        return Refused("it redirects without end")
    if isinstance(error, ValueError):  # requests: InvalidURL, InvalidSchema, MissingSchema, …
        return Refused(f"the URL cannot be asked ({type(error).__name__})")
    return Transient(f"the connection broke ({type(error).__name__})")


def _of_proxy(trouble: ProxyTrouble, error: BaseException) -> Transient | Refused:
    """Return the failure for a proxy that is in the way: one that cannot be reached may be there the next time."""
    if isinstance(error, ValueError) or "credentials" in trouble.what:
        return Refused(trouble.what, trouble.next)
    return Transient(trouble.what, advice=trouble.next)
