"""Line numbers of the keys and array items of a TOML text."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass, field

KeyPath = tuple[str | int, ...]
"""Keys and array indexes from the top of the document: ``("checkpoints", 1, "sha256")``."""

_LONGEST_SHOWN = 60

PIECE = re.compile(
    r'"""(?:\\.|[^\\])*?"{3,5}'
    r"|'''.*?'{3,5}"
    r'|"(?:\\.|[^"\\\n])*"'
    r"|'[^'\n]*'"
    r"|\#[^\n]*"
    r"|\n"
    r"|[\[\]{},=]"
    r"|[^\s\[\]{},=\#\"']+"
    r"|[^\S\n]+",
    re.DOTALL,
)
"""Strings, comments, line ends, brackets and other marks, bare words, white space."""


def dotted(path: KeyPath) -> str:
    """Return a key path as messages spell it: ``checkpoints[1].sha256``."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            part = part if len(part) <= _LONGEST_SHOWN else f"{part[:_LONGEST_SHOWN]}…"
            shown = part if re.fullmatch(r"[A-Za-z0-9_…-]+", part) else ascii(part)
            text += f".{shown}" if text else shown
    return text


@dataclass(slots=True)
class _Frame:
    """An open array or inline table, or (at the bottom) the document."""

    path: KeyPath
    kind: str
    index: int = 0
    key: list[str] | None = field(default_factory=list)
    """Tokens of the key being read; None while its value is read."""


def lines(text: str) -> dict[KeyPath, int]:
    """Map each key path of a valid TOML document to the line, counted from 1, where it first stands.

    Array items have paths of their own. ``text`` must be valid: of what tomllib refuses nothing is promised
    but that the call ends.
    """
    return _Scanner().scan(text)


class _Scanner:
    def __init__(self) -> None:
        self.found: dict[KeyPath, int] = {}
        self.counts: dict[KeyPath, int] = {}
        self.stack = [_Frame((), "document")]
        self.header: list[str] | None = None
        self.array_header = False

    def scan(self, text: str) -> dict[KeyPath, int]:
        line = 1
        for match in PIECE.finditer(text):
            piece = match[0]
            if piece == "\n":
                self._end_of_line()
            elif not piece.isspace() and not piece.startswith("#"):
                self._piece(piece, line)
            line += piece.count("\n")
        return self.found

    def _end_of_line(self) -> None:
        frame = self.stack[-1]
        if frame.kind == "document":
            frame.key = []
            self.header = None

    def _piece(self, piece: str, line: int) -> None:
        frame = self.stack[-1]
        if self.header is not None:
            self._header_piece(piece, line)
        elif frame.kind == "document" and frame.key == [] and piece == "[":
            self.header, self.array_header = [], False
        elif frame.key is not None and frame.kind != "array":
            self._key_piece(frame, piece, line)
        else:
            self._value_piece(frame, piece, line)

    def _header_piece(self, piece: str, line: int) -> None:
        assert self.header is not None
        if piece == "[":
            self.array_header = True
        elif piece == "]":
            if self.header:
                self._open_table(_keys(self.header), line)
            self.header = []
        else:
            self.header.append(piece)

    def _open_table(self, keys: list[str], line: int) -> None:
        path: KeyPath = ()
        for number, key in enumerate(keys, start=1):
            path = (*path, key)
            last = number == len(keys)
            if last and self.array_header:
                self.found.setdefault(path, line)
                self.counts[path] = self.counts.get(path, -1) + 1
            if path in self.counts:
                path = (*path, self.counts[path])
            self.found.setdefault(path, line)
        self.stack[0].path = path
        self.stack[0].key = None

    def _key_piece(self, frame: _Frame, piece: str, line: int) -> None:
        if piece == "=":
            path = frame.path
            for key in _keys(frame.key or []):
                path = (*path, key)
                self.found.setdefault(path, line)
            frame.key = None
            self.stack.append(_Frame(path, "value", key=None))
        elif piece == "}" and frame.kind == "table":
            self.stack.pop()
        elif piece != "," and frame.key is not None:
            frame.key.append(piece)

    def _value_piece(self, frame: _Frame, piece: str, line: int) -> None:
        if frame.kind == "document":
            return
        if piece == "," and frame.kind == "array":
            frame.index += 1
        elif piece == "]" and frame.kind == "array":
            self.stack.pop()
        elif frame.kind in ("value", "array"):
            path = frame.path
            if frame.kind == "array":
                path = (*path, frame.index)
                self.found.setdefault(path, line)
            else:
                self.stack.pop()
            if piece == "[":
                self.stack.append(_Frame(path, "array", key=None))
            elif piece == "{":
                self.stack.append(_Frame(path, "table"))
        elif frame.kind == "table":
            if piece == ",":
                frame.key = []
            elif piece == "}":
                self.stack.pop()


def _keys(pieces: list[str]) -> list[str]:
    """Return the parts of a dotted key from its pieces."""
    keys: list[str] = []
    for piece in pieces:
        if piece[0] in "\"'":
            keys.append(tomllib.loads(f"key = {piece}")["key"])
        else:
            keys.extend(part for part in piece.split(".") if part)
    return keys
