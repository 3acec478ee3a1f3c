"""The pair on disk: one folder each, with the notebook and its kernel-metadata.json."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from kpack.errors import UsageError
from kpack.files import given_text, parsed, write_text
from kpack.notebook.document import with_source
from kpack.notebook.pair import LINE_CELL
from kpack.publish.kernel import METADATA, SOURCE_LIMIT

if TYPE_CHECKING:
    from pathlib import Path

    from kpack.notebook.pair import Pair
    from kpack.publish.kernel import Kernel


def write(pair: Pair, folder: Path, line: str) -> tuple[Path, Path]:
    """Write both notebooks below ``folder`` and return where they are.

    The builder is written anew. Of an inference notebook that is there only the cell of the line changes, to
    ``line``, and of its metadata the builder among its sources: the rest is the user's.

    Raises:
        UsageError: the notebook that is there has no cell of the line, or the builder would be too large for Kaggle.
        MachineError: it cannot be written.

    """
    if len(pair.builder.source.encode()) > SOURCE_LIMIT:
        raise UsageError(
            f"the builder would have {len(pair.builder.source.encode())} bytes, Kaggle takes {SOURCE_LIMIT}",
            where=str(folder),
            next="name a shipped base instead of a probe file, or use --relock, or build here and use kpack push",
        )
    builder, inference = folder / "builder", folder / "inference"
    _write(pair.builder, builder)
    place = inference / pair.inference.code_file
    if place.exists():
        set_line(place, line)
        _add_source(inference / METADATA, pair)
    else:
        _write(pair.inference, inference)
    return builder, inference


def set_line(notebook: Path, line: str) -> None:
    """Put ``line`` in the notebook's cell for it, and leave all else as it is.

    Raises:
        UsageError: it is no notebook, or has no such cell.

    """
    before = given_text(notebook, next="name a notebook")
    after = with_source(before, LINE_CELL, line, str(notebook))
    if after != before:
        write_text(notebook, after)


def _write(kernel: Kernel, folder: Path) -> None:
    write_text(folder / kernel.code_file, kernel.source)
    write_text(folder / METADATA, _json(kernel.metadata()))


def _add_source(place: Path, pair: Pair) -> None:
    """Have the builder among the sources of a notebook whose metadata somebody may have edited."""
    if not place.exists():
        write_text(place, _json(pair.inference.metadata()))
        return
    try:
        data = parsed(given_text(place, next="move it away: it is made anew"))
        sources = list(data.get("kernel_sources") or [])
    except (ValueError, AttributeError, TypeError) as error:
        raise UsageError(
            "this is no kernel metadata", where=str(place), next="move it away: it is made anew"
        ) from error
    if pair.builder.ref not in sources:
        data["kernel_sources"] = [*sources, pair.builder.ref]
        write_text(place, _json(data))


def _json(data: object) -> str:
    return json.dumps(data, indent=2, ensure_ascii=False) + "\n"
