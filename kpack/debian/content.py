"""What is in the file of a system package, and whether it is the one that a lock names."""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kpack.errors import IntegrityError, MachineError
from kpack.native.elf import ElfReader
from kpack.restore import deb
from kpack.restore.errors import INTEGRITY, RestoreError
from kpack.restore.tree import Tree

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from kpack.debian.model import SystemPackage

_SEARCHED = re.compile(r"usr/lib(?:/[a-z0-9_]+-linux-gnu(?:/(?:blas|lapack))?)?")
"""Folders where the loader looks, and those that alternatives lead to."""


_TOLD = 8
"""Names in a sentence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DebContent:
    """What a package brings."""

    unpacked: int
    """Bytes of its files."""
    scripts: tuple[str, ...]
    """Names of its maintainer scripts, which dpkg runs and nothing else does."""
    libraries: tuple[str, ...]
    """Names by which a loader finds its shared libraries."""
    special: tuple[str, ...]
    """Devices and pipes, which only dpkg makes."""


def read(path: Path, package: SystemPackage) -> DebContent:
    """Read the file of a package whole.

    Raises:
        IntegrityError: it is another package, or none that dpkg-deb writes.
        MachineError: it cannot be read here.

    """
    try:
        said = deb.control(str(path))
        for field, wanted in (
            ("Package", package.name),
            ("Version", package.version),
            ("Architecture", package.architecture),
        ):
            if said.fields.get(field) != wanted:
                raise IntegrityError(
                    f"its {field} is {said.fields.get(field)!r:.100}, the lock says {wanted!r}",
                    where=package.filename,
                    next="lock again",
                )
        unpacked, libraries, special, tree = 0, set(), [], Tree()
        with deb.entries(str(path)) as entries:
            for entry, pieces in entries:
                unpacked += entry.size
                if entry.kind == deb.OTHER:
                    special.append(entry.path)
                    continue
                folder, name = posixpath.split(tree.place(entry, str(path)).path)
                if _SEARCHED.fullmatch(folder) is None or ".so" not in name:
                    continue
                libraries.add(name)
                if entry.kind == deb.FILE:
                    reader = ElfReader(entry.path)
                    for piece in pieces():
                        reader.feed(piece)
                    found = reader.finish()
                    libraries |= {found.soname} if found is not None and found.soname else set()
    except RestoreError as error:
        kind = IntegrityError if error.code == INTEGRITY else MachineError
        raise kind(error.what, where=package.filename, next=error.next) from error
    except OSError as error:
        raise MachineError(f"it cannot be read: {error.strerror}", where=package.filename) from error
    return DebContent(
        unpacked=unpacked, scripts=said.scripts, libraries=tuple(sorted(libraries)), special=tuple(special)
    )


def notes_of(debs: Mapping[str, DebContent], road: str | None) -> tuple[str, ...]:
    """Return what a user should know of packages (by file name) that are installed by ``road`` (``[restore] apt``).

    Raises:
        IntegrityError: one has what ``prefix`` cannot make.

    """
    names = {filename: filename.partition("_")[0] for filename in debs}
    special = [name for filename, name in names.items() if debs[filename].special]
    if special and road == "prefix":
        raise IntegrityError(
            f"{', '.join(special)}: devices or pipes, which only dpkg can make",
            where="[restore] apt",
            next='write apt = "dpkg", or leave the package out',
        )
    scripts = [name for filename, name in names.items() if debs[filename].scripts]
    if not scripts:
        return ()
    shown = ", ".join(scripts[:_TOLD]) + (f" and {len(scripts) - _TOLD} more" if len(scripts) > _TOLD else "")
    how = {"dpkg": "dpkg runs them", "prefix": "nothing runs them"}.get(
        road or "", "dpkg runs them; where a folder is unpacked, nothing does"
    )
    return (f"maintainer scripts of {shown}: {how}",)
