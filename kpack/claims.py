"""Who owns a file: the operating system's lock says so, and the death of its owner, however it comes, frees it.

A temporary file or folder is locked by the process that made it for as long as it writes there. What is left of a
process that was killed has no lock any more; whoever comes next to the same place removes it.

Some file systems know no locks (NFS without its daemon, Lustre as many clusters mount it, some of FUSE). There what is
young may be somebody's, and stays.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import sys
import time
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

_CLAIM = ".claim"
_YOUNG = 24 * 3600
"""Seconds during which a temporary file that nobody can lock may still have a process that writes it."""
_LOCKLESS = frozenset({errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL})
"""What a file system without locks answers."""
_HELD: set[str] = set()
"""Temporary files and folders of this process."""


@contextlib.contextmanager
def held(path: str | Path) -> Iterator[None]:
    """Remember ``path`` as a temporary file or folder of this process while the block runs."""
    name = str(path)
    _HELD.add(name)
    try:
        yield
    finally:
        _HELD.discard(name)


def drop() -> None:
    """Remove the temporary files and folders of this process, which ends without a chance to do it in order."""
    for path in map(Path, list(_HELD)):
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            with contextlib.suppress(OSError):
                path.unlink()


@contextlib.contextmanager
def locked(stream: IO[Any], on_wait: Callable[[], None] | None = None) -> Iterator[bool]:
    """Hold the operating system's lock on an open file; the death of its owner frees it.

    While somebody else has it, ``on_wait`` is called ten times a second, and may raise to give up. False is yielded
    where the file system knows no locks: nobody is kept out then.
    """
    while (mine := _lock(stream)) is False:
        if on_wait is not None:
            on_wait()
        time.sleep(0.1)
    try:
        yield bool(mine)
    finally:
        if mine:
            _unlock(stream)


def claim(stream: IO[Any], path: str | Path) -> bool:
    """Lock a file that was just made; False when somebody took it for a left-over meanwhile and removed it.

    Closing ``stream`` ends the claim.
    """
    return _lock(stream) is not False and _is(stream, path)


@contextlib.contextmanager
def folder(root: Path) -> Iterator[Path]:
    """Yield a new private folder below ``root`` (which is made when missing), removed at the end.

    Folders there whose owner is gone are removed first.

    Raises:
        OSError: ``root`` cannot be written.

    """
    import tempfile

    root.mkdir(parents=True, exist_ok=True)
    for left in root.glob(f"*{_CLAIM}"):
        _sweep(left, left.with_suffix(""))
    while True:
        descriptor, name = tempfile.mkstemp(suffix=_CLAIM, dir=root)
        with os.fdopen(descriptor, "r+b") as stream:
            if not claim(stream, name):
                continue
            place = Path(name).with_suffix("")
            place.mkdir(mode=0o700)
            try:
                with held(place), held(name):
                    yield place
            finally:
                shutil.rmtree(place, ignore_errors=True)
                Path(name).unlink(missing_ok=True)
            return


def sweep(files: Iterable[Path]) -> None:
    """Remove those of ``files`` (temporary ones, claimed by who writes them) whose owner is gone."""
    for path in files:
        _sweep(path, None)


def _sweep(path: Path, place: Path | None) -> None:
    # Not ours to remove, or gone: whoever can will.
    with contextlib.suppress(OSError):
        if path.is_symlink() or not path.is_file():
            return
        with path.open("r+b") as stream:
            mine = _lock(stream)
            if mine is None:
                mine = time.time() - os.fstat(stream.fileno()).st_mtime > _YOUNG
            if mine and _is(stream, path):
                if place is not None:
                    shutil.rmtree(place, ignore_errors=True)
                path.unlink()


def _is(stream: IO[Any], path: str | Path) -> bool:
    try:
        return os.path.samestat(os.stat(path), os.fstat(stream.fileno()))  # noqa: PTH116
    except FileNotFoundError:
        return False


if sys.platform == "win32":
    import msvcrt

    def _lock(stream: IO[Any]) -> bool | None:
        stream.seek(0)
        try:
            msvcrt.locking(stream.fileno(), msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

    def _unlock(stream: IO[Any]) -> None:
        stream.seek(0)
        msvcrt.locking(stream.fileno(), msvcrt.LK_UNLCK, 1)

else:
    import fcntl

    def _lock(stream: IO[Any]) -> bool | None:
        """Return whether the lock is ours now; None where nobody can tell."""
        try:
            fcntl.flock(stream.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError as error:
            if error.errno in _LOCKLESS:
                return None
            raise
        return True

    def _unlock(stream: IO[Any]) -> None:
        fcntl.flock(stream.fileno(), fcntl.LOCK_UN)
