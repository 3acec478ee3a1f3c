"""A notebook file (nbformat 4.5) from cells, in bytes that depend on nothing else."""

from __future__ import annotations

import json
from typing import NamedTuple

from kpack.errors import UsageError
from kpack.files import parsed


class Cell(NamedTuple):
    """One cell; ``id`` is unique in its notebook: letters, digits and hyphens."""

    kind: str
    id: str
    source: str


def code(id: str, source: str) -> Cell:  # noqa: A002 - nbformat's word
    """Return a code cell."""
    return Cell("code", id, source.strip("\n"))


def markdown(id: str, source: str) -> Cell:  # noqa: A002
    """Return a text cell."""
    return Cell("markdown", id, source.strip("\n"))


def dumps(cells: list[Cell]) -> str:
    """Return the JSON of a notebook."""
    data = {
        "cells": [_cell(cell) for cell in cells],
        "metadata": {
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {"name": "python"},
        },
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    return json.dumps(data, indent=1, ensure_ascii=False) + "\n"


def _cell(cell: Cell) -> dict[str, object]:
    told: dict[str, object] = {"cell_type": cell.kind, "id": cell.id, "metadata": {}}
    if cell.kind == "code":
        told |= {"execution_count": None, "outputs": []}
    return told | {"source": cell.source.splitlines(keepends=True)}


def with_source(text: str, id: str, source: str, where: str) -> str:  # noqa: A002
    """Return the notebook ``text`` with another source in the cell of that id, all else as it is.

    Raises:
        UsageError: it is no notebook, or has no such cell.

    """
    try:
        data = parsed(text)
        found = [cell for cell in data["cells"] if cell.get("id") == id]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UsageError("this is no notebook", where=where) from error
    if len(found) != 1:
        raise UsageError(
            f"it has {len(found)} cells of id {id}, one was expected",
            where=where,
            next="kpack notebook writes it anew when the file is moved away",
        )
    found[0]["source"] = source.strip("\n").splitlines(keepends=True)
    if found[0].get("cell_type") == "code":
        found[0] |= {"execution_count": None, "outputs": []}
    return json.dumps(data, indent=1, ensure_ascii=False) + "\n"
