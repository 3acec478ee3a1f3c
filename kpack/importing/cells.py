"""A notebook's cell as Python: what IPython adds to the language is taken out, line for line, and kept beside.

IPython reads a magic where a statement may begin, not inside a string or a bracket. `translated` does the same with
one pass over the lines: it needs no IPython, and it takes any text.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import NamedTuple

MARK = "__kpack_line__"
"""The function that stands where a shell line or a magic stood; its argument numbers the line in `CodeCell.lines`."""

_SHELL = re.compile(r"(\s*)((?:[A-Za-z_][\w.,\s]*=\s*)?)(!{1,2}|%{1,2}(?=[A-Za-z]))(.*)", re.DOTALL)
_AUTOMAGIC = re.compile(
    r"(\s*)((?:pip3?|conda|mamba|micromamba|uv)\s+(?:-\S+\s+)*(?:install|download|wheel|uninstall|pip|add|sync)\b.*"
    r"|cd\s+[^\s=(.,:\[].*|(?:apt|apt-get|wget|git\s+clone|mim|poetry)\s+[\w-]+.*)",
    re.DOTALL,
)
_HELP = re.compile(r"\s*\?{1,2}[\w.*]+\s*$|\s*[\w.%*]+\?{1,2}\s*$")
_CELL = re.compile(r"%%(!|[A-Za-z][\w.]*)[ \t]*(.*)")
_PIECE = re.compile(
    r"(?P<long>'''|\"\"\")|(?P<short>'[^'\\]*(?:\\.[^'\\]*)*(?:'|\\?$)|\"[^\"\\]*(?:\\.[^\"\\]*)*(?:\"|\\?$))|(?P<open>[(\[{])|(?P<close>[)\]}])|(?P<comment>#.*)"
)
_SHELL_CELLS = frozenset({"bash", "sh", "!", "sx", "system", "shell"})
_PYTHON_CELLS = frozenset({"capture", "time", "timeit", "prun", "python", "python3", "memit", "pypy", "skip", "debug"})


class Magic(NamedTuple):
    """A shell line (name ``!``) or a line magic."""

    name: str
    text: str
    line: int
    """First and last line, counted from 1."""
    last: int


@dataclass(slots=True)
class CodeCell:
    """One cell, taken apart."""

    kind: str
    """``python``, ``shell``, ``file`` (``%%writefile``), or ``other`` (a language that installs nothing)."""
    text: str
    """Python with a call of `MARK` for each of `lines`; a shell script; what a file is to hold."""
    first: int = 1
    """The line of the cell that ``text`` begins at."""
    lines: list[Magic] = field(default_factory=list)
    name: str = ""
    """Where a file is written, and how: ``-a requirements.txt``."""
    code: set[int] = field(default_factory=set)
    """The lines that hold more than a comment."""


def taken_apart(source: str) -> CodeCell:
    """Take one cell apart."""
    rows = source.split("\n")
    code = {number for number, row in enumerate(rows, start=1) if row.strip() and not row.lstrip().startswith("#")}
    start = next((number for number, row in enumerate(rows) if row.strip()), len(rows))
    while start < len(rows):
        match = _CELL.match(rows[start].lstrip())
        if match is None:
            break
        name, rest = match[1].lower(), match[2]
        after = "\n".join(rows[start + 1 :])
        if name == "script":
            name = rest.split()[0].rpartition("/")[2] if rest.split() else ""
        if name in _SHELL_CELLS:
            text = after if name != "!" or not rest else f"{rest}\n{after}"
            return CodeCell("shell", text, start + (2 if text is after else 1), code=code)
        if name in {"writefile", "file"}:
            return CodeCell("file", after, start + 2, name=rest, code=code)
        if name not in _PYTHON_CELLS:
            return CodeCell("other", after, start + 2, name=name, code=code)
        rows[start] = ""
        start = next((number for number in range(start + 1, len(rows)) if rows[number].strip()), len(rows))
    text, lines = translated(rows)
    return CodeCell("python", text, lines=lines, code=code)


def translated(rows: list[str]) -> tuple[str, list[Magic]]:
    """Return the rows as Python, with a call of `MARK` for each line that is none."""
    out: list[str] = []
    lines: list[Magic] = []
    quote, depth, number = "", 0, 0
    while number < len(rows):
        row = rows[number].rstrip("\r")
        magic = None if quote or depth or (out and out[-1].endswith("\\")) else _magic(row)
        if magic is None:
            quote, depth = _after(row, quote, depth)
            out.append(row)
            number += 1
            continue
        indent, target, name, text = magic
        first = number
        parts = [text]
        while parts[-1].endswith("\\") and number + 1 < len(rows):
            number += 1
            parts[-1] = parts[-1][:-1].rstrip()
            parts.append(rows[number].strip())
        text = " ".join(parts)
        out.append(f"{indent}{target}{MARK}({len(lines)})")
        out += [""] * (number - first)
        lines.append(Magic(name, text, first + 1, number + 1))
        number += 1
    return "\n".join(out), lines


def _magic(row: str) -> tuple[str, str, str, str] | None:
    """Return indent, target of an assignment, name and text of a line that is no Python; None for any other."""
    match = _SHELL.match(row)
    if match:
        if match[3].startswith("!"):
            return match[1], match[2], "!", match[4].strip()
        name, _, text = match[4].partition(" ")
        return match[1], match[2], name.strip(), text.strip()
    match = _AUTOMAGIC.fullmatch(row)
    if match:
        name, _, text = match[2].partition(" ")
        return match[1], "", name, text.strip()
    return (re.match(r"\s*", row)[0], "", "?", row.strip()) if _HELP.fullmatch(row) else None  # type: ignore[index]


def _after(row: str, quote: str, depth: int) -> tuple[str, int]:
    """Return in which long string, and how deep in brackets, the next row begins."""
    place = 0
    while place <= len(row):
        if quote:
            end = re.compile(rf"(?:[^\\]|\\.)*?{quote}", re.DOTALL).match(row, place)
            if end is None:
                return quote, depth
            place, quote = end.end(), ""
            continue
        match = _PIECE.search(row, place)
        if match is None:
            break
        place = match.end()
        quote = match["long"] or ""
        depth = max(0, depth + bool(match["open"]) - bool(match["close"]))
    return quote, depth
