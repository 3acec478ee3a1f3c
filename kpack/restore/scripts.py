"""Scripts: the text of commands, and interpreter lines as pip writes them on POSIX."""

from __future__ import annotations

import hashlib
import os
import re
from typing import TYPE_CHECKING, Any, Callable, Optional, Tuple

from . import record

if TYPE_CHECKING:
    from .entry_points import EntryPoint

_SHORT, _LONG = 127, 255
"""Bytes of an interpreter line, its end included, that every Linux reads, and that Linux reads since 5.1."""
_HEAD = 1 << 16
"""Bytes of a script that are looked at before its first line is rewritten."""

_COMMENTS = re.compile(rb"(?:[ \t]*(?:#[^\n]*)?\n)*")
_STRING = re.compile(rb"[rRuU]?['\"]")
_WRAPPER = re.compile(r"(\.exe|-script\.py|\.pya)\Z", re.IGNORECASE)
_BODY = """\
import sys
from {module} import {first}
if __name__ == '__main__':
    sys.exit({attribute}())
"""


def interpreter_line(executable: str) -> Optional[bytes]:
    """Return the line that starts ``executable``, or None when the kernel would not understand it.

    It breaks a path at a space, and reads so many bytes only.
    """
    line = b"#!" + os.fsencode(executable) + b"\n"
    return None if b" " in line or b"\t" in line or len(line) > _limit() else line


def _limit() -> int:
    found = re.match(r"([0-9]+)\.([0-9]+)", os.uname().release)
    return _LONG if found and (int(found[1]), int(found[2])) >= (5, 1) else _SHORT


def _started(source: bytes, executable: str) -> bytes:
    """Return Python source, without interpreter line, as a file that ``executable`` runs when it is called.

    Where the kernel cannot start the interpreter itself, ``/bin/sh`` does, by a line that Python reads as a string.
    It stands behind the comments that the source begins with, so that a coding line (PEP 263) stays the second line,
    and becomes a part of the docstring, so that ``from __future__`` may follow.
    """
    line = interpreter_line(executable)
    if line is not None:
        return line + source
    path = re.sub(rb'([\\"$`])', rb"\\\1", os.fsencode(executable))
    comments = _COMMENTS.match(source)
    at = comments.end() if comments else 0
    joint = b" \\\n" if _STRING.match(source, at) else b"\n"
    stanza = b"'''exec' \"" + path + b'" "$0" "$@"\n' + b"' '''" + joint
    return b"#!/bin/sh\n" + source[:at] + stanza + source[at:]


def command(point: EntryPoint, executable: str) -> bytes:
    """Return the script for an entry point."""
    body = _BODY.format(module=point.module, first=point.attribute.partition(".")[0], attribute=point.attribute)
    return _started(body.encode("utf-8"), executable)


def rewrite(data: bytes, executable: str) -> bytes:
    """Return a wheel's script with a first line ``#!python`` turned into the interpreter's.

    Of a long script its beginning does: all after the comments at its head stays as it is.
    """
    if not data.startswith(b"#!python"):
        return data
    return _started(data.partition(b"\n")[2], executable)


class Rewriter:
    """Rewrites a script that comes in pieces, whatever its size."""

    def __init__(self, executable: str, sink: Callable[[bytes], object]) -> None:
        self._executable = executable
        self._sink = sink
        self._head: Optional[bytes] = b""
        self._changed = False
        self._size = 0
        self._hash = hashlib.sha256()

    def feed(self, piece: Any) -> None:
        """Take the next bytes of the wheel's script."""
        if self._head is None:
            self._out(piece)
            return
        self._head += bytes(piece)
        if len(self._head) >= _HEAD:
            self._begin()

    def finish(self) -> Optional[Tuple[str, str]]:
        """End it. Return digest and size as RECORD spells them, or None when the script stays as it was."""
        if self._head is not None:
            self._begin()
        return (record.spelled(self._hash.digest()), str(self._size)) if self._changed else None

    def _begin(self) -> None:
        head = self._head or b""
        self._head = None
        changed = rewrite(head, self._executable)
        self._changed = changed != head
        self._out(changed)

    def _out(self, piece: Any) -> None:
        self._size += len(piece)
        self._hash.update(piece)
        self._sink(piece)


def command_of(filename: str) -> str:
    """Return the command that a wheel's script may only wrap; an entry point of that name is written instead."""
    return _WRAPPER.sub("", filename)
