"""The release of glibc that native code asks for, by the versions of its symbols."""

from __future__ import annotations

import re
import zipfile
from typing import TYPE_CHECKING

from kpack.native.elf import ElfReader

if TYPE_CHECKING:
    from pathlib import Path

    from kpack.native.elf import SharedObject

STANDS_FOR = {"GLIBC_ABI_DT_RELR": "GLIBC_2.36"}
"""The version that glibc has for files with DT_RELR, and the first release that has it."""

_CHUNK = 1 << 20
_RELEASE = re.compile(r"GLIBC_(\d{1,4})\.(\d{1,4})(?:\.\d{1,4})?", re.ASCII)


def asked_for(wheel: Path) -> tuple[int, int] | None:
    """Return the newest release of glibc whose symbols the files of a wheel need; (0, 0) where they need none.

    None where one of its files cannot be read, or asks for what no release is known by.

    Raises:
        OSError, zipfile.BadZipFile: the wheel cannot be read.

    """
    newest = (0, 0)
    with zipfile.ZipFile(wheel) as archive:
        for entry in archive.infolist():
            with archive.open(entry) as stream:
                reader = ElfReader(entry.filename)
                while piece := stream.read(_CHUNK):
                    reader.feed(piece)
            found = reader.finish()
            release = (0, 0) if found is None else _release(found)
            if release is None:
                return None
            newest = max(newest, release)
    return newest


def _release(found: SharedObject) -> tuple[int, int] | None:
    if found.fault:
        return None
    newest = (0, 0)
    for _, version in found.versions:
        if not version.startswith("GLIBC_"):
            continue
        release = _RELEASE.fullmatch(STANDS_FOR.get(version, version))
        if release is None:  # GLIBC_PRIVATE: of one release alone, and nothing tells which
            return None
        newest = max(newest, (int(release[1]), int(release[2])))
    return newest
