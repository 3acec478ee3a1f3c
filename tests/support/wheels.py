"""Tiny wheels from a dict, for tests."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import zipfile
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

EPOCH = (2020, 2, 2, 0, 0, 0)


def record_digest(data: bytes) -> str:
    """Return ``sha256=…`` as RECORD spells it."""
    return "sha256=" + base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()


def make_wheel(
    folder: Path,
    name: str,
    version: str = "1.0",
    *,
    files: Mapping[str, bytes | str] | None = None,
    requires: Sequence[str] = (),
    provides_extra: Sequence[str] = (),
    requires_python: str | None = None,
    headers: Sequence[str] = (),
    tag: str = "py3-none-any",
    entry_points: str | None = None,
    executable: Sequence[str] = (),
    purelib: bool = True,
    stored: bool = False,
    record: bytes | None = None,
    build: str | None = None,
    info: str | None = None,
    metadata: str | bytes | None = None,
    wheel: str | None = None,
) -> Path:
    """Write a valid wheel (unless ``record`` overrides RECORD) and return its path.

    ``headers`` are more lines of METADATA, ``metadata`` is all of it, ``wheel`` all of WHEEL, ``info`` the stem of its
    folder.
    ``files`` maps archive names to content; by default one module named after the
    distribution with ``VERSION = "<version>"``. Names in ``executable`` get mode 0755.
    """
    stem = name.replace("-", "_").replace(".", "_")
    info = f"{info or f'{stem}-{version}'}.dist-info"
    content: dict[str, bytes] = {
        key: value.encode() if isinstance(value, str) else value
        for key, value in (files if files is not None else {f"{stem.lower()}.py": f'VERSION = "{version}"\n'}).items()
    }
    lines = [
        "Metadata-Version: 2.1",
        f"Name: {name}",
        f"Version: {version}",
        *(f"Requires-Dist: {item}" for item in requires),
        *(f"Provides-Extra: {item}" for item in provides_extra),
        *headers,
    ]
    if requires_python:
        lines.append(f"Requires-Python: {requires_python}")
    said = "\n".join(lines) + "\n\n" if metadata is None else metadata
    content[f"{info}/METADATA"] = said if isinstance(said, bytes) else said.encode()
    python, abi, platforms = tag.split("-")
    expanded = [f"{p}-{a}-{f}" for p in python.split(".") for a in abi.split(".") for f in platforms.split(".")]
    wheel = wheel or (
        "Wheel-Version: 1.0\nGenerator: kpack-tests\n"
        f"Root-Is-Purelib: {'true' if purelib else 'false'}\n" + "".join(f"Tag: {t}\n" for t in expanded)
    )
    content[f"{info}/WHEEL"] = wheel.encode()
    if entry_points:
        content[f"{info}/entry_points.txt"] = entry_points.encode()
    if record is None:
        rows = io.StringIO()
        writer = csv.writer(rows, lineterminator="\n")
        for key, value in content.items():
            writer.writerow((key, record_digest(value), len(value)))
        writer.writerow((f"{info}/RECORD", "", ""))
        record = rows.getvalue().encode()
    content[f"{info}/RECORD"] = record
    folder.mkdir(parents=True, exist_ok=True)
    filename = "-".join([stem, version, *([build] if build else []), tag]) + ".whl"
    path = folder / filename
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED if stored else zipfile.ZIP_DEFLATED) as archive:
        for key, value in content.items():
            entry = zipfile.ZipInfo(key, EPOCH)
            entry.compress_type = zipfile.ZIP_STORED if stored else zipfile.ZIP_DEFLATED
            entry.external_attr = ((0o100755 if key in executable else 0o100644) & 0xFFFF) << 16
            archive.writestr(entry, value)
    return path
