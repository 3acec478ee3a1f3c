"""Temporary folders of restores: locked by who made them; one whose owner was killed goes with the next run."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import stat
import tempfile
import time
from typing import Iterator, Tuple

PREFIX = "kpack-restore-"
"""How the folders are called, the bootstrap's too."""

_YOUNG = 10
"""Seconds in which a folder may be made and not locked yet."""


def make() -> Tuple[str, int]:
    """Make a private folder; return it and the descriptor that holds its lock until it is closed."""
    folder = tempfile.mkdtemp(prefix=PREFIX)
    return folder, _locked(folder)


@contextlib.contextmanager
def holding(module: str) -> Iterator[None]:
    """Lock the folder that the bootstrap has unpacked the engine to; ``module`` is the path of a module of it."""
    folder = os.path.dirname(os.path.dirname(os.path.dirname(module)))
    held = _locked(folder) if os.path.basename(folder).startswith(PREFIX) else -1
    try:
        yield
    finally:
        if held >= 0:
            os.close(held)


def _locked(folder: str) -> int:
    held = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    fcntl.flock(held, fcntl.LOCK_EX)
    return held


def sweep() -> None:
    """Remove the folders of restores that were killed, as far as they are ours."""
    place = tempfile.gettempdir()
    with contextlib.suppress(OSError):
        for name in os.listdir(place):
            if name.startswith(PREFIX):
                _sweep(os.path.join(place, name))


def _sweep(folder: str) -> None:
    # What is another user's, in use, or gone already stays.
    with contextlib.suppress(OSError):
        held = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            status = os.fstat(held)
            if (
                stat.S_ISDIR(status.st_mode)
                and status.st_uid == os.geteuid()
                and time.time() - status.st_mtime > _YOUNG
            ):
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder)
        finally:
            os.close(held)
