"""A wheel on another machine as a file that can be read from anywhere: by HTTP Range, or whole on disk."""

from __future__ import annotations

import errno
import io
import os
import re
import tempfile
from typing import NamedTuple

from pip._internal.utils.urls import url_to_path

from kpack.resolve.worker.web import Response, Undecodable, Unreachable, Web

TAIL = 1 << 16
"""Bytes read from the end of a wheel first: its central directory, and most often METADATA too."""

ENOUGH = 1 << 20
"""Bytes after which an answer that is more than was asked for is read no further."""

LARGEST_WHEEL = 4 << 30
"""Bytes that a wheel may have on a host that does not understand Range."""

OK, PARTIAL, UNAUTHORISED, MISSING, GONE = 200, 206, 401, 404, 410
_PLAIN = {"Accept-Encoding": "identity", "Cache-Control": "no-store"}


class LocalFile(io.FileIO):
    """A file of this machine, by its ``file:`` URL."""

    def __init__(self, url: str) -> None:
        try:
            super().__init__(url_to_path(url))
        except OSError as error:
            raise Unreachable(url, f"its file cannot be read: {error.strerror}") from error
        self.size = os.fstat(self.fileno()).st_size
        """Bytes."""


class RemoteFile(io.RawIOBase):
    """A file behind HTTP Range, as far as it was read; where Range leads nowhere, the whole of it on disk.

    What a server may do with a Range (RFC 9110, section 14) is much: ignore it, refuse it, answer without saying which
    bytes came, or how many there are. Nothing is believed that does not fit together: then one plain GET has the file.
    """

    def __init__(self, web: Web, url: str) -> None:
        self._web, self._url = web, url
        self._position = 0
        self._parts: list[tuple[int, bytes]] = []
        self._whole_file: tempfile.SpooledTemporaryFile[bytes] | None = None
        self.size = 0
        """Bytes."""
        answer = self._range(f"-{TAIL}", ENOUGH)
        span = content_range(answer) if answer is not None else None
        if answer is None:
            self._whole()
        elif answer.status == PARTIAL and span is not None and span.first + len(answer.body) == span.total:
            self.size = span.total
            self._parts.append((span.first, answer.body))
        elif answer.status == OK and not answer.content_range and len(answer.body) != TAIL:
            self.size = len(answer.body)
            self._parts.append((0, answer.body))
        elif answer.status in (MISSING, GONE, UNAUTHORISED):
            raise Unreachable(url, f"it answered HTTP {answer.status} for a file that its index lists", answer.status)
        else:
            self._whole()

    def _range(self, span: str, stop: int) -> Response | None:
        """Ask for some bytes; None when more than ``stop`` came, or what cannot be unpacked."""
        try:
            answer = self._web.get(self._url, {**_PLAIN, "Range": f"bytes={span}"}, stop=stop)
        except Undecodable:
            return None
        return None if answer.cut else answer

    def _whole(self) -> None:
        """Have the whole file, in memory as long as it is small."""
        self._whole_file = tempfile.SpooledTemporaryFile(ENOUGH)  # noqa: SIM115 - closed with this file
        self.size = self._web.save(self._url, self._whole_file, limit=LARGEST_WHEEL)
        self._parts.clear()

    def close(self) -> None:
        """Let go of what was read."""
        if self._whole_file is not None:
            self._whole_file.close()
        super().close()

    def seekable(self) -> bool:
        """Yes."""
        return True

    def readable(self) -> bool:
        """Yes."""
        return True

    def tell(self) -> int:
        """Return the position."""
        return self._position

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move, as `io.IOBase.seek`."""
        position = (0, self._position, self.size)[whence] + offset
        if position < 0:
            raise OSError(errno.EINVAL, "before the beginning of the file")
        self._position = position
        return position

    def read(self, size: int = -1) -> bytes:
        """Return up to ``size`` bytes, fetching what was not read before."""
        start = self._position
        end = self.size if size < 0 else min(self.size, start + size)
        if end <= start:
            return b""
        found = self._held(start, end)
        if found is None:
            self._fetch(start, min(self.size, max(end, start + TAIL)))
            found = self._held(start, end)
        if found is None:
            raise Unreachable(self._url, "it does not send the bytes that it announced")
        self._position = end
        return found

    def _held(self, start: int, end: int) -> bytes | None:
        if self._whole_file is not None:
            self._whole_file.seek(start)
            return self._whole_file.read(end - start)
        for offset, body in self._parts:
            if offset <= start and end <= offset + len(body):
                return body[start - offset : end - offset]
        return None

    def _fetch(self, start: int, end: int) -> None:
        answer = self._range(f"{start}-{end - 1}", max(ENOUGH, end - start))
        if (
            answer is not None
            and answer.status == PARTIAL
            and content_range(answer) == (start, end - 1, self.size)
            and len(answer.body) == end - start
        ):
            self._parts.append((start, answer.body))
            return
        size = self.size
        self._whole()
        if self.size != size:
            raise Unreachable(self._url, f"its file has {size} bytes in one answer and {self.size} in another")


class ContentRange(NamedTuple):
    """A Content-Range (RFC 9110, section 14.4)."""

    first: int
    last: int
    total: int


_CONTENT_RANGE = re.compile(r"bytes ([0-9]{1,18})-([0-9]{1,18})/([0-9]{1,18})")


def content_range(answer: Response) -> ContentRange | None:
    """Return what Content-Range says, None when it says nothing of use."""
    found = _CONTENT_RANGE.fullmatch(answer.content_range.strip())
    return ContentRange(*map(int, found.groups())) if found else None
