"""restore.bin: the sources of the restore engine, as one stored zip that is a pure function of them."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import kpack

if TYPE_CHECKING:
    from collections.abc import Iterator

PACKAGE = "kpack_restore"
"""The folder inside restore.bin."""


def engine() -> bytes:
    """Return restore.bin: every module of ``kpack/restore`` under `PACKAGE`, sorted, stored, dated 1980-01-01."""
    sources = sorted((item.name, item.read_bytes()) for item in _sources())
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, code in sources:
            entry = zipfile.ZipInfo(f"{PACKAGE}/{name}")
            entry.create_system = 3
            entry.external_attr = 0o100644 << 16
            archive.writestr(entry, code)
    return buffer.getvalue()


def engine_size() -> int:
    """Return about how many bytes the engine takes in every pack."""
    return sum(item.stat().st_size for item in _sources())


def _sources() -> Iterator[Path]:
    return (Path(kpack.__file__).parent / "restore").glob("*.py")
