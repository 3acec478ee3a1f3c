"""The ``[[indexes]]`` tables: which index a name belongs to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kpack.environment.errors import quoted
from kpack.environment.kinds import without_credentials
from kpack.environment.model import Index
from kpack.environment.patterns import MOST_PATTERNS, TOO_MANY_PATTERNS, Names, is_pattern, normalise, overlap
from kpack.urls import index_problem

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from kpack.environment.positions import KeyPath
    from kpack.environment.rows import Reading


def indexes(tables: Sequence[Mapping[str, Any]], at: KeyPath, reading: Reading) -> tuple[Index, ...]:
    """Read the tables; two of one name, and a name that may belong to two indexes, are mistakes."""
    good: list[Index] = []
    owners = _Owners()
    names: set[str] = set()
    for number, table in enumerate(tables):
        place = (*at, number)
        for item, text in enumerate(table.get("packages") or ()):
            if text is not None:
                owners.add(normalise(text), number, item, reading)
        name, url = table.get("name"), table.get("url")
        if url is not None and not Index(name="", url=url).local:
            if (problem := index_problem(url)) is not None:
                reading.say((*place, "url"), *problem)
            if "packages" not in table:
                reading.say(place, 'the key "packages" is missing', "add packages = […]: the names that it serves")
        if name in names:
            reading.say((*place, "name"), f"two indexes are named {quoted(name)}", "give each a name of its own")
        if name is not None and url is not None:
            packages = tuple(normalise(text) for text in table.get("packages") or () if text is not None)
            good.append(Index(name=name, url=url, packages=packages, format=table.get("format")))
            names.add(name)
    return tuple(good)


def meaning(entries: Sequence[Index]) -> list[list[str]]:
    """Return what the digest sees: no credentials, no order."""
    return sorted(
        [index.name, without_credentials(index.url), *sorted(index.packages)]
        + ([f"format={index.format}"] if index.format is not None else [])
        for index in entries
    )


class _Owners:
    """Which index each name and pattern belongs to; one that may belong to two is a mistake."""

    def __init__(self) -> None:
        self.names: dict[str, tuple[int, int]] = {}
        self.patterns: dict[str, tuple[int, int]] = {}
        self.matchers: list[tuple[str, Names]] = []

    def add(self, text: str, number: int, item: int, reading: Reading) -> None:
        at = ("indexes", number, "packages", item)
        if is_pattern(text) and len(self.patterns) == MOST_PATTERNS:
            reading.say(at, TOO_MANY_PATTERNS, "make some of them wider")
            return
        other = self._other(text, number)
        if other is None:
            (self.patterns if is_pattern(text) else self.names)[text] = (number, item)
            if is_pattern(text):
                self.matchers.append((text, Names([text])))
            return
        owner, place = self.patterns.get(other) or self.names[other]
        reading.say(
            at,
            f"{quoted(text)} belongs to indexes[{owner}] already ({quoted(other)} at packages[{place}])",
            "a name belongs to exactly one index: make the patterns narrower",
        )

    def _other(self, text: str, number: int) -> str | None:
        """Return an earlier name or pattern that is the same, or of another index and overlaps with it."""
        if text in self.names or text in self.patterns:
            return text
        if not is_pattern(text):
            matching = (
                pattern
                for pattern, matcher in self.matchers
                if self.patterns[pattern][0] != number and matcher.find(text) is not None
            )
            return next(matching, None)
        for pattern, (owner, _) in self.patterns.items():
            if owner != number and overlap(text, pattern):
                return pattern
        matcher = Names([text])
        matched = (
            name for name, (owner, _) in self.names.items() if owner != number and matcher.find(name) is not None
        )
        return next(matched, None)
