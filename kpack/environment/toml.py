"""TOML that anybody may have written: parsed within stated bounds, and complained about by line.

The TOML specification asks for integers of 64 bits and sets no bound for nesting; ``tomllib`` takes any integer, and
time and memory that grow with the square of a dotted key's length.
"""

from __future__ import annotations

import re
import tomllib
from typing import TYPE_CHECKING, Any

from kpack.environment.positions import PIECE, dotted, lines

if TYPE_CHECKING:
    from kpack.environment.positions import KeyPath

DEEPEST = 100
"""Levels of arrays, tables and dotted keys, at most."""

_LONG_NUMBER = re.compile(r"[0-9_]{19,}|0x[0-9A-Fa-f_]{16,}|0o[0-7_]{21,}|0b[01_]{63,}")
_LINE = re.compile(r"line (\d+), column (\d+)")


CONFLICT = "git left two versions here, for somebody to choose"
_CONFLICT = re.compile(r"^<{7}(?: |$)", re.MULTILINE)
_SYNTAX = "see toml.io for the syntax"
_ADVICE = {
    "Unclosed array": "write a comma between two values, and ] behind the last one",
    "Unclosed inline table": "write a comma between two pairs, and } behind the last one",
    "Invalid value": 'put a text in quotes ("…"); true and false have small letters',
    "Unescaped '\\' in a string": "write / between the parts of a path",
    "Illegal character '\\n'": "close the quote on the line where it opens",
    "Expected '=' after a key": "write key = value",
    "Expected newline": "write one key on a line",
}
"""What to write, by the beginning of what tomllib says."""


class NotTomlError(ValueError):
    """A text that is no TOML, or that goes beyond the bounds."""

    def __init__(self, what: str, line: int, *, advice: str = _SYNTAX) -> None:
        super().__init__(f"line {line}: {what}")
        self.what = what
        self.line = line
        """Counted from 1."""
        self.advice = advice


def loads(text: str) -> dict[str, Any]:
    """Return the document that ``text`` holds.

    Raises:
        NotTomlError: it is no TOML, has more than `DEEPEST` levels, or an integer of more than 64 bits.

    """
    if any(line.count(".") >= DEEPEST for line in text.split("\n")):
        _refuse_depth(text)
    try:
        data = tomllib.loads(text)
    except RecursionError as error:
        _refuse_depth(text)
        raise NotTomlError("is nested too deeply", 1) from error
    except tomllib.TOMLDecodeError as error:
        if conflict := _CONFLICT.search(text):
            line = text.count("\n", 0, conflict.start()) + 1
            raise NotTomlError(
                CONFLICT, line, advice="choose, and take out the lines <<<<<<<, ======= and >>>>>>>"
            ) from error
        what, _, place = str(error).partition(" (at ")
        number = _LINE.match(place)
        column = f"column {number[2]}" if number else "at the end of the file"
        line = int(number[1]) if number else text.count("\n") + 1
        advice = next((words for begin, words in _ADVICE.items() if what.startswith(begin)), _SYNTAX)
        raise NotTomlError(f"is not valid TOML, {column}: {what}", line, advice=advice) from error
    except ValueError as error:  # int() refuses more than 4,300 digits
        found = max(_LONG_NUMBER.finditer(text), key=lambda match: len(match[0]))
        line = text.count("\n", 0, found.start()) + 1
        raise NotTomlError("has an integer of more than 64 bits", line, advice="write a smaller number") from error
    if _LONG_NUMBER.search(text):
        _refuse_large_integers(data, text)
    return data


def _refuse_depth(text: str) -> None:
    """Raise NotTomlError where nesting and dotted keys go too deep."""
    line, depth, dots = 1, 0, 0
    for match in PIECE.finditer(text):
        piece = match[0]
        if piece in ("[", "{"):
            depth, dots = depth + 1, 0
        elif piece in ("]", "}"):
            depth, dots = depth - 1, 0
        elif piece in ("\n", "=", ","):
            dots = 0
        elif piece[0] not in "\"'#":
            dots += piece.count(".")
        if max(depth, dots) >= DEEPEST:
            raise NotTomlError(f"is nested more than {DEEPEST} levels deep", line, advice="write it flat")
        line += piece.count("\n")


def _refuse_large_integers(data: dict[str, Any], text: str) -> None:
    waiting: list[tuple[KeyPath, Any]] = [((), data)]
    while waiting:
        key, value = waiting.pop()
        if isinstance(value, dict):
            waiting += [((*key, name), inner) for name, inner in value.items()]
        elif isinstance(value, list):
            waiting += [((*key, number), inner) for number, inner in enumerate(value)]
        elif isinstance(value, int) and not -(1 << 63) <= value < 1 << 63:
            what = f"{dotted(key)}: an integer of more than 64 bits"
            raise NotTomlError(what, lines(text).get(key, 1), advice="write a smaller number")
