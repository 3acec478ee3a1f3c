"""Edits of a list of texts at the top of a TOML file, by its characters: what is not edited keeps every byte.

A document model that is written out again moves comments when commas stand first on their lines, on lines of their
own, or several entries on one line; here only the entry, its comma and (when nothing else is left on it) its line go.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kpack.environment.positions import PIECE

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

_BLANKS = re.compile(r"[ \t]*")
_OPEN = frozenset("[{")
_CLOSE = frozenset("]}")


@dataclass(frozen=True, slots=True)
class _Token:
    text: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class _Statement:
    """A key of the top and its value."""

    key: str
    value: list[_Token]
    """The tokens of the value, without white space at its ends."""


def edited(
    text: str,
    key: str,
    *,
    changes: Mapping[int, str] | None = None,
    gone: Collection[int] = (),
    more: Sequence[str] = (),
) -> str:
    """Return ``text`` with other entries in the list ``key`` of its top, which is made when it is missing.

    ``gone`` takes entries out by their number, ``changes`` gives new words to what is left then, ``more`` come last.
    ``text`` must be valid TOML; the value of ``key`` a list of texts.
    """
    for number in sorted(gone, reverse=True):  # one by one: neighbours may share a comma or a line
        text = _replaced(text, _array(text, key).without(number))
    if changes:
        array = _array(text, key)
        text = _replaced(text, [(*array.items[number], quoted(new)) for number, new in changes.items()])
    if not more:
        return text
    statements = _top(text)
    if all(one.key != key for one in statements):
        return _with_key(text, statements, key, more)
    return _replaced(text, _array(text, key).added(more))


def _array(text: str, key: str) -> _Array:
    return _Array(text, next(one.value for one in _top(text) if one.key == key))


def quoted(text: str) -> str:
    """Return a TOML string."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


class _Array:
    def __init__(self, text: str, tokens: Sequence[_Token]) -> None:
        self.text = text
        self.open, self.close = tokens[0], tokens[-1]
        self.tokens = list(tokens[1:-1])
        strings = [token for token in self.tokens if token.text[0] in "\"'"]
        self.items = [(token.start, token.end) for token in strings]
        self.commas = [token.start for token in self.tokens if token.text == ","]

    def _line(self, place: int) -> tuple[int, int]:
        """Return where the line of a place begins, and where the next one does."""
        end = self.text.find("\n", place)
        return self.text.rfind("\n", 0, place) + 1, len(self.text) if end < 0 else end + 1

    def added(self, more: Sequence[str]) -> list[tuple[int, int, str]]:
        """Return what to put where for entries behind the last."""
        words = [quoted(one) for one in more]
        lines = "\n" in self.text[self.open.start : self.close.start]
        newline = "\r\n" if "\r\n" in self.text[self.open.start : self.close.end] else "\n"
        if not self.items:
            return self._first(words, newline) if lines else [(self.close.start, self.close.start, ", ".join(words))]
        start, end = self.items[-1]
        comma = next((place for place in self.commas if place >= end), None)
        row, after = self._line(start if comma is None else comma)
        indent = self._indent(start)
        lead = next((place for place in reversed(self.commas) if place < start), None)
        if comma is None and lead is not None and not self.text[row:lead].strip() and row <= lead:
            indent = self.text[row:lead]
            whole = "".join(f"{indent}, {word}{newline}" for word in words)
            if after <= self.close.start:
                return [(after, after, whole)]
            return [(end, end, "".join(f"{newline}{indent}, {word}" for word in words))]
        if lines and after <= self.close.start:
            tail = "," if comma is not None else ""
            whole = newline.join(f"{indent}{word}{',' if n < len(words) - 1 else tail}" for n, word in enumerate(words))
            here = [] if comma is not None else [(end, end, ",")]
            return [*here, (after, after, f"{whole}{newline}")]
        place = end if comma is None else comma + 1
        before = ", " if comma is None else " "
        return [(place, place, before + ", ".join(words) + ("," if comma is not None else ""))]

    def _first(self, words: Sequence[str], newline: str) -> list[tuple[int, int, str]]:
        row, _ = self._line(self.close.start)
        comments = [
            token
            for token in self.tokens
            if token.text.startswith("#") and token.start > self.text.find("\n", self.open.start)
        ]
        indent = self._indent(comments[-1].start) if comments else "    "
        return [(row, row, "".join(f"{indent}{word},{newline}" for word in words))]

    def _indent(self, place: int) -> str:
        """Return the white space before what stands first on the line of a place, if that lies within the list."""
        row, _ = self._line(place)
        for start in (row, self._line(self.items[0][0])[0] if self.items else row):
            white = _BLANKS.match(self.text, start)
            if start > self.open.start and white:
                return white[0]
        return "    "

    def without(self, number: int) -> list[tuple[int, int, str]]:
        """Return what to take out for one entry: itself, its comma, its line when nothing else is on it."""
        start, end = self.items[number]
        row, after = self._line(start)
        following = next((place for place in self.commas if place >= end), None)
        if number + 1 < len(self.items) and following is not None and following > self.items[number + 1][0]:
            following = None
        before = next((place for place in reversed(self.commas) if place < start), None)
        lead = before is not None and before >= row
        if lead and before is not None and (following is None or following >= after):
            comma: int | None = before
        else:
            comma = following
        cut = {(start, end)} | ({(comma, comma + 1)} if comma is not None else set())
        left = "".join(
            character
            for place, character in enumerate(self.text[row:after], start=row)
            if not any(low <= place < high for low, high in cut)
        )
        alone = re.fullmatch(r"\s*(?:#[^\n]*)?\s*", left) is not None and row > self.open.start
        if not alone:
            return [self._tidy(low, high) for low, high in sorted(cut)]
        pieces = [(row, after, "")]
        if comma is not None and not row <= comma < after:
            pieces.append(self._comma(comma))
        return pieces

    def _comma(self, comma: int) -> tuple[int, int, str]:
        """Take a comma out that stands on another line, and that line when it was all."""
        row, after = self._line(comma)
        if not (self.text[row:comma] + self.text[comma + 1 : after]).strip():
            return row, after, ""
        return self._tidy(comma, comma + 1)

    def _tidy(self, low: int, high: int) -> tuple[int, int, str]:
        """Take the blanks behind along, as far as something else follows on the line."""
        blanks = _BLANKS.match(self.text, high)
        end = high + (len(blanks[0]) if blanks else 0)
        return (low, high, "") if self.text[end : end + 1] in {"#", "]", ""} else (low, end, "")


