"""Files of which parts can be had: what was kept of one that passed by, and one that is read where it lies."""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from functools import cached_property
from operator import itemgetter
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_MARGIN = 1 << 16
"""Bytes that are fetched along with those that were missing: neighbours are asked for next."""
_TABLE = 64 << 20
"""Bytes of a table, at most: more are no honest file."""


class UnreadableError(ValueError):
    """A file that begins like ELF and is not readable as such."""


class MissingError(UnreadableError):
    """What is asked for has passed by and was not kept."""

    def __init__(self, offset: int, size: int) -> None:
        super().__init__("its tables lie in the middle of a very large file")
        self.offset = offset
        self.size = size


class Readable(Protocol):
    """A file of which parts can be had."""

    def at(self, offset: int, size: int, /) -> bytes:
        """Return the ``size`` bytes at ``offset``.

        Raises:
            UnreadableError: the file ends before.

        """


class OnDemand:
    """A file of ``size`` bytes that is read by ``pread(count, offset)``."""

    def __init__(self, pread: Callable[[int, int], bytes], size: int) -> None:
        self._pread = pread
        self._size = size

    def at(self, offset: int, size: int) -> bytes:
        """Return the ``size`` bytes at ``offset`` of the file.

        Raises:
            UnreadableError: the file ends before.

        """
        if offset + size > self._size:
            raise UnreadableError(f"it is cut off at byte {self._size}")
        return self._pread(size, offset)


class Kept:
    """The begin and the end of a file, as the pieces came, uncopied; all of one that is no larger than both.

    ``asked_for`` tells, once the begin is there, from where to where parts of the middle are to be kept, too.
    """

    def __init__(self, head: int, tail: int, asked_for: Callable[[Readable], list[tuple[int, int]]]) -> None:
        self.size = 0
        self._limits = (head, tail)
        self._asked_for = asked_for
        self._tail: deque[tuple[int, bytes]] = deque()
        self._head: list[tuple[int, bytes]] = []
        """The begin, and what is kept of the middle."""
        self._fetched: list[tuple[int, bytes]] = []

    def add(self, piece: bytes) -> None:
        """Take the next bytes."""
        head, tail = self._limits
        if self.size < head:
            self._head.append((self.size, piece))
        else:
            self._tail.append((self.size, piece))
            while len(self._tail) > 1 and self.size - self._tail[1][0] > tail:
                start, gone = self._tail.popleft()
                if any(begin < start + len(gone) and start < end for begin, end in self._ranges):
                    self._head.append((start, gone))
        self.size += len(piece)

    def fetch(self, missing: MissingError, pieces: Iterable[bytes]) -> None:
        """Keep what was missing, out of the whole file once more."""
        begin, end = missing.offset, min(missing.offset + missing.size + _MARGIN, self.size)
        found, at = bytearray(), 0
        for piece in pieces:
            found += piece[max(0, begin - at) : max(0, end - at)]
            at += len(piece)
            if at >= end:
                break
        self._fetched.append((begin, bytes(found)))

    @cached_property
    def _ranges(self) -> list[tuple[int, int]]:
        return self._asked_for(self)

    @property
    def whole(self) -> bool:
        """Whether nothing of its middle is gone."""
        return self.size <= sum(self._limits)

    @property
    def pieces(self) -> list[bytes]:
        """What is kept of begin and end."""
        return [piece for _, piece in (*self._head, *self._tail)]

    def mentions(self, word: bytes) -> bool:
        """Tell whether a word stands in what was kept of its begin."""
        return any(word in piece for _, piece in self._head)

    def begin(self, count: int) -> bytes:
        """Return the first ``count`` bytes, or all there are."""
        return b"".join(piece[:count] for _, piece in self._head[:count])[:count]

    def at(self, offset: int, size: int) -> bytes:
        """Return the ``size`` bytes at ``offset`` of the file.

        Raises:
            UnreadableError: the file ends before.
            MissingError: they are not kept.

        """
        if offset + size > self.size:
            raise UnreadableError(f"it is cut off at byte {self.size}")
        if size > _TABLE:
            raise UnreadableError(f"a table of it has {size} bytes")
        for pieces in ([*self._head, *self._tail], *([piece] for piece in self._fetched)):
            found = _joined(pieces, offset, size)
            if found is not None:
                return found
        raise MissingError(offset, size)


def _joined(pieces: list[tuple[int, bytes]], offset: int, size: int) -> bytes | None:
    """Return the bytes at ``offset`` out of ordered pieces, or None when some of them are not there."""
    index = bisect_right(pieces, offset, key=itemgetter(0)) - 1
    found = bytearray()
    while len(found) < size:
        if not 0 <= index < len(pieces):
            return None
        start, piece = pieces[index]
        at = offset + len(found) - start
        if not 0 <= at < len(piece):
            return None
        found += piece[at : at + size - len(found)]
        index += 1
    return bytes(found)
