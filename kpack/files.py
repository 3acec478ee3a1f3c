"""The one atomic write, the one way to read, digest and JSON of files.

Nothing here waits for a pipe or reads a device. A file that somebody *gives* kpack is read with `given`, which says
what is wrong with it; one that kpack *keeps* for itself, and can make again, with `recalled`: anything else that lies
there counts as nothing, and `keep` takes its place. A file stays as it was until the new one is whole.
"""

from __future__ import annotations

import contextlib
import errno
import glob
import hashlib
import json
import os
import re
import stat
import tempfile
import threading
from typing import TYPE_CHECKING, Any

from kpack import claims
from kpack.errors import MachineError, UsageError, room_advice

if TYPE_CHECKING:
    from collections.abc import Iterator
    from io import BufferedRandom, BufferedReader
    from pathlib import Path

CHUNK = 1 << 20
"""Bytes read at a time when a file is hashed or copied."""

LARGEST = 32 << 20
"""Bytes of the largest text that is given: a notebook with its outputs, a snapshot, the keys of an archive."""

LARGEST_KEPT = 128 << 20
"""Bytes of the largest file that kpack keeps for itself and reads again."""

_LONGEST_PREFIX = 100
"""Bytes of a file's name that its temporary name begins with."""

_NOT_KEPT = frozenset({errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS})
_ASKING = threading.Lock()
_SHA256 = re.compile(r"[0-9a-f]{64}")


def is_sha256(text: str) -> bool:
    """Tell whether ``text`` is a SHA-256 digest as kpack writes it: 64 lower-case hexadecimal digits."""
    return _SHA256.fullmatch(text) is not None


def sha256_of(path: Path) -> str:
    """Return the SHA-256 (64 hexadecimal digits) of the regular file at ``path``; raises OSError as `open_regular`."""
    with open_regular(path) as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


class OddFileError(OSError):
    """What a path leads to is no file that is read: not a regular one, or too large; ``strerror`` says which."""

    def __init__(self, what: str, path: Path) -> None:
        super().__init__(errno.EINVAL, what, str(path))

    def __str__(self) -> str:
        return str(self.strerror)


def open_regular(path: Path) -> BufferedReader:
    """Open a regular file to read from it; a pipe or a device is never waited for.

    Raises:
        OSError: it cannot be opened; OddFileError: it is a folder, or no regular file.

    """
    # O_NONBLOCK: opening a pipe that nobody writes to would wait for ever.
    try:
        stream = open(path, "rb", opener=_without_waiting)  # noqa: SIM115 - Path has no opener
    except OSError as error:
        if error.errno == errno.ENXIO:  # a socket
            raise OddFileError("is not a regular file", path) from error
        if path.is_dir():  # Windows only says that it may not be read
            raise OddFileError("is a folder, not a file", path) from error
        raise
    if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
        stream.close()
        raise OddFileError("is not a regular file", path)
    return stream


def _without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0))


def read_bounded(path: Path, limit: int) -> bytes:
    """Return the content of a regular file of at most ``limit`` bytes.

    Raises:
        OSError: it cannot be read; OddFileError: it is larger, a folder, or no regular file.

    """
    with open_regular(path) as stream:
        size = os.fstat(stream.fileno()).st_size
        data = stream.read(limit + 1) if size <= limit else b""
    if max(len(data), size) > limit:
        raise OddFileError(f"has {max(len(data), size):,} bytes, {limit:,} are the most that is read", path)
    return data


def given(path: Path, *, limit: int = LARGEST, next: str = "name a file") -> bytes:  # noqa: A002 - as in `KpackError`
    """Return the content of a file that kpack was given; ``next`` says what to do about one that is none.

    Raises:
        UsageError: it is a folder, a pipe, a device, or larger than ``limit`` (bytes).
        MachineError: it is not there, or cannot be read.

    """
    try:
        return read_bounded(path, limit)
    except OddFileError as error:
        raise UsageError(str(error), where=str(path), next=next) from error
    except OSError as error:
        raise MachineError(f"cannot be read: {error.strerror}", where=str(path), next=next) from error


def given_text(path: Path, *, next: str = "name a file") -> str:  # noqa: A002
    """Return the text of a file that kpack was given: without its byte order mark, every line end a line feed.

    Raises:
        UsageError, MachineError: as `given`; UsageError, too: it is not UTF-8.

    """
    data = given(path, next=next)
    try:
        return data.decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        what = f"is not UTF-8: byte 0x{error.object[error.start]:02x}"
        raise UsageError(what, where=f"{path}:{line}", next="save the file as UTF-8") from error


def parsed(text: str | bytes) -> Any:
    """Return what JSON text says.

    Raises:
        ValueError: it is no JSON, no UTF-8, or holds what Python's reader gives up on: nested too deeply, a number
            without end.

    """
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def recalled(path: Path) -> Any:
    """Return what JSON says that kpack keeps at ``path`` and can find out again.

    Raises:
        ValueError: there is none that can be read, for whatever reason.

    """
    try:
        return parsed(read_bounded(path, LARGEST_KEPT))
    except OSError as error:
        raise ValueError(f"there is nothing: {error}") from error


