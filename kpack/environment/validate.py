"""Checks a parsed TOML table against the rows of its keys: unknown keys, wrong types, patterns."""

from __future__ import annotations

import re
from datetime import date, datetime, time
from typing import TYPE_CHECKING

from kpack.environment.errors import Mistake, quoted, unprintable
from kpack.environment.keys import DOCUMENT
from kpack.environment.rows import FixedTable, Flag, Moment, Row, Shape, Size, Text, TextMap, Texts

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kpack.environment.positions import KeyPath

_SYNONYMS = {
    "dependencies": "packages",
    "requirements": "packages",
    "requires": "packages",
    "install": "packages",
    "image": "base",
    "docker-image": "base",
    "python-version": "python",
    "requires-python": "python",
    "title": "name",
    "ignore": "exclude",
    "overrides": "replace",
    "override": "replace",
    "no-binary": "allow-source",
    "no-build-isolation-package": "no-build-isolation",
    "upload-before": "exclude-newer",
    "before": "exclude-newer",
    "models": "checkpoints",
    "weights": "checkpoints",
    "files": "checkpoints",
    "index": "indexes",
    "index-url": "indexes",
    "extra-index-url": "indexes",
    "sources": "indexes",
    "hash": "sha256",
    "digest": "sha256",
    "checksum": "sha256",
    "md5": "sha256",
    "allow-patterns": "include",
    "patterns": "include",
    "mirrors": "urls",
    "dest": "path",
    "destination": "path",
    "target": "path",
    "file": "path",
    "dir": "directory",
    "environment": "env",
    "id": "dataset",
    "slug": "dataset",
}
"""What other tools call our keys."""

_CHOOSING = frozenset({"exclude", "ignore", "ignore-patterns"})
"""What leaves out files of a repository elsewhere."""

_LONGEST_KEY = 40
"""Characters of a key that may be a misspelled one of ours."""


def check(data: Mapping[str, object], mistakes: list[Mistake]) -> dict[str, object]:
    """Return what of ``data`` has the right shape; say in ``mistakes`` what has not.

    A known key or array item with a mistake becomes None: it is still seen to be there.
    """
    return _Check(mistakes).table(data, DOCUMENT, ())


def type_name(value: object) -> str:
    """Return TOML's name of the type of ``value``, with an article."""
    kinds: tuple[tuple[type, str], ...] = (
        (bool, "a boolean"),
        (int, "an integer"),
        (float, "a float"),
        (str, "a string"),
        (datetime, "a date-time"),
        (date, "a date"),
        (time, "a time"),
        (list, "an array"),
        (dict, "a table"),
    )
    return next(name for kind, name in kinds if isinstance(value, kind))


