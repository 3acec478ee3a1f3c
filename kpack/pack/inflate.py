"""The inflater of the build side: ISA-L where its wheel is installed, else zlib, with the same result."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

decompressobj: Callable[[int], Any]
"""As `zlib.decompressobj`."""
crc32: Callable[[bytes, int], int]
"""As `zlib.crc32`."""
InflateError: tuple[type[Exception], ...]
"""What an inflater raises for bytes that are no deflate stream."""

try:
    from isal import isal_zlib
except ImportError:  # no wheel for this platform
    decompressobj, crc32, InflateError = zlib.decompressobj, zlib.crc32, (zlib.error,)
else:
    decompressobj, crc32 = isal_zlib.decompressobj, isal_zlib.crc32
    error: Any = isal_zlib.error  # its stubs take the class for an instance
    InflateError = (zlib.error, error)