def keep(path: Path, text: str) -> None:
    """Write what kpack keeps for itself at ``path``, in the place of whatever is there.

    Raises:
        MachineError: it cannot be written.

    """
    vacate(path)
    write_text(path, text)


def vacate(path: Path) -> None:
    """Remove what lies where kpack keeps a file and is none: a pipe, a socket, an empty folder, a link to one.

    Raises:
        MachineError: it cannot be removed, say because it is a folder with something in it.

    """
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        status = path.lstat()
        if stat.S_ISLNK(status.st_mode) and path.is_file():
            return
        if stat.S_ISREG(status.st_mode):
            return
        try:
            path.rmdir() if stat.S_ISDIR(status.st_mode) else path.unlink()
        except FileNotFoundError:  # by another process meanwhile
            return
        except OSError as error:
            what = "a folder is" if stat.S_ISDIR(status.st_mode) else "something is"
            raise MachineError(
                f"{what} where kpack keeps a file, and cannot be removed: {error.strerror}",
                where=str(path),
                next="look at what it is, and move it away",
            ) from error


@contextlib.contextmanager
def replacing(path: Path, mode: int = 0o644) -> Iterator[BufferedRandom]:
    """Yield a binary stream whose content takes the place of ``path`` when the block ends well.

    The stream is a private temporary file in the same folder (which is made when missing); it is renamed over
    ``path`` when the block ends and removed when the block raises. ``mode`` is the permission of the
    new file before the umask.

    Raises:
        MachineError: the folder cannot be made or written, or what is there is a folder, a pipe or a device.

    """
    if _is_odd(path):
        what = "is a folder" if path.is_dir() else "is not a regular file"
        raise MachineError(f"cannot write: {what}", where=str(path), next="name another file")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        sweep(path)
        stream, name = _claimed(_prefix(path), path.parent)
    except OSError as error:
        raise MachineError(
            f"cannot write: {error.strerror}", where=str(path), next="choose a folder that can be written"
        ) from error
    try:
        with stream, claims.held(name):
            yield stream
            stream.flush()
            # Still claimed: nobody takes it for a left-over.
            permit(name, mode & ~_umask())
            os.replace(name, path)  # noqa: PTH105
    except BaseException as error:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name)  # noqa: PTH108
        if isinstance(error, OSError) and error.errno is not None:
            raise MachineError(
                f"cannot write: {error.strerror}",
                where=str(path),
                next=room_advice(error) or "choose another file or folder",
            ) from error
        raise


def permit(path: str | Path, mode: int) -> None:
    """Give a file of this process its permissions, where the file system has any (FAT and some of FUSE have none)."""
    with lenient():
        os.chmod(path, mode)  # noqa: PTH101 - also of names from mkstemp


@contextlib.contextmanager
def lenient() -> Iterator[None]:
    """Go on where a file system refuses to keep the mode or the time of a file that is this process's own."""
    try:
        yield
    except OSError as error:
        if error.errno not in _NOT_KEPT:
            raise


def _is_odd(path: Path) -> bool:
    """Tell whether something lies there that no file may take the place of: a rename would replace even a device."""
    try:
        return not stat.S_ISREG(path.stat().st_mode)
    except OSError:  # nothing is there, or whoever writes says why not
        return False


def sweep(path: Path) -> None:
    """Remove what writers of ``path`` that were killed have left beside it."""
    claims.sweep(path.parent.glob(f"{glob.escape(_prefix(path))}*.part"))


def _prefix(path: Path) -> str:
    """Return how the names of the temporary files for ``path`` begin."""
    return f".{os.fsdecode(os.fsencode(path.name)[:_LONGEST_PREFIX])}."


def _claimed(prefix: str, folder: Path) -> tuple[BufferedRandom, str]:
    """Make a temporary file that is this process's until it is closed."""
    while True:
        descriptor, name = tempfile.mkstemp(prefix=prefix, suffix=".part", dir=folder)
        stream = os.fdopen(descriptor, "w+b")
        if claims.claim(stream, name):
            return stream, name
        stream.close()


def _umask() -> int:
    """Return the process's umask, which can only be asked for by setting it: one thread at a time may."""
    with contextlib.suppress(OSError), open("/proc/self/status", encoding="ascii", errors="replace") as status:  # noqa: PTH123
        for line in status:
            if line.startswith("Umask:"):
                return int(line.split()[1], 8)
    with _ASKING:
        umask = os.umask(0o077)
        os.umask(umask)
        return umask


def write_text(path: Path, text: str) -> None:
    """Write ``text`` as UTF-8 with its line ends as they are, all of it or nothing."""
    with replacing(path) as stream:
        stream.write(text.encode("utf-8"))
