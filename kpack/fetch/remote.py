"""What lies on another machine: the client, and from its failures the errors that a user reads."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from kpack.errors import NetworkError
from kpack.fetch import signature
from kpack.fetch.client import Client, RangeTrouble, Refused, Transient
from kpack.fetch.content import HEAD, instead
from kpack.fetch.errors import mismatch, verdict, where
from kpack.fetch.model import Retrying
from kpack.fetch.transfer import Transfer, WrongSize

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Mapping

    from kpack.errors import KpackError
    from kpack.fetch.client import Body
    from kpack.fetch.model import Download, Event, Patience
    from kpack.fetch.part import Part


class Brought(NamedTuple):
    """A file that came whole."""

    sha256: str
    size: int
    """Bytes."""
    delimited: bool
    """See `Fetched`."""


class Remote:
    """The client of one fetch, and the threads for the ranges of big files."""

    def __init__(self, workers: int, patience: Patience | None, stop: threading.Event) -> None:
        self.client = Client(connections=2 * workers, patience=patience)
        self.lanes = ThreadPoolExecutor(workers, thread_name_prefix="kpack-range")
        self.stop = stop

    def close(self) -> None:
        """Close the connections."""
        self.lanes.shutdown(cancel_futures=True)
        self.client.close()

    def bring(self, download: Download, url: str, part: Part, tell: Callable[[Event], None]) -> Brought:
        """Bring the right bytes into ``part``.

        Raises:
            NetworkError: the URL does not give the file.
            IntegrityError: the file there is another one.

        """
        transfer = Transfer(self.client, download, url, part, lanes=self.lanes, tell=tell, stop=self.stop)
        try:
            digest, size = transfer.run()
            if part.resumed and download.sha256 not in {None, digest}:
                # Some of the bytes are from an earlier run; before the file is called wrong, it is fetched as one.
                tell(Retrying(download=download, why="what an earlier run left does not fit"))
                part.restart(url)
                digest, size = transfer.run()
            if transfer.ranged and download.sha256 not in {None, digest}:
                # Nor is it called wrong before a server that confuses its ranges was asked for the whole.
                tell(Retrying(download=download, why="its ranges do not fit together"))
                digest, size = transfer.whole()
        except Transient as trouble:
            raise NetworkError(
                f"cannot fetch: {trouble.reason} (tried {self.client.patience.attempts} times)",
                where=where(download, url),
                next=trouble.advice or "check the network and run again: what was complete is not fetched again",
            ) from None
        except Refused as refusal:
            if download.page is not None and _unauthorised(refusal.reason):
                address = signature.fresh(self.client, download.page, url)
                if address is not None:
                    return self.bring(replace(download, page=None), address, part, tell)
            raise NetworkError(
                f"cannot fetch: {refusal.reason}",
                where=where(download, url),
                next=refusal.advice or advice_on(refusal.reason),
            ) from None
        except WrongSize as wrong:
            part.restart(url)
            raise mismatch(download, url, f"size is {wrong.found} bytes, not {download.size}") from None
        if digest != download.sha256:
            odd = instead(urlsplit(url).path, part.head(HEAD), transfer.facts)
            if download.sha256 is not None:
                part.restart(url)
                said = f"; {odd}" if odd else ""
                raise mismatch(download, url, f"sha256 is {digest}, not {download.sha256}{said}")
            if odd:
                part.restart(url)
                raise NetworkError(
                    f"cannot fetch: {odd}",
                    where=where(download, url),
                    next="check the URL in a browser; if this is what you want, write its sha256",
                )
            headers = {name: value for of, name, value in download.headers if of == url}
            if download.size is None and _goes_on(self.client, url, headers, size):
                part.restart(url)
                raise NetworkError(
                    f"cannot fetch: it says that the file has {size} bytes, and has more of it",
                    where=where(download, url),
                    next="its server is at fault: give a mirror (urls = […]), or the sha256 of the whole file",
                )
        part.drop_note()
        return Brought(digest, size, transfer.delimited or download.size is not None or download.sha256 is not None)


def size_of(download: Download, patience: Patience | None) -> int | None:
    """Ask how many bytes a file has, without fetching it; None when the server does not say."""
    failures: list[KpackError] = []
    with Client(connections=1, patience=patience) as client:
        for url in download.urls:
            headers = {name: value for of, name, value in download.headers if of == url}
            try:
                return _size_at(client, url, headers)
            except (Transient, Refused) as trouble:
                failures.append(
                    NetworkError(
                        f"cannot fetch: {trouble.reason}",
                        where=where(download, url),
                        next=trouble.advice or advice_on(trouble.reason),
                    )
                )
    raise verdict(failures)


def _size_at(client: Client, url: str, headers: Mapping[str, str]) -> int | None:
    """Return the length of the file at ``url`` if all answers agree on it, and its bytes end there; else None.

    A lock keeps it beside the digest of other bytes, so what only looks like the file must not be measured: a file
    whose length cannot be proved is fetched.
    """
    ranged: int | None = None
    try:
        with client.open(url, headers=headers, first=0, last=HEAD - 1) as body:
            if body.partial and body.start not in {0, -1}:
                return None
            ranged = body.total
            if _odd(url, body) or (ranged is None and body.partial):
                return None
            if not body.partial:
                return None
    except RangeTrouble:
        pass  # whether the file is there at all is for a plain answer to say
    with client.open(url, headers=headers) as body:
        if ranged is None or body.total != ranged:
            return None
    return ranged if _ends_at(client, url, headers, ranged) else None


def _ends_at(client: Client, url: str, headers: Mapping[str, str], total: int) -> bool:
    """Tell whether the last bytes of ``total`` are there, and none behind them: claims may agree and be wrong."""
    first = max(total - HEAD, 0)
    try:
        if total:
            with client.open(url, headers=headers, first=first, last=total - 1) as body:
                if not body.partial or (body.start, body.total) != (first, total):
                    return False
                if sum(map(len, body.chunks())) != total - first:
                    return False
        with client.open(url, headers=headers, first=total, last=total) as body:
            return body.partial and body.start == -1 and body.total == total
    except (RangeTrouble, Transient):
        return False


def _goes_on(client: Client, url: str, headers: Mapping[str, str], size: int) -> bool:
    """Tell whether a server has bytes behind the ``size`` that it announced and sent."""
    try:
        with client.open(url, headers=headers, first=size, last=size) as body:
            return body.partial and body.start == size
    except RangeTrouble as trouble:
        return trouble.start == size
    except (Transient, Refused):
        return False  # it has sent all that it wants to


def _odd(url: str, body: Body) -> bool:
    """Tell whether an answer's first bytes show that it is not the file."""
    head = bytearray()
    for chunk in body.chunks() if body.length else ():
        head += chunk
        if len(head) >= HEAD:
            break
    return instead(urlsplit(url).path, bytes(head[:HEAD]), body.facts) is not None


def advice_on(reason: str) -> str:
    """Return what to do about a URL that does not give its file."""
    if _unauthorised(reason):
        return "check the credentials (in netrc, or in the URL of the index)"
    return "check the URL, or give a mirror (urls = […])"


def _unauthorised(reason: str) -> bool:
    return "401" in reason or "403" in reason or "407" in reason
