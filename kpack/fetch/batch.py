"""One fetch: each file from the cache, from another process that brings it, or from its mirrors in order."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote_to_bytes, urlsplit

from kpack.errors import IntegrityError, KpackError, MachineError, NetworkError, UsageError
from kpack.fetch.decision import Bring, Have, Refuse, TakeLocal, decide
from kpack.fetch.errors import mismatch, verdict, where
from kpack.fetch.model import Cached, Fetched, Finished, PassedOver, Started, Stopped, Waiting
from kpack.fetch.part import digest_of_url, opened
from kpack.files import open_regular, sha256_of
from kpack.urls import file_path

if TYPE_CHECKING:
    from typing import Self

    from kpack.fetch.fetcher import Fetcher
    from kpack.fetch.model import Download, Event
    from kpack.fetch.part import Part
    from kpack.fetch.remote import Remote


class Batch:
    """What the files of one `Fetcher.fetch` share."""

    def __init__(self, fetcher: Fetcher, *, workers: int) -> None:
        self.fetcher = fetcher
        self.workers = workers
        self.stop = threading.Event()
        """Set when something went wrong: the others need not go on."""
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
                self._remote = Remote(self.workers, self.fetcher.patience, self.stop)
            return self._remote

    def tell(self, event: Event) -> None:
        """Pass an event on, one at a time."""
        with self._mutex:
            self.fetcher.tell(event)

    def have(self, download: Download) -> Fetched:
        """Return the file, from the cache or from its URLs."""
        if self.stop.is_set():
            raise Stopped
        match decide(download, self._cached(download), offline=self.fetcher.offline):
            case Have(path, size):
                return self._found(download, path, size)
            case Refuse(error):
                raise error
            case TakeLocal():
                return self._first_of(download, part=None)
            case Bring():
                return self._alone(download)

    def _alone(self, download: Download) -> Fetched:
        """Fetch what no other process fetches at the same time."""
        waiting = threading.Event()

        def on_wait() -> None:
            if self.stop.is_set():
                raise Stopped
            if not waiting.is_set():
                waiting.set()
                self.tell(Waiting(download=download))

        key = download.sha256 or f"url-{digest_of_url(download.urls[0])}"
        with opened(self.fetcher.cache.parts_dir, key, on_wait) as part:
            if (cached := self._cached(download)) is not None:  # another process brought it meanwhile
                part.remove()
                return self._found(download, *cached)
            self.tell(Started(download=download))
            try:
                return self._first_of(download, part)
            finally:
                if part.progress.received == 0:  # nothing to resume
                    part.remove()

    def _cached(self, download: Download) -> tuple[Path, int] | None:
        """Return the file's path in the cache and its size."""
        path = None if download.sha256 is None else self.fetcher.cache.find(download.sha256, download.size)
        return None if path is None else (path, path.stat().st_size)

    def _found(self, download: Download, path: Path, size: int) -> Fetched:
        assert download.sha256 is not None
        self.tell(Cached(download=download, size=size))
        return Fetched(path=path, sha256=download.sha256, size=size, hashed=False)

    def _first_of(self, download: Download, part: Part | None) -> Fetched:
        """Try the mirrors in order; a damaged one is passed over like an unreachable one."""
        failures: list[KpackError] = []
        for url in download.urls:
            if failures:
                self.tell(PassedOver(download=download, why=failures[-1].what))
            try:
                scheme = urlsplit(url).scheme
                if scheme in {"http", "https"}:
                    if self.fetcher.offline or part is None:
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
        brought = self.remote().bring(download, url, part, self.tell)
        path = self.fetcher.cache.adopt(part.path, brought.sha256, hashed=True)
        self.tell(Finished(download=download, size=brought.size))
        return Fetched(path=path, sha256=brought.sha256, size=brought.size, hashed=True, delimited=brought.delimited)

    def _local(self, download: Download, url: str) -> Fetched:
        """Take a local file where it is: a copy in the cache would only cost room."""
        path = Path(file_path(url))
        if not path.is_absolute() or urlsplit(url).netloc not in {"", "localhost"}:
            raise UsageError(
                "a file: URL needs an absolute path", where=where(download, url), next="file:///folder/file"
            )
        try:
            with open_regular(path) as stream:
                size = os.fstat(stream.fileno()).st_size
            self.tell(Started(download=download))
            if download.size not in {None, size}:
                raise mismatch(download, url, f"size is {size} bytes, not {download.size}")
            digest = sha256_of(path)
        except OSError as error:
            raise MachineError(
                f"cannot read: {error.strerror or error}", where=where(download, url), next="check the path"
            ) from error
        if download.sha256 not in {None, digest}:
            raise mismatch(download, url, f"sha256 is {digest}, not {download.sha256}")
        self.tell(Finished(download=download, size=size))
        return Fetched(path=path, sha256=digest, size=size, hashed=True)

    def _inline(self, download: Download, url: str) -> Fetched:
        """Take the bytes of a ``data:,text`` URL (RFC 2397, percent-encoded)."""
        data = unquote_to_bytes(url.partition(",")[2])
        digest = self.fetcher.cache.add(data)
        if download.sha256 not in {None, digest}:
            raise mismatch(download, url, f"sha256 is {digest}, not {download.sha256}")
        path = self.fetcher.cache.find(digest)
        assert path is not None
        return Fetched(path=path, sha256=digest, size=len(data), hashed=True)
