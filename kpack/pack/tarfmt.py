"""The little of tar that a pack needs: regular files under GNU headers, nothing else.

A header is a pure function of (path, size), so the reader does not parse headers: it computes the one that must
be there and compares.
"""

from __future__ import annotations

import tarfile

from kpack.restore.manifest import padded

BOOTSTRAP = "bootstrap.py"
MANIFEST = "kpack.json"
"""The first two members."""

BLOCK = tarfile.BLOCKSIZE
"""512 bytes."""

END = bytes(2 * BLOCK)
"""What closes the archive."""

EPOCH = 315532800
"""Modification time of every member: 1980-01-01, the first that zip can tell, in seconds."""

_NAME = 100
_SIZE = slice(124, 136)


def header(path: str, size: int) -> bytes:
    """Return the header of a member of ``size`` bytes: one block, or three when its name is above 100 bytes."""
    info = tarfile.TarInfo(path)
    info.size = size
    info.mode = 0o644
    info.mtime = EPOCH
    return info.tobuf(tarfile.GNU_FORMAT, "utf-8", "strict")


def first_size(block: bytes) -> int | None:
    """Return the size that the first header of an archive declares, or None when it declares none."""
    digits = block[_SIZE].rstrip(b"\0 ")
    return int(digits, 8) if digits and all(48 <= digit < 56 for digit in digits) else None


def padding(size: int) -> int:
    """Return how many zero bytes follow ``size`` bytes of data."""
    return padded(size) - size
