"""Patterns over normalised names: ``*`` and ``?`` as in fnmatch, nothing else."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

MOST_PATTERNS = 100
"""Patterns with ``*`` or ``?`` that are compared with each other, at most."""

TOO_MANY_PATTERNS = f"more than {MOST_PATTERNS} patterns with '*' or '?'"


def normalise(pattern: str) -> str:
    """Return a pattern in the spelling of normalised names: lower case, runs of ``-``, ``_`` and ``.`` as one ``-``."""
    return re.sub(r"[-_.]+", "-", pattern).lower()


def is_pattern(text: str) -> bool:
    """Tell whether ``text`` may match more than one name."""
    return "*" in text or "?" in text


def overlap(one: str, other: str) -> bool:
    """Tell whether some text matches both patterns.

    ``other`` is read as an automaton whose states are the bits of a number, so that the cost is near to the length of
    ``one``: bit n is set when some text matches what of ``one`` was read, and the first n characters of ``other``.
    """
    other = re.sub(r"\*+", "*", other)
    every = (1 << len(other) + 1) - 1
    stars = _bits(other, "*")
    any_one = _bits(other, "?")
    states = 1 | (stars & 1) << 1
    for character in one:
        if character == "*":
            states = every & ~((states & -states) - 1)
            continue
        taken = every & ~stars if character == "?" else _bits(other, character) | any_one
        states = (states & stars) | (states & taken) << 1
        states = (states | (states & stars) << 1) & every
    return bool(states >> len(other) & 1)


def _bits(text: str, character: str) -> int:
    return sum(1 << number for number, found in enumerate(text) if found == character)


class Names:
    """Names and patterns, in order, that a name is looked up in."""

    def __init__(self, patterns: Iterable[str]) -> None:
        self._whole: dict[str, int] = {}
        self._wild: list[int] = []
        branches = []
        for number, pattern in enumerate(patterns):
            if is_pattern(pattern):
                self._wild.append(number)
                branches.append(f"({_expression(pattern)})")
            else:
                self._whole.setdefault(pattern, number)
        self._branches = re.compile("|".join(branches), re.DOTALL) if branches else None

    def find(self, name: str) -> int | None:
        """Return the number, counted from 0, of an entry that matches ``name``: itself, or the first pattern."""
        if name in self._whole:
            return self._whole[name]
        match = self._branches.fullmatch(name) if self._branches else None
        return self._wild[match.lastindex - 1] if match and match.lastindex else None


def _expression(pattern: str) -> str:
    """Return a pattern as a regular expression that never tries a second place for what stands between two stars."""
    first, *middle = ("".join("." if c == "?" else re.escape(c) for c in part) for part in pattern.split("*"))
    if not middle:
        return first
    return first + "".join(f"(?>.*?{part})" for part in middle[:-1] if part) + ".*" + middle[-1]
