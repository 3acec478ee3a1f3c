"""Fetch files in parallel into the cache, verified, resumed after a kill, from the first mirror that has them."""

from __future__ import annotations

from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from typing import TYPE_CHECKING

from kpack.errors import UsageError
from kpack.fetch.model import Download, Event, EventKind, Fetched, Patience, Stopped
from kpack.fetch.run import Run
from kpack.files import is_sha256
from kpack.urls import shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from kpack.cache import Cache

__all__ = ["Download", "Event", "EventKind", "Fetched", "Patience", "fetch", "remote_size", "shown"]

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
    # The biggest first: nothing long is left for the end.
    order = sorted(wanted, key=lambda item: -(item.size or 0))
    with (
        Run(cache, workers=workers, offline=offline, on_event=on_event, patience=patience) as run,
        ThreadPoolExecutor(min(workers, len(wanted)), thread_name_prefix="kpack-fetch") as pool,
    ):

        def work(download: Download) -> Fetched:
            found = run.have(download)
            if on_file is not None and not run.stop.is_set():
                on_file(download, found)
            return found

        futures = {download: pool.submit(work, download) for download in order}
        try:
            wait(futures.values(), return_when=FIRST_EXCEPTION)
        finally:
            if not all(future.done() and future.exception() is None for future in futures.values()):
                run.halt()
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
    from kpack.fetch.remote import size_of

    return size_of(download, patience)
