"""Inflating: the standard library's zlib, or ISA-L when the pack brings it; the same bytes either way."""

from __future__ import annotations

import zlib
from typing import Any, Callable

from .errors import INTEGRITY, RestoreError

PIECE = 1 << 21
"""Bytes that a large entry is inflated to at a time, at most."""

_STEP = 1 << 18
"""Compressed bytes that are given to the library at a time. Each time the interpreter's lock is taken again, for which
other threads may have to be woken up, so it is not less."""

_WHOLE = 1 << 16
"""Compressed bytes up to which an entry is inflated in one call; deflate cannot make more than 66 MB of them."""


class Inflater:
    """Raw deflate with the fastest library at hand."""

    def __init__(self, module: Any = zlib) -> None:
        self._decompress: Callable[..., bytes] = module.decompress
        self._decompressobj: Callable[..., Any] = module.decompressobj
        self._error = (module.error, zlib.error)

    def whole(self, data: Any, size: int, where: str) -> bytes:
        """Return the ``size`` bytes that ``data`` inflates to.

        Raises RestoreError (code 5) when it inflates to anything else.
        """
        if len(data) > _WHOLE:
            parts: list[bytes] = []
            self.stream(data, size, where, parts.append)
            return b"".join(parts)
        try:
            found = self._decompress(data, -15, size or 1)
        except self._error as error:
            raise _bad(where, str(error)) from error
        if len(found) != size:
            raise _bad(where, "{} bytes instead of {}".format(len(found), size))
        return found

    def stream(self, data: Any, size: int, where: str, sink: Callable[[bytes], object]) -> None:
        """Hand the ``size`` bytes that ``data`` inflates to over to ``sink``, piece by piece."""
        stream = Stream(self, size, where, sink)
        stream.feed(data)
        stream.finish()

    def new(self) -> Any:
        """Return a decompressing object for raw deflate."""
        return self._decompressobj(-15)

    @property
    def errors(self) -> Any:
        """The exceptions that the library raises."""
        return self._error


class Stream:
    """One entry whose compressed bytes come in parts."""

    def __init__(self, inflater: Inflater, size: int, where: str, sink: Callable[[bytes], object]) -> None:
        self._inflate = inflater.new()
        self._errors = inflater.errors
        self._left = size
        self._where = where
        self._sink = sink

    def feed(self, data: Any) -> None:
        """Inflate a part; never lets out more than the entry declares.

        Raises RestoreError (code 5) when the data is damaged or goes on behind its end.
        """
        inflate = self._inflate
        try:
            for start in range(0, len(data), _STEP):
                part = data[start : start + _STEP]
                while True:
                    if inflate.eof:
                        raise _bad(self._where, "it goes on behind its end")
                    limit = min(PIECE, self._left + 1)
                    piece = inflate.decompress(part, limit)
                    self._left -= len(piece)
                    if self._left < 0:
                        raise _bad(self._where, "it is larger than it declares")
                    if piece:
                        self._sink(piece)
                    if len(piece) < limit or inflate.eof:
                        break  # all of the part was taken
                    part = inflate.unconsumed_tail
        except self._errors as error:
            raise _bad(self._where, str(error)) from error

    def finish(self) -> None:
        """Check that the entry ended where it must. Raises RestoreError (code 5)."""
        if self._left or not self._inflate.eof or self._inflate.unused_data:
            raise _bad(self._where, "it is {} bytes short".format(self._left))


def _bad(where: str, what: str) -> RestoreError:
    return RestoreError(INTEGRITY, "cannot be inflated: " + what, where=where, next="build the pack again")
