"""A part of an open file, read by slices."""

from __future__ import annotations

from kpack.positioned import pread

_BLOCK = 1 << 16
"""Bytes that are read at a time for small slices."""


class Window:
    """``size`` bytes from ``offset`` of an open file, read by slices as if they were a file of their own.

    Not a mapping: pages of a mapped file count as this process's memory, and a pack has room for gigabytes. Small
    slices are taken out of a block that is kept, since neighbours mostly follow. For one thread.
    """

    def __init__(self, descriptor: int, offset: int, size: int) -> None:
        self.size = size
        self._descriptor = descriptor
        self._offset = offset
        self._block = b""
        self._start = 0
        """Where the block begins."""

    def __getitem__(self, part: slice) -> bytes:
        begin, end, _ = part.indices(self.size)
        if end - begin > _BLOCK >> 1:
            return self._read(begin, end)
        at = begin - self._start
        if at < 0 or end - self._start > len(self._block):
            self._block, self._start, at = self._read(begin, min(begin + _BLOCK, self.size)), begin, 0
        return self._block[at : max(at, end - self._start)]

    def _read(self, begin: int, end: int) -> bytes:
        return pread(self._descriptor, end - begin, self._offset + begin)
