"""One fetch: each file from the cache, from another process that brings it, or from its mirrors in order."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote_to_bytes, urlsplit

from kpack.errors import IntegrityError, KpackError, MachineError, NetworkError, UsageError
from kpack.fetch.errors import mismatch, verdict, where
from kpack.fetch.model import Download, Event, EventKind, Fetched, Stopped
from kpack.fetch.part import digest_of_url, opened
from kpack.files import sha256_of
from kpack.urls import shown

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Self

    from kpack.cache import Cache
    from kpack.fetch.model import Patience
    from kpack.fetch.part import Part
    from kpack.fetch.remote import Remote


class Run:
    """What the files of one `fetch` share."""

    def __init__(
        self,
        cache: Cache,
        *,
        workers: int,
        offline: bool,
        on_event: Callable[[Event], None] | None,
        patience: Patience | None,
    ) -> None:
        self.cache = cache
        self.workers = workers
        self.stop = threading.Event()
        """Set when something went wrong: the others need not go on."""
        self.offline = offline
        self._on_event = on_event
        self._patience = patience
        self._mutex = threading.Lock()
        self._remote: Remote | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._remote is not None:
            self._remote.close()

    def halt(self) -> None:
        """Call off what is under way; what is on disk stays for the next run."""
        self.stop.set()
        if self._remote is not None:
            self._remote.client.interrupt()

    def remote(self) -> Remote:
        """Return the client and what goes with it, made when the first file has to be asked for."""
        from kpack.fetch.remote import Remote

        with self._mutex:
            if self._remote is None:
                self._remote = Remote(self.workers, self._patience, self.stop)
            return self._remote

    def tell(
        self, download: Download, kind: EventKind, received: int = 0, total: int | None = None, note: str = ""
    ) -> None:
        """Pass an event on, one at a time."""
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
                        failures.append(NetworkError("--offline forbids to ask it", where=where(download, url)))
                        continue
                    return self._fetched(download, url, part)
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
                    where=where(download, url),
                    next="use https, http or file",
                )
        if not failures:
            raise UsageError("there is no URL to fetch it from", where=download.name)
        raise verdict(failures)

    def _fetched(self, download: Download, url: str, part: Part) -> Fetched:
        def tell(kind: EventKind, received: int, total: int | None, note: str) -> None:
            self.tell(download, kind, received, total, note)

        brought = self.remote().bring(download, url, part, tell)
        path = self.cache.adopt(part.path, brought.sha256, hashed=True)
        self.tell(download, EventKind.FINISHED, brought.size, brought.size)
        return Fetched(path=path, sha256=brought.sha256, size=brought.size, hashed=True, delimited=brought.delimited)

    def _local(self, download: Download, url: str) -> Fetched:
        """Take a local file where it is: a copy in the cache would only cost room."""
        from urllib.request import url2pathname

        path = Path(url2pathname(urlsplit(url).path))
        if not path.is_absolute() or urlsplit(url).netloc not in {"", "localhost"}:
            raise UsageError(
                "a file: URL needs an absolute path", where=where(download, url), next="file:///folder/file"
            )
        try:
            size = path.stat().st_size
            self.tell(download, EventKind.STARTED, 0, size)
            if download.size not in {None, size}:
                raise mismatch(download, url, f"size is {size} bytes, not {download.size}")
            digest = sha256_of(path)
        except OSError as error:
            raise MachineError(
                f"cannot read: {error.strerror or error}", where=where(download, url), next="check the path"
            ) from error
        if download.sha256 not in {None, digest}:
            raise mismatch(download, url, f"sha256 is {digest}, not {download.sha256}")
        self.tell(download, EventKind.FINISHED, size, size)
        return Fetched(path=path, sha256=digest, size=size, hashed=True)

    def _inline(self, download: Download, url: str) -> Fetched:
        """Take the bytes of a ``data:,text`` URL (RFC 2397, percent-encoded)."""
        data = unquote_to_bytes(url.partition(",")[2])
        digest = self.cache.add(data)
        if download.sha256 not in {None, digest}:
            raise mismatch(download, url, f"sha256 is {digest}, not {download.sha256}")
        path = self.cache.find(digest)
        assert path is not None
        return Fetched(path=path, sha256=digest, size=len(data), hashed=True)