class _Check:
    def __init__(self, mistakes: list[Mistake]) -> None:
        self.mistakes = mistakes

    def say(self, key: KeyPath, what: str, advice: str = "") -> None:
        self.mistakes.append(Mistake(key=key, what=what, next=advice))

    def table(self, data: Mapping[str, object], shape: FixedTable, at: KeyPath) -> dict[str, object]:
        known = {row.key: row for row in shape.rows}
        good: dict[str, object] = {}
        for key, value in data.items():
            if key in known:
                good[key] = self.value(value, known[key], (*at, key))
            else:
                self.unknown_key(key, shape, at)
        for row in shape.rows:
            if row.required and row.key not in data:
                self.say(
                    at, f"the key {quoted(row.key)} is missing", f"add {row.key} = {_shown(row)}: {row.description}"
                )
        return good

    def unknown_key(self, key: str, shape: FixedTable, at: KeyPath) -> None:
        import difflib

        place = f"[{'.'.join(str(part) for part in at if isinstance(part, str))}]" if at else "the top of the file"
        right = [row.key for row in shape.rows]
        plain = key.lower().replace("_", "-")
        like = difflib.get_close_matches(plain, right, n=1, cutoff=0.7) if len(plain) <= _LONGEST_KEY else []
        near = like or [_SYNONYMS.get(plain, "")]
        top = [row.key for row in DOCUMENT.rows]
        if at and plain in top:
            advice = f"move it above the first [table]: it belongs to the top of the file, not to {place}"
        elif near[0] in right:
            advice = f"did you mean {quoted(near[0])}?"
        else:
            homes = [
                row.key
                for row in DOCUMENT.rows
                if isinstance(row.kind.shape, FixedTable) and plain in {inner.key for inner in row.kind.shape.rows}
            ]
            many = {row.key for row in DOCUMENT.rows if isinstance(row.kind.shape, FixedTable) and row.kind.shape.many}
            written = [f"[[{home}]]" if home in many else f"[{home}]" for home in homes if (home,) != at[:1]]
            advice = f"it belongs to {' or '.join(written)}" if written else f"known keys here: {', '.join(right)}"
        if at[:1] == ("checkpoints",) and plain in _CHOOSING:
            words = "to choose files of a repository, write include = […] with patterns of those that you want"
            advice = f"{advice}; {words}" if plain in top else words
        self.say((*at, key), f"unknown key {quoted(key)} in {place}", advice)

    def value(self, value: object, row: Row, at: KeyPath) -> object:
        shape: Shape = row.kind.shape
        if isinstance(shape, Text):
            return True if shape.or_true and value is True else self.text(value, shape, at)
        if isinstance(shape, Texts):
            return self.texts(value, shape, at)
        if isinstance(shape, Flag):
            return self.flag(value, at)
        if isinstance(shape, Moment):
            return self.moment(value, at)
        if isinstance(shape, Size):
            return self.size(value, shape, at)
        if isinstance(shape, TextMap):
            return self.text_map(value, shape, at)
        return self.tables(value, row.key, shape, at)

    def wrong_type(self, value: object, wanted: str, at: KeyPath, advice: str = "") -> None:
        simple = isinstance(value, (bool, int, float, str, date, time)) and at[:2] != ("restore", "env")
        seen = f"{type_name(value)} ({quoted(value)})" if simple else type_name(value)
        self.say(at, f"must be {wanted}, is {seen}", advice)

    def text(self, value: object, shape: Text, at: KeyPath) -> str | None:
        if not isinstance(value, str):
            number = isinstance(value, (int, float)) and not isinstance(value, bool) and not shape.secret
            advice = f'put it in quotes: "{value}"' if number else ""
            self.wrong_type(value, "true or a string" if shape.or_true else "a string", at, advice)
            return None

        def seen() -> str:
            return f"the value ({len(value)} characters)" if shape.secret else quoted(value)

        bad = unprintable(value)
        if bad:
            self.say(at, f"{seen()} holds the control character {bad}", "remove it")
        elif not value and not shape.empty:
            self.say(at, "must not be empty", shape.advice)
        elif len(value) > shape.longest:
            self.say(at, f"has {len(value)} characters, {shape.longest} are allowed", shape.advice)
        elif shape.pattern and not re.fullmatch(shape.pattern, value):
            self.say(at, f"{seen()} is not right here", shape.advice)
        else:
            return value
        return None

    def texts(self, value: object, shape: Texts, at: KeyPath) -> list[str | None] | None:
        if isinstance(value, str) and shape.single:
            one = self.text(value, shape.item, at)
            return None if one is None else [one]
        if not isinstance(value, list):
            advice = f"put it in brackets: [{quoted(value)}]" if isinstance(value, str) else ""
            wanted = "a string or an array of strings" if shape.single else "an array of strings"
            self.wrong_type(value, wanted, at, advice)
            return None
        if len(value) < shape.at_least:
            self.say(at, "must not be an empty array", shape.item.advice)
            return None
        return [self.text(item, shape.item, (*at, number)) for number, item in enumerate(value)]

    def flag(self, value: object, at: KeyPath) -> bool | None:
        if not isinstance(value, bool):
            self.wrong_type(value, "a boolean", at, "write true or false, without quotes")
            return None
        return value

    def moment(self, value: object, at: KeyPath) -> date | None:
        if not isinstance(value, date):
            advice = "write it without quotes, like 2026-11-01"
            self.wrong_type(value, "a date or a date-time", at, advice)
            return None
        return value

    def size(self, value: object, shape: Size, at: KeyPath) -> int | str | None:
        advice = 'write bytes, or a number with a unit like "10 GB" or "512 MiB"'
        if isinstance(value, bool) or not isinstance(value, (int, str)):
            self.wrong_type(value, "an integer or a string", at, advice)
        elif isinstance(value, str) and not re.fullmatch(shape.pattern, value):
            self.say(at, f"{quoted(value)} is not a size", advice)
        elif isinstance(value, int) and not 0 < value < 1 << 63:
            self.say(at, f"{quoted(value)} is not a possible size", "write a number of bytes above 0")
        else:
            return value
        return None

    def text_map(self, value: object, shape: TextMap, at: KeyPath) -> dict[str, str] | None:
        if not isinstance(value, dict):
            self.wrong_type(value, "a table of strings", at)
            return None
        good = {}
        for key, item in value.items():
            name = self.text(key, shape.key, (*at, key))
            content = self.text(item, shape.value, (*at, key))
            if name is not None and content is not None:
                good[name] = content
        return good

    def tables(self, value: object, key: str, shape: FixedTable, at: KeyPath) -> object:
        if not shape.many:
            if isinstance(value, dict):
                return self.table(value, shape, at)
            self.wrong_type(value, "a table", at, f"write it as [{key}]")
            return None
        if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
            seen = f"is {type_name(value)}" + (" of other things" if isinstance(value, list) else "")
            self.say(at, f"must be an array of tables, {seen}", f"write each one as [[{key}]]")
            return None
        return [self.table(item, shape, (*at, number)) for number, item in enumerate(value)]


def _shown(row: Row) -> str:
    """Return the example of a key as TOML."""
    from kpack.environment.schema import toml

    return "…" if row.example is None else toml(row.example)
