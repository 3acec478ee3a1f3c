"""Making room: the files of a distribution that is replaced, and moving files so that it can be taken back."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, List, NamedTuple, Set

from . import record
from .errors import MISFIT, RestoreError

if TYPE_CHECKING:
    from .drift import Installed


class Old(NamedTuple):
    """What an installed distribution consists of, by its RECORD."""

    there: Installed
    files: List[str]
    """Absolute paths of files that are there, bytecode included; METADATA first, for what has none does not
    pass for installed."""
    folders: List[str]
    """Folders of its own and of others that it has files in, parents first."""


def read_old(there: Installed, libs: Set[str]) -> Old:
    """Return the files of an installed distribution.

    One that lives outside ``libs`` is left where it is: what is installed comes before it on sys.path, as with
    pip. Raises RestoreError (code 6) for a distribution without a RECORD that can be read.
    """
    lib = os.path.dirname(there.info)
    if lib not in libs:
        return Old(there, [], [])
    path = os.path.join(there.info, "RECORD")
    try:
        with open(path, "rb") as stream:
            rows = record.listed(stream.read(), path)
    except OSError as error:
        raise RestoreError(
            MISFIT,
            "{} {} cannot be replaced: it has no RECORD, so its files are not known".format(there.name, there.version),
            where=there.info,
            next="uninstall it with the tool that installed it, or restore with --target DIR",
        ) from error
    files = set()
    for row in rows:
        file = os.path.normpath(os.path.join(lib, row))
        if os.path.isfile(file) or os.path.islink(file):
            files.add(file)
    for name in os.listdir(there.info):
        # What other tools have added since (REQUESTED, direct_url.json) goes along.
        file = os.path.join(there.info, name)
        if not os.path.isdir(file):
            files.add(file)
    files |= _bytecode({file for file in files if file.endswith(".py")})
    folders = {os.path.dirname(file) for file in files}
    for folder in list(folders):
        while len(folder) > len(lib) and folder.startswith(lib + "/"):
            folders.add(folder)
            folder = os.path.dirname(folder)
    first = os.path.join(there.info, "METADATA")
    ordered = sorted(files, key=lambda file: (file != first, not file.startswith(there.info + "/"), file))
    return Old(there, ordered, sorted(folder for folder in folders if folder.startswith(lib + "/")))


def _bytecode(sources: Set[str]) -> Set[str]:
    """Return the cached bytecode of source files, whichever Python made it."""
    found = set()
    for folder in {os.path.dirname(path) for path in sources}:
        cache = os.path.join(folder, "__pycache__")
        with contextlib.suppress(OSError):
            for name in os.listdir(cache):
                if name.endswith(".pyc") and "{}/{}.py".format(folder, name.partition(".")[0]) in sources:
                    found.add(os.path.join(cache, name))
    return found
