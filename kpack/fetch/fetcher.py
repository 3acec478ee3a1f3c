"""How files are had: from which cache, whether the network may be asked, as whom, how patiently, and who is told."""

from __future__ import annotations

from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from kpack.errors import NetworkError, UsageError
from kpack.fetch.batch import Batch
from kpack.fetch.model import Stopped
from kpack.files import is_sha256
from kpack.urls import Credentials

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from kpack.cache import Cache
    from kpack.fetch.model import Download, Event, Fetched, Listener, Patience

WORKERS = 16
"""Files fetched at once."""


@dataclass(frozen=True, slots=True)
class Fetcher:
    """Fetches files; made once for a command and handed to whoever needs one."""

    cache: Cache
    offline: bool = False
    """The cache and local files must do."""
    credentials: Credentials = field(default_factory=Credentials)
    """What the URLs of a lock leave out; put back when one is asked."""
    patience: Patience | None = None
    """None: the default, as the environment changes it."""
    listener: Listener | None = None

    def fetch(
        self,
        downloads: Iterable[Download],
        *,
        workers: int = WORKERS,
        on_file: Callable[[Download, Fetched], object] | None = None,
    ) -> Mapping[Download, Fetched]:
        """Have every file, from the cache or from the first of its URLs that gives the right bytes.

        Nothing that is in the cache is asked for again. The first failure calls off the rest; what is on disk by then
        is kept, and the next run resumes it. A `Fetched` with ``hashed`` false was in the cache with the right
        size: its consumer hashes what it reads. ``on_file`` is called with each file as soon as it is there, from
        several threads at once, while others are still on their way; what it raises ends the fetch.

        Raises:
            IntegrityError: a file is there but its size or SHA-256 is another.
            NetworkError: no URL of a file can be reached, or `offline` and the cache does not have it.
            MachineError: a local file is missing, or the cache cannot be written.

        """
        wanted = list(dict.fromkeys(downloads))
        for download in wanted:
            if download.sha256 is not None and not is_sha256(download.sha256):
                raise UsageError(f"not a SHA-256 digest: {download.sha256!r}", where=download.name)
        if not wanted:
            return {}
        # The biggest first: nothing long is left for the end.
        order = sorted(wanted, key=lambda item: -(item.size or 0))
        with (
            Batch(self, workers=workers) as batch,
            ThreadPoolExecutor(min(workers, len(wanted)), thread_name_prefix="kpack-fetch") as pool,
        ):

            def work(download: Download) -> Fetched:
                found = batch.have(self._with_credentials(download))
                if on_file is not None and not batch.stop.is_set():
                    on_file(download, found)
                return found

            futures: dict[Download, Future[Fetched]] = {}
            try:
                for download in order:
                    futures[download] = pool.submit(work, download)
                wait(futures.values(), return_when=FIRST_EXCEPTION)
            finally:
                # Ctrl-C may come while the first are on their way and the last are not submitted.
                good = [future for future in futures.values() if future.done() and future.exception() is None]
                if len(good) < len(order):
                    batch.halt()
                    for future in futures.values():
                        future.cancel()
            finished = [future for future in futures.values() if not future.cancelled()]
            wait(finished)
            for future in finished:
                error = future.exception()
                if error is not None and not isinstance(error, Stopped):
                    raise error
            return {download: futures[download].result() for download in wanted}

    def size_of(self, download: Download) -> int | None:
        """Return how many bytes a file has, without fetching it; None when nobody says.

        Raises:
            NetworkError: none of the http and https URLs can be reached.

        """
        from kpack.fetch.remote import size_of

        if download.sha256 is not None and (cached := self.cache.find(download.sha256)) is not None:
            return cached.stat().st_size
        return None if self.offline else size_of(self._with_credentials(download), self.patience)

    def check_online(self, where: str) -> None:
        """Raise `NetworkError` when the network must not be asked for ``where``."""
        if self.offline:
            raise NetworkError("--offline forbids to ask", where=where, next="run once without --offline")

    def tell(self, event: Event) -> None:
        """Pass an event on; who fetches in several threads holds a lock meanwhile."""
        if self.listener is not None:
            self.listener(event)

    def _with_credentials(self, download: Download) -> Download:
        """Return ``download`` as it is asked for; a URL that has request headers of its own is left as it is."""
        own = {url for url, _, _ in download.headers}
        return replace(
            download,
            urls=tuple(
                self.credentials.on(url) if urlsplit(url).scheme in {"http", "https"} and url not in own else url
                for url in download.urls
            ),
            page=download.page and self.credentials.on(download.page),
        )
