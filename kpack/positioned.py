"""Reads and writes at a place of an open file, on systems that have no call for it, too."""

from __future__ import annotations

import os
import threading

_MOVING = threading.Lock()


def _pread(descriptor: int, count: int, offset: int) -> bytes:
    """Read at most ``count`` bytes from ``offset``; the position of the descriptor does not count."""
    with _MOVING:
        os.lseek(descriptor, offset, os.SEEK_SET)
        return os.read(descriptor, count)


def _pwrite(descriptor: int, data: bytes | memoryview, offset: int) -> int:
    """Write ``data`` at ``offset`` and return how many bytes of it; the position of the descriptor does not count."""
    with _MOVING:
        os.lseek(descriptor, offset, os.SEEK_SET)
        return os.write(descriptor, data)


pread = getattr(os, "pread", _pread)
"""`os.pread`; Windows has none, and gets a lock around moving and reading."""
pwrite = getattr(os, "pwrite", _pwrite)
"""`os.pwrite`; the same."""
