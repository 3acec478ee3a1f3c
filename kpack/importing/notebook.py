"""Notebooks and scripts: their cells in order, and what they say of the kernel that they were made for."""

from __future__ import annotations

import json
import re
import shlex
import tomllib
from typing import TYPE_CHECKING, Any

from kpack.environment.errors import quoted, shown_path
from kpack.errors import UsageError
from kpack.importing import commands, pip
from kpack.importing.cells import taken_apart
from kpack.importing.finding import Lines
from kpack.importing.harvest import Line
from kpack.importing.options import Arguments
from kpack.importing.python import PythonReader, shell_cell
from kpack.importing.sitting import Sitting
from kpack.importing.text import read

if TYPE_CHECKING:
    from pathlib import Path

    from kpack.importing.harvest import Harvest

_DEEPEST = 200
"""Levels of a notebook's JSON, at most; the format needs six."""

_NEAR = 50
"""Lines after an entry in which the next one is looked for; further on, its place is that of the one before."""

_METADATA = re.compile(r"(?m)^# /// script[ \t]*$\n((?:^#(?:| .*)$\n)+?)^# ///[ \t]*$")
"""The block of PEP 723."""


def from_notebook(path: Path, harvest: Harvest) -> None:
    """Read the code cells of a notebook of format 4.

    Raises:
        UsageError: the file is missing or no notebook.
        MachineError: it cannot be read.

    """
    where = shown_path(path)
    sitting = Sitting(harvest, path.parent)
    reader = PythonReader(sitting, where)
    harvest.code[where] = set()
    for number, text in enumerate(_cells(path), start=1):
        odd = re.search(r"[\0\ud800-\udfff]", text)
        if odd:
            line = text.count("\n", 0, odd.start()) + 1
            what = f"holds {odd[0]!a}, which no program can hold"
            raise UsageError(what, where=f"{where}: cell {number}, line {line}", next="delete that character")
        _cell(text, number, where, reader)
    reader.finish()
    sitting.finish()


def code_cells(path: Path) -> list[str]:
    """Return the code cells of a notebook of format 4.

    Raises:
        UsageError: the file is missing or no notebook.
        MachineError: it cannot be read.

    """
    return [text for text in _cells(path) if text]


def _cells(path: Path) -> list[str]:
    """Return the code of every cell, empty for what is none."""
    where = shown_path(path)
    notebook = _loaded(read(path), where)
    cells = notebook.get("cells") if isinstance(notebook, dict) else None
    if not isinstance(cells, list):
        raise UsageError("is not a notebook: it has no cells", where=where, next="name an .ipynb file of format 4")
    found = []
    for cell in cells:
        source = cell.get("source", "") if isinstance(cell, dict) and cell.get("cell_type") == "code" else ""
        found.append("".join(map(str, source)) if isinstance(source, list) else str(source))
    return found


def from_script(path: Path, harvest: Harvest) -> None:
    """Read a Python file as one cell, and its metadata (PEP 723).

    Raises:
        UsageError: the file is missing, or its metadata cannot be read.
        MachineError: it cannot be read.

    """
    where = shown_path(path)
    text = read(path).replace("\r\n", "\n")
    odd = re.search("\0", text)
    if odd:
        line = text.count("\n", 0, odd.start()) + 1
        raise UsageError("holds a NUL, which no program can hold", where=f"{where}:{line}", next="delete it")
    sitting = Sitting(harvest, path.parent)
    harvest.code[where] = set()
    block = _METADATA.search(text)
    if block:
        first = text.count("\n", 0, block.start()) + 1
        rows = block[1].splitlines()
        harvest.code[where] |= {(0, first + number) for number in range(1, len(rows) + 1)}
        _metadata("\n".join(row[2:] for row in rows), first, where, sitting)
    reader = PythonReader(sitting, where)
    _cell(text, 0, where, reader)
    reader.finish()
    sitting.finish()


def _metadata(text: str, first: int, where: str, sitting: Sitting) -> None:
    try:
        held = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise UsageError(
            f"its metadata is not valid TOML: {error}", where=f"{where}:{first}", next="see PEP 723"
        ) from error
    rows = text.split("\n")
    listed = held.get("dependencies", [])
    begin = 0
    with sitting.harvest.together():
        for entry in listed if isinstance(listed, list) else ():
            near = enumerate(rows[begin : begin + _NEAR], start=begin + 1)
            at = next((number for number, row in near if str(entry) in row), begin + 1)
            begin = at - 1
            line = Line(Lines(where, 0, first + at, first + at), str(entry))
            if isinstance(entry, str):
                pip.entry(entry, line, sitting, Arguments())
            else:
                sitting.harvest.left(line, "it is no text, and no requirement", "see PEP 723")
    series = re.search(r"3\.[0-9]+", str(held.get("requires-python", "")))
    if series:
        at = next(number for number, row in enumerate(rows, start=1) if "requires-python" in row)
        line = Line(Lines(where, 0, first + at, first + at), rows[at - 1])
        sitting.harvest.understood(line, "", f"Python {held['requires-python']}: compare it with the image's")


def _loaded(text: str, where: str) -> Any:
    """Return what a notebook's JSON holds; refuse what Python's own reader cannot take, with the line."""
    depth, most = 0, 0
    for match in re.finditer(r'"[^"\\]*(?:\\.[^"\\]*)*(?:"|\\?\Z)|[\[{]|[\]}]|[0-9]{4300,}', text, re.DOTALL):
        piece = match[0]
        if piece[0].isdigit():
            most = match.start()
            break
        depth += (piece in "[{") - (piece in "]}") if len(piece) == 1 else 0
        if depth > _DEEPEST:
            most = match.start()
            break
    else:
        try:
            return json.loads(text)
        except json.JSONDecodeError as error:
            what = f"is not a notebook: it is not JSON ({error.msg})"
            raise UsageError(what, where=f"{where}:{error.lineno}", next="name an .ipynb file") from error
    what = "is not a notebook: a number in it is too long, or it is nested too deeply"
    raise UsageError(what, where=f"{where}:{text.count(chr(10), 0, most) + 1}", next="name an .ipynb file")


def _cell(text: str, number: int, where: str, reader: PythonReader) -> None:
    cell = taken_apart(text)
    reader.sitting.harvest.code[where] |= {(number, line) for line in cell.code}
    if cell.kind == "python":
        reader.read(cell.text, number, cell.lines)
    elif cell.kind == "shell":
        shell_cell(cell.text, cell.first, number, reader)
    elif cell.kind == "file":
        line = Line(
            Lines(where, number, cell.first - 1, max(cell.code, default=cell.first)), f"%%writefile {cell.name}"
        )
        try:
            words = shlex.split(cell.name)
        except ValueError:
            words = cell.name.split()
        names = [word for word in words if word not in {"-a", "--append"}]
        if names:
            commands.written(
                names[-1], cell.text.rstrip("\n") + "\n", line, reader.sitting, more=len(names) < len(words)
            )
        else:
            reader.sitting.harvest.left(line, f"{quoted(cell.name)} names no file", "correct the line")
