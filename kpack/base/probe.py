"""The cell that writes down what a kernel has."""

from __future__ import annotations

from pathlib import Path


def cell() -> str:
    """Return the source to paste in a notebook cell: standard library only, CPython 3.8 or newer.

    In a notebook, or where ``/kaggle/working`` is, it writes ``kaggle-base.json`` to the current folder; elsewhere it
    prints the snapshot on stdout. `kpack.base.load` takes the file.
    """
    return Path(__file__).with_name("probe_cell.py").read_text(encoding="utf-8")
