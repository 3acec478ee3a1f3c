"""Project pages on disk, as HTTP caching (RFC 9111) has them: fresh ones are taken, others asked for by their tag.

pip's own cache keeps the text of a page, which takes longer to read than all that is done with it: a page has thousands
of files, and one target and one question look at a few dozen. Here every row lies apart and is read when it is wanted.
"""

from __future__ import annotations

import contextlib
import hashlib
import marshal
import os
import re
import sys
import time
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from kpack.files import LARGEST_KEPT, read_bounded
from kpack.resolve.worker.files import RowPlaces
from kpack.resolve.worker.metadata import keep

if TYPE_CHECKING:
    from kpack.resolve.worker.files import Row
    from kpack.resolve.worker.web import Response

FORMAT = 2

LONGEST = 24 * 3600
"""Seconds that a page is taken for fresh at most, whatever its server says."""

_MAX_AGE = re.compile(r"(?:^|[\s,])max-age\s*=\s*\"?([0-9]{1,9})", re.ASCII | re.IGNORECASE)
_NOT_KEPT = re.compile(r"(?:^|[\s,])no-store(?:$|[\s,])", re.ASCII | re.IGNORECASE)
_ASK_FIRST = re.compile(r"(?:^|[\s,])no-cache(?:$|[\s,=])", re.ASCII | re.IGNORECASE)


class KeptRows(Sequence[Any]):
    """Rows of a page, each read when it is looked at."""

    def __init__(self, rows: list[bytes]) -> None:
        self._rows = rows

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, place: Any) -> Any:
        if isinstance(place, slice):
            return KeptRows(self._rows[place])
        return marshal.loads(self._rows[place])  # noqa: S302 - what this module wrote, checked as a whole


class KeptPage(NamedTuple):
    """What a page held when it was fetched."""

    base: str
    """The URL that its rows are relative to."""
    places: RowPlaces
    rows: KeptRows
    etag: str
    modified: str
    fresh: bool
    """It may be used without asking."""

    @property
    def conditions(self) -> dict[str, str]:
        """The headers that ask for it only if it is another one now."""
        found = {"If-None-Match": self.etag, "If-Modified-Since": self.modified}
        return {name: value for name, value in found.items() if value}


class KeptPages:
    """The folder of pages, each under the digest of its URL, which may hold credentials."""

    def __init__(self, cache_dir: str) -> None:
        # Like byte code: for this Python alone.
        self._folder = Path(cache_dir) / "pages" / (sys.implementation.cache_tag or "python") if cache_dir else None
        self._waiting: list[tuple[str, Response, str, RowPlaces, Sequence[Row]]] = []

    def find(self, url: str) -> KeptPage | None:
        """Return the page of ``url``, fresh or not; None when it is not there, or damaged."""
        path = self._path(url)
        if path is None:
            return None
        try:
            fetched, content = path.stat().st_mtime, read_bounded(path, LARGEST_KEPT)
            if zlib.crc32(content[4:]).to_bytes(4, "big") != content[:4]:
                return None
            number, seconds, etag, modified, base, places, rows = marshal.loads(content[4:])  # noqa: S302
        except (OSError, EOFError, ValueError, TypeError):
            return None
        if number != FORMAT:
            return None
        fresh = 0 <= time.time() - fetched < seconds
        return KeptPage(base, RowPlaces(*places), KeptRows(rows), etag, modified, fresh)

    def renew(self, url: str) -> None:
        """Take the page of ``url`` for fetched now: its server says that it is the same."""
        path = self._path(url)
        if path is not None:
            with contextlib.suppress(OSError):
                os.utime(path)

    def remember(self, url: str, answer: Response, base: str, places: RowPlaces, rows: Sequence[Row]) -> None:
        """Have the page written by `write`, if its server allows that; who waits for an answer need not wait for it."""
        if self._folder is not None and not _NOT_KEPT.search(answer.headers.get("cache-control", "")):
            self._waiting.append((url, answer, base, places, rows))

    def write(self) -> None:
        """Write what is remembered."""
        while self._waiting:
            url, answer, base, places, rows = self._waiting.pop()
            path, seconds = self._path(url), _seconds(answer)
            etag, modified = answer.headers.get("etag", ""), answer.headers.get("last-modified", "")
            if path is None or not (seconds or etag or modified):
                continue
            with contextlib.suppress(ValueError):  # nested too deep for any page
                packed = [marshal.dumps(row) for row in rows]
                content = marshal.dumps((FORMAT, seconds, etag, modified, base, tuple(places), packed))
                keep(path, zlib.crc32(content).to_bytes(4, "big") + content)

    def _path(self, url: str) -> Path | None:
        digest = hashlib.sha256(url.encode()).hexdigest()
        return None if self._folder is None else self._folder / digest[:2] / digest[2:]


def _seconds(answer: Response) -> int:
    """Return for how long an answer that has just come may be used without asking."""
    control = answer.headers.get("cache-control", "")
    found = _MAX_AGE.search(control)
    if found is None or _ASK_FIRST.search(control):
        return 0
    age = answer.headers.get("age", "")
    return max(0, min(int(found[1]), LONGEST) - (int(age[:9]) if age.isdecimal() else 0))
