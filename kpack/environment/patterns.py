"""Patterns over normalised names: ``*`` and ``?`` as in fnmatch, nothing else."""

from __future__ import annotations

import re


def normalise(pattern: str) -> str:
    """Return a pattern in the spelling of normalised names: lower case, runs of ``-``, ``_`` and ``.`` as one ``-``."""
    return re.sub(r"[-_.]+", "-", pattern).lower()


def is_pattern(text: str) -> bool:
    """Tell whether ``text`` may match more than one name."""
    return "*" in text or "?" in text


def overlap(one: str, other: str) -> bool:
    """Tell whether some text matches both patterns. The cost is the product of their lengths."""
    row = [True] + [False] * len(other)
    for column, character in enumerate(other, start=1):
        row[column] = row[column - 1] and character == "*"
    for left in one:
        above, row = row, [row[0] and left == "*"]
        for column, right in enumerate(other, start=1):
            if "*" in (left, right):
                row.append(above[column] or row[column - 1])
            else:
                row.append(above[column - 1] and (left == right or "?" in (left, right)))
    return row[-1]