def _replaced(text: str, pieces: Sequence[tuple[int, int, str]]) -> str:
    """Return ``text`` with parts of it replaced; a part within another goes with it."""
    out: list[str] = []
    place = 0
    for start, end, new in sorted(pieces):
        if start < place:
            place = max(place, end)
            continue
        out += [text[place:start], new]
        place = end
    return "".join([*out, text[place:]])


def _top(text: str) -> list[_Statement]:
    """Return the keys of the top, those of tables not among them, in order."""
    statements: list[_Statement] = []
    key: list[str] = []
    value: list[_Token] | None = None
    depth = 0
    for match in PIECE.finditer(text):
        token = _Token(match[0], match.start(), match.end())
        if value is None:
            if token.text == "[" and not key:
                break
            if token.text == "=":
                value = []
            elif token.text == "\n":
                key = []
            elif not token.text.isspace() and not token.text.startswith("#"):
                key.append(token.text)
            continue
        depth += (token.text in _OPEN) - (token.text in _CLOSE)
        if depth == 0 and (token.text == "\n" or token.text.startswith("#")):
            statements.append(_statement(key, value))
            key, value = [], None
        else:
            value.append(token)
    if value is not None:
        statements.append(_statement(key, value))
    return statements


def _statement(key: Sequence[str], value: list[_Token]) -> _Statement:
    while value and value[0].text.isspace():
        value = value[1:]
    while value and value[-1].text.isspace():
        value = value[:-1]
    name = "".join(key)
    bare = len(key) == 1 and name[0] in "\"'"
    return _Statement(name[1:-1] if bare else name, value)


def _with_key(text: str, statements: Sequence[_Statement], key: str, words: Sequence[str]) -> str:
    """Return ``text`` with a new list behind the last key of the top."""
    place = text.find("\n", statements[-1].value[-1].end) + 1 if statements else 0
    newline = "\r\n" if "\r\n" in text else "\n"
    row = f"{key} = [{', '.join(map(quoted, words))}]{newline}"
    if statements and not place:
        return f"{text}{newline}{row}"
    return text[:place] + row + text[place:]
