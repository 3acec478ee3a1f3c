"""Temporary folders of restores: locked by who made them; one whose owner was killed goes with the next run."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import stat
import tempfile
from typing import Tuple

PREFIX = "kpack-restore-"
"""How the folders are called, the bootstrap's too: it locks its own in the same way."""

_NAME = re.compile(re.escape(PREFIX) + r"[a-z0-9_]{8}\Z")
_CONTENT = re.compile(r"(?:restore\.zip|isal|.+\.deb)\Z")
"""What is in them; a user may have a folder with a name like theirs, with anything in it."""


def make() -> Tuple[str, int]:
    """Make a private folder; return it and the descriptor that holds its lock until it is closed."""
    import fcntl  # Windows, where packs are made and not restored, has none

    folder = tempfile.mkdtemp(prefix=PREFIX)
    held = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    fcntl.flock(held, fcntl.LOCK_EX)
    return folder, held


def sweep() -> None:
    """Remove the folders of restores that were killed, as far as they are ours."""
    place = tempfile.gettempdir()
    with contextlib.suppress(OSError):
        for name in os.listdir(place):
            if _NAME.match(name):
                _sweep(os.path.join(place, name))


def _sweep(folder: str) -> None:
    import fcntl

    # What is another user's, in use, or gone already stays.
    with contextlib.suppress(OSError):
        held = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            status = os.fstat(held)
            if stat.S_IMODE(status.st_mode) == stat.S_IRWXU and status.st_uid == os.geteuid():
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
                names = os.listdir(folder)
                # An empty one may have been made this moment, and not be locked yet.
                if names and all(map(_CONTENT.match, names)):
                    shutil.rmtree(folder)
        finally:
            os.close(held)
