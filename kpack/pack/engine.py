"""restore.bin: the sources of the restore engine, as one stored zip that is a pure function of them."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import kpack

PACKAGE = "kpack_restore"
"""The folder inside restore.bin."""


def engine() -> bytes:
    """Return restore.bin: every module of ``kpack/restore`` under `PACKAGE`, sorted, stored, dated 1980-01-01."""
    sources = sorted((item.name, item.read_bytes()) for item in (Path(kpack.__file__).parent / "restore").glob("*.py"))
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, code in sources:
            entry = zipfile.ZipInfo(f"{PACKAGE}/{name}")
            entry.create_system = 3
            entry.external_attr = 0o100644 << 16
            archive.writestr(entry, code)
    return buffer.getvalue()
