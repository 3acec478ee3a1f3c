"""Changes of the file system that can be taken back: making folders, moving files, removing what a run made.

Nothing here follows a symbolic link, and nothing recurses: a path may be as deep as the file system takes.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import stat
from typing import Iterable, List

from .errors import machine_error


def make_folders(path: str, made: List[str]) -> None:
    """Make a folder and its parents; those that were not there are appended to ``made``, parents first."""
    missing = []
    while not os.path.isdir(path):
        missing.append(path)
        path = os.path.dirname(path)
    for folder in reversed(missing):
        try:
            os.mkdir(folder)
        except FileExistsError:
            if not os.path.isdir(folder):
                raise
            continue
        made.append(folder)


def remove_empty(folders: Iterable[str]) -> None:
    """Remove those of the folders, given parents first, that are empty."""
    for folder in reversed(list(folders)):
        with contextlib.suppress(OSError):
            os.rmdir(folder)


def remove(path: str) -> None:
    """Remove a file, a link or a folder with all that is in it; what cannot be removed stays."""
    if not is_folder(path):
        with contextlib.suppress(OSError):
            os.unlink(path)
        return
    waiting = [path]
    found = []
    while waiting:
        folder = waiting.pop()
        found.append(folder)
        with contextlib.suppress(OSError), os.scandir(folder) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(entry.path)
                else:
                    with contextlib.suppress(OSError):
                        os.unlink(entry.path)
    remove_empty(found)


def is_folder(path: str) -> bool:
    """Tell whether there is a folder itself, not a link to one."""
    try:
        return stat.S_ISDIR(os.lstat(path).st_mode)
    except OSError:
        return False


def relocate(source: str, destination: str) -> None:
    """Move a file, or a folder of this run's own, to a place where nothing is.

    Files go by copy where the two are on different file systems (or where an overlay says so); the copy is whole before
    it gets its name. Raises RestoreError (code 7).
    """
    try:
        try:
            os.rename(source, destination)
        except OSError as error:
            if error.errno != errno.EXDEV or is_folder(source):
                raise
            _copied(source, destination)
            os.unlink(source)
    except OSError as error:
        raise machine_error(error, "move to {}".format(destination), source) from error


def _copied(source: str, destination: str) -> None:
    # A name of its own, of 15 bytes: one made from the destination's could be too long.
    part = os.path.join(os.path.dirname(destination), ".kpack-" + os.urandom(4).hex())
    try:
        shutil.copy2(source, part, follow_symlinks=False)
        os.rename(part, destination)
    except OSError:
        with contextlib.suppress(OSError):
            os.unlink(part)
        raise
