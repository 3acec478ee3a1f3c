"""Fetch files in parallel into the cache, verified, resumed after a kill, from the first mirror that has them."""

from __future__ import annotations

import threading
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote_to_bytes, urlsplit
from urllib.request import url2pathname

from kpack.errors import IntegrityError, KpackError, MachineError, NetworkError, UsageError
from kpack.fetch.client import Client, Patience, Refused, Transient, shown
from kpack.fetch.model import Download, Event, EventKind, Fetched
from kpack.fetch.part import digest_of_url, opened
from kpack.fetch.transfer import Stopped, Transfer, WrongSize
from kpack.files import is_sha256, sha256_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from kpack.cache import Cache
    from kpack.fetch.part import Part

__all__ = ["Download", "Event", "EventKind", "Fetched", "Patience", "authenticated", "fetch", "remote_size", "shown"]

WORKERS = 16
"""Files fetched at once."""


def fetch(
    downloads: Iterable[Download],
    cache: Cache,
    *,
    offline: bool = False,
    workers: int = WORKERS,
    on_event: Callable[[Event], None] | None = None,
    on_file: Callable[[Download, Fetched], object] | None = None,
    patience: Patience | None = None,
) -> Mapping[Download, Fetched]:
    """Have every file, from the cache or from the first of its URLs that gives the right bytes.

    Nothing that is in the cache is asked for again. The first failure calls off the rest; what is on disk by then is
    kept, and the next run resumes it. A `Fetched` with ``hashed`` false was in the cache with the right
    size: its consumer hashes what it reads. ``on_file`` is called with each file as soon as it is there, from several
    threads at once, while others are still on their way; what it raises ends the fetch.

    Raises:
        IntegrityError: a file is there but its size or SHA-256 is another.
        NetworkError: no URL of a file can be reached, or ``offline`` and the cache does not have it.
        MachineError: a local file is missing, or the cache cannot be written.

    """
    wanted = list(dict.fromkeys(downloads))
    for download in wanted:
        if download.sha256 is not None and not is_sha256(download.sha256):
            raise UsageError(f"not a SHA-256 digest: {download.sha256!r}", where=download.name)
    if not wanted:
        return {}
    stop = threading.Event()
    # The biggest first: nothing long is left for the end.
    order = sorted(wanted, key=lambda item: -(item.size or 0))
    with (
        Client(connections=2 * workers, patience=patience) as client,
        ThreadPoolExecutor(workers, thread_name_prefix="kpack-range") as lanes,
        ThreadPoolExecutor(min(workers, len(wanted)), thread_name_prefix="kpack-fetch") as pool,
    ):
        run = _Run(client, cache, lanes, stop, offline=offline, on_event=on_event)

        def work(download: Download) -> Fetched:
            found = run.have(download)
            if on_file is not None and not stop.is_set():
                on_file(download, found)
            return found

        futures = {download: pool.submit(work, download) for download in order}
        try:
            wait(futures.values(), return_when=FIRST_EXCEPTION)
        finally:
            if not all(future.done() and future.exception() is None for future in futures.values()):
                stop.set()
                for future in futures.values():
                    future.cancel()
        finished = [future for future in futures.values() if not future.cancelled()]
        wait(finished)
        for future in finished:
            error = future.exception()
            if error is not None and not isinstance(error, Stopped):
                raise error
        return {download: futures[download].result() for download in wanted}


def remote_size(download: Download, *, patience: Patience | None = None) -> int | None:
    """Ask how many bytes a file has, without fetching it; None when the server does not say.

    Raises:
        NetworkError: none of the http and https URLs can be reached.

    """
    failures: list[KpackError] = []
    with Client(connections=1, patience=patience) as client:
        for url in download.urls:
            headers = {name: value for of, name, value in download.headers if of == url}
            try:
                with client.open(url, headers=headers, first=0, last=0) as body:
                    return body.total
            except (Transient, Refused) as trouble:
                failures.append(
                    NetworkError(
                        f"cannot fetch: {trouble.reason}", where=_where(download, url), next=_advice(trouble.reason)
                    )
                )
    raise _verdict(failures)


