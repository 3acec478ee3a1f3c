"""Checkpoints that are files of this machine: whether they are still the ones that were locked."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from kpack.errors import MachineError
from kpack.files import sha256_of
from kpack.urls import file_path

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from kpack.checkpoints import LockedCheckpoint


def changed(checkpoints: Iterable[LockedCheckpoint], folder: Path, *, since: int) -> tuple[str, ...]:
    """Return the paths, sorted, of those whose local file is another one than the lock says.

    ``folder`` is that of kaggle-env.toml; ``since`` is when the lock was written, in nanoseconds of the clock of the
    file system: what has the locked size and was not written after that is taken to be the same, as checkpoints are
    large. A file that is not there is left to who fetches it.

    Raises:
        MachineError: a file cannot be read.

    """
    return tuple(sorted(each.path for each in checkpoints if _is_other(each, folder, since)))


def _is_other(checkpoint: LockedCheckpoint, folder: Path, since: int) -> bool:
    url = checkpoint.urls[0]
    if urlsplit(url).scheme != "file":
        return False
    path = folder / file_path(url)
    if not path.is_file():
        return False
    try:
        status = path.stat()
        if status.st_size != checkpoint.size:
            return True
        return status.st_mtime_ns >= since and sha256_of(path) != checkpoint.sha256
    except OSError as error:
        raise MachineError(f"cannot be read: {error.strerror}", where=str(path), next="check the file") from error
