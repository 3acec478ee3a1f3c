"""Folders of wheels: the distributions in them, and wheels whose file name cannot be theirs."""

from __future__ import annotations

import os
import re
import zipfile
from email.parser import BytesHeaderParser
from typing import TYPE_CHECKING

from packaging.utils import (
    canonicalize_name,
    parse_sdist_filename,
    parse_wheel_filename,
)
from packaging.version import Version

from kpack.environment.errors import quoted

if TYPE_CHECKING:
    from pathlib import Path

    from packaging.utils import NormalizedName

_LARGEST = 1 << 20
"""Bytes of METADATA that are looked at: its first lines say name and version."""

_WITH_BUILD = 6
"""Parts of a wheel's file name with a build number."""

_COPY = re.compile(r" *\([0-9]{1,3}\)$")
"""What a browser adds to the name of a second download."""


def wheels_in(folder: Path) -> tuple[Path, ...]:
    """Return the wheels that lie in ``folder`` itself, by name; none when it is no folder."""
    return tuple(folder / name for name in _names(folder) if name.endswith(".whl"))


def names_in(folder: Path) -> tuple[NormalizedName, ...]:
    """Return the distributions whose wheels or sdists lie in ``folder`` itself; none when it is no folder."""
    found = {name for name in map(_project, _names(folder)) if name is not None}
    return tuple(sorted(found))


def wheel_problem(path: Path) -> tuple[str, str] | None:
    """Return what is wrong with the name of the wheel at ``path``, and what to do; None when nothing is.

    What is inside has the last word: METADATA knows the version that a download or an upload took the ``+`` from. A
    file name may have a local version more than METADATA, as prebuilt wheels for one CUDA have.
    """
    says = _identity(path)
    try:
        name, version, _, _ = parse_wheel_filename(path.name)
    except ValueError as error:
        what, named = f"does not have the name of a wheel ({str(error).partition(':')[0].lower()})", None
    else:
        what, named = "is not named for what is in it", (name, version)
    if _COPY.search(path.stem):
        what, named = "does not have the name of a wheel, but of a copy of one", None
    if not says and named is None:
        return what, "give the file its own name back"
    if says is None:
        return "is no wheel: it is not a zip file", "bring the file again"
    if not says:
        return None
    own, own_version = says
    if named is not None and named[0] == canonicalize_name(own) and own_version in {version, Version(version.public)}:
        return None
    right = _COPY.sub("", path.stem).split("-")
    right[:2] = [canonicalize_name(own).replace("-", "_"), str(own_version)]
    if len(right) == _WITH_BUILD and not right[2][:1].isdigit():  # nor is it a build number
        del right[2]
    named_well = len(right) in {_WITH_BUILD - 1, _WITH_BUILD}
    advice = f"rename it to {quoted('-'.join(right) + '.whl')}" if named_well else "give it its own name back"
    return f"{what}; its METADATA says {own} {own_version}", advice


def _names(folder: Path) -> list[str]:
    try:
        with os.scandir(folder) as entries:
            return sorted(entry.name for entry in entries if entry.is_file())
    except (FileNotFoundError, NotADirectoryError):
        return []


def _project(filename: str) -> NormalizedName | None:
    try:
        if filename.endswith(".whl"):
            return parse_wheel_filename(filename)[0]
        return parse_sdist_filename(filename)[0]
    except ValueError:
        return None


def _identity(path: Path) -> tuple[str, Version] | tuple[()] | None:
    """Return name and version that METADATA says; () when it does not say, None when the file is no archive."""
    try:
        with zipfile.ZipFile(path) as archive:
            found = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
            if len(found) != 1:
                return ()
            with archive.open(found[0]) as stream:
                headers = BytesHeaderParser().parsebytes(stream.read(_LARGEST))
            return str(headers["Name"]), Version(str(headers["Version"]))
    except (zipfile.BadZipFile, OSError, EOFError):
        return None
    except (NotImplementedError, RuntimeError, ValueError):
        return ()
