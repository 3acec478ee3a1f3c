"""The one atomic write, digest and JSON of files: whatever was there before stays until the new one is whole."""

from __future__ import annotations

import contextlib
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
from kpack.errors import MachineError, room_advice

if TYPE_CHECKING:
    from collections.abc import Iterator
    from io import BufferedRandom, BufferedReader
    from pathlib import Path

CHUNK = 1 << 20
"""Bytes read at a time when a file is hashed or copied."""

_LONGEST_PREFIX = 100
"""Bytes of a file's name that its temporary name begins with."""

_ASKING = threading.Lock()
_SHA256 = re.compile(r"[0-9a-f]{64}")


def is_sha256(text: str) -> bool:
    """Tell whether ``text`` is a SHA-256 digest as kpack writes it: 64 lower-case hexadecimal digits."""
    return _SHA256.fullmatch(text) is not None


def sha256_of(path: Path) -> str:
    """Return the SHA-256 (64 hexadecimal digits) of the file at ``path``, read in chunks."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


class OddFileError(Exception):
    """What a path leads to is no file that is read: not a regular one, or too large."""


def open_regular(path: Path) -> BufferedReader:
    """Open a regular file to read from it; a pipe or a device is never waited for.

    Raises:
        OddFileError: it is no regular file.
        OSError: it cannot be opened; IsADirectoryError for a folder.

    """
    # O_NONBLOCK: opening a pipe that nobody writes to would wait for ever.
    stream = open(path, "rb", opener=_without_waiting)  # noqa: SIM115 - Path has no opener
    if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
        stream.close()
        raise OddFileError("is not a regular file")
    return stream


def _without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0))


def read_bounded(path: Path, limit: int) -> bytes:
    """Return the content of a regular file of at most ``limit`` bytes.

    Raises:
        OddFileError: it is larger, or no regular file; says which.
        OSError: it cannot be read; IsADirectoryError for a folder.

    """
    with open_regular(path) as stream:
        size = os.fstat(stream.fileno()).st_size
        data = stream.read(limit + 1) if size <= limit else b""
    if max(len(data), size) > limit:
        raise OddFileError(f"has {max(len(data), size):,} bytes, {limit:,} are the most that is read")
    return data


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


@contextlib.contextmanager
def replacing(path: Path, mode: int = 0o644) -> Iterator[BufferedRandom]:
    """Yield a binary stream whose content takes the place of ``path`` when the block ends well.

    The stream is a private temporary file in the same folder (which is made when missing); it is renamed over
    ``path`` when the block ends and removed when the block raises. ``mode`` is the permission of the
    new file before the umask.

    Raises:
        MachineError: the folder cannot be made or written.

    """
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
            os.chmod(name, mode & ~_umask())  # noqa: PTH101 - a name from mkstemp
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