def authenticated(url: str, known: Iterable[str]) -> str:
    """Return ``url`` with the user and password of the first of ``known`` that has some for the same server."""
    parts = urlsplit(url)
    if "@" in parts.netloc:
        return url
    for other in map(urlsplit, known):
        credentials, at, host = other.netloc.rpartition("@")
        if at and (other.scheme, host.lower()) == (parts.scheme, parts.netloc.lower()):
            return parts._replace(netloc=f"{credentials}@{parts.netloc}").geturl()
    return url


class _Run:
    """What the files of one `fetch` share."""

    def __init__(
        self,
        client: Client,
        cache: Cache,
        lanes: ThreadPoolExecutor,
        stop: threading.Event,
        *,
        offline: bool,
        on_event: Callable[[Event], None] | None,
    ) -> None:
        self.client = client
        self.cache = cache
        self.lanes = lanes
        self.stop = stop
        self.offline = offline
        self._on_event = on_event
        self._mutex = threading.Lock()

    def tell(
        self, download: Download, kind: EventKind, received: int = 0, total: int | None = None, note: str = ""
    ) -> None:
        if self._on_event is not None:
            total = total if total is not None else download.size
            with self._mutex:
                self._on_event(Event(kind=kind, download=download, received=received, total=total, note=note))

    def have(self, download: Download) -> Fetched:
        """Return the file, from the cache or from its URLs."""
        if self.stop.is_set():
            raise Stopped
        if (found := self._cached(download)) is not None:
            return found
        schemes = {urlsplit(url).scheme for url in download.urls}
        if not schemes & {"http", "https"}:
            return self._first_of(download, part=None)
        if self.offline and schemes <= {"http", "https"}:
            raise NetworkError(
                "not in the cache, and --offline forbids to fetch it",
                where=f"{download.name} ({shown(download.urls[0])})",
                next="run once without --offline, or point KPACK_CACHE at a cache that has it",
            )
        waiting = threading.Event()

        def on_wait() -> None:
            if self.stop.is_set():
                raise Stopped
            if not waiting.is_set():
                waiting.set()
                self.tell(download, EventKind.WAITING)

        key = download.sha256 or f"url-{digest_of_url(download.urls[0])}"
        with opened(self.cache.parts_dir, key, on_wait) as part:
            if (found := self._cached(download)) is not None:  # another process brought it meanwhile
                part.remove()
                return found
            self.tell(download, EventKind.STARTED)
            try:
                return self._first_of(download, part)
            finally:
                if part.progress.received == 0:  # nothing to resume
                    part.remove()

    def _cached(self, download: Download) -> Fetched | None:
        if download.sha256 is None:
            return None
        path = self.cache.find(download.sha256, download.size)
        if path is None:
            return None
        size = path.stat().st_size
        self.tell(download, EventKind.CACHED, size, size)
        return Fetched(path=path, sha256=download.sha256, size=size, hashed=False)

    def _first_of(self, download: Download, part: Part | None) -> Fetched:
        """Try the mirrors in order; a damaged one is passed over like an unreachable one."""
        failures: list[KpackError] = []
        for url in download.urls:
            if failures:
                self.tell(download, EventKind.MIRROR, note=failures[-1].what)
            try:
                scheme = urlsplit(url).scheme
                if scheme in {"http", "https"}:
                    if self.offline or part is None:
                        failures.append(NetworkError("--offline forbids to ask it", where=_where(download, url)))
                        continue
                    return self._remote(download, url, part)
                if scheme == "file":
                    return self._local(download, url)
                if scheme == "data":
                    return self._inline(download, url)
            except (IntegrityError, NetworkError) as error:
                failures.append(error)
            except MachineError as error:
                if scheme != "file":
                    raise
                failures.append(error)
            else:
                raise UsageError(
                    f"cannot fetch a URL of scheme {scheme!r}",
                    where=_where(download, url),
                    next="use https, http or file",
                )
        if not failures:
            raise UsageError("there is no URL to fetch it from", where=download.name)
        raise _verdict(failures)

    def _remote(self, download: Download, url: str, part: Part) -> Fetched:
        def tell(kind: EventKind, received: int, total: int | None, note: str) -> None:
            self.tell(download, kind, received, total, note)

        transfer = Transfer(self.client, download, url, part, lanes=self.lanes, tell=tell, stop=self.stop)
        try:
            digest, size = transfer.run()
            if part.resumed and download.sha256 not in {None, digest}:
                # Some of the bytes are from an earlier run; before the file is called wrong, it is fetched as one.
                tell(EventKind.RETRYING, 0, None, "what an earlier run left does not fit")
                part.restart(url)
                digest, size = transfer.run()
        except Transient as trouble:
            raise NetworkError(
                f"cannot fetch: {trouble.reason} (tried {self.client.patience.attempts} times)",
                where=_where(download, url),
                next="check the network and run again: what was complete is not fetched again",
            ) from None
        except Refused as refusal:
            raise NetworkError(
                f"cannot fetch: {refusal.reason}", where=_where(download, url), next=_advice(refusal.reason)
            ) from None
        except WrongSize as wrong:
            part.restart(url)
            raise _mismatch(download, url, f"size is {wrong.found} bytes, not {download.size}") from None
        if download.sha256 not in {None, digest}:
            part.restart(url)
            raise _mismatch(download, url, f"sha256 is {digest}, not {download.sha256}")
        part.drop_note()
        path = self.cache.adopt(part.path, digest, hashed=True)
        self.tell(download, EventKind.FINISHED, size, size)
        return Fetched(path=path, sha256=digest, size=size, hashed=True)

    def _local(self, download: Download, url: str) -> Fetched:
        """Take a local file where it is: a copy in the cache would only cost room."""
        path = Path(url2pathname(urlsplit(url).path))
        if not path.is_absolute() or urlsplit(url).netloc not in {"", "localhost"}:
            raise UsageError(
                "a file: URL needs an absolute path", where=_where(download, url), next="file:///folder/file"
            )
        try:
            size = path.stat().st_size
            self.tell(download, EventKind.STARTED, 0, size)
            if download.size not in {None, size}:
                raise _mismatch(download, url, f"size is {size} bytes, not {download.size}")
            digest = sha256_of(path)
        except OSError as error:
            raise MachineError(
                f"cannot read: {error.strerror or error}", where=_where(download, url), next="check the path"
            ) from error
        if download.sha256 not in {None, digest}:
            raise _mismatch(download, url, f"sha256 is {digest}, not {download.sha256}")
        self.tell(download, EventKind.FINISHED, size, size)
        return Fetched(path=path, sha256=digest, size=size, hashed=True)

    def _inline(self, download: Download, url: str) -> Fetched:
        """Take the bytes of a ``data:,text`` URL (RFC 2397, percent-encoded)."""
        data = unquote_to_bytes(url.partition(",")[2])
        digest = self.cache.add(data)
        if download.sha256 not in {None, digest}:
            raise _mismatch(download, url, f"sha256 is {digest}, not {download.sha256}")
        path = self.cache.find(digest)
        assert path is not None
        return Fetched(path=path, sha256=digest, size=len(data), hashed=True)


def _where(download: Download, url: str) -> str:
    return f"{download.name} ({shown(url)})"


def _advice(reason: str) -> str:
    if "certificate" in reason:
        return "set REQUESTS_CA_BUNDLE to your organisation's certificates"
    if "401" in reason or "403" in reason or "407" in reason:
        return "check the credentials (in netrc, or in the URL of the index)"
    return "check the URL, or give a mirror (urls = […])"


def _mismatch(download: Download, url: str, what: str) -> IntegrityError:
    return IntegrityError(
        what,
        where=_where(download, url),
        next="the file was altered on the way or replaced at its source: find out which before you lock it anew",
    )


def _verdict(failures: list[KpackError]) -> KpackError:
    """Choose what to say when every mirror failed: wrong bytes weigh more than none."""
    for kind in (IntegrityError, NetworkError, MachineError):
        chosen = [failure for failure in failures if isinstance(failure, kind)]
        if chosen:
            others = [failure for failure in failures if failure is not chosen[0]]
            if others:
                chosen[0].what += "".join(f"; {failure.where}: {failure.what}" for failure in others)
            return chosen[0]
    raise AssertionError("only these kinds are collected")
