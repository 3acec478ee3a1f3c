"""Tables of an array (``[[checkpoints]]``, ``[[indexes]]``) found and cut by their lines.

In a tomlkit document the comments above the next table would go with a table, and tables that stand apart would be put
together.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from kpack.environment.edit import edited
from kpack.environment.positions import lines

if TYPE_CHECKING:
    from pathlib import Path

    from tomlkit import TOMLDocument


def remove_table(text: str, path: Path, number: int, table: str = "checkpoints") -> str:
    """Return ``text`` without one of the tables of that name, and without the comment right above it."""
    if not header(text, table, number).startswith("[["):

        def change(document: TOMLDocument) -> None:
            del document[table][number]

        return edited(text, path, change)
    rows = re.split(r"(?<=\n)", text)
    first, last = lines(text)[table, number], end(text, table, number)
    while first > 1 and rows[first - 2].lstrip().startswith("#"):  # its own comment stands right above it
        first -= 1
    if last < len(rows) and not rows[last].strip():
        last += 1
    return "".join(rows[: first - 1] + rows[last:])


def header(text: str, table: str, number: int) -> str:
    """Return the line that a table begins with, or the one that an inline table stands on."""
    return text.split("\n")[lines(text)[table, number] - 1].lstrip()


def end(text: str, table: str, number: int) -> int:
    """Return the number of the last line of a table, without the comments and empty lines below it."""
    found = lines(text)
    first = found[table, number]
    rows = re.split(r"(?<=\n)", text)
    later = [line for key, line in found.items() if line > first and key[:2] != (table, number)]
    last = min(later, default=len(rows) + 1) - 1
    while last > first and (not rows[last - 1].strip() or rows[last - 1].lstrip().startswith("#")):
        last -= 1
    return last
