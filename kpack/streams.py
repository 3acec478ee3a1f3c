"""The standard streams of a command, which a reader that goes away, or a full disk, cannot make it fail halfway.

What a command does is done, whoever listens: ``kpack build | head -1`` makes its pack, and ends with the exit code that
it would have had. Where an answer cannot be written for another reason, that is told at the end (`settled`).
"""

from __future__ import annotations

import contextlib
import errno
import io
import os
import sys

from kpack.errors import ExitCode

_NAMES = ("stdin", "stdout", "stderr")


class _Lasting(io.FileIO):
    """A file descriptor to write to, whose errors are remembered and not raised."""

    failed: OSError | None = None
    """The first error."""

    def write(self, data: object) -> int:
        size = memoryview(data).nbytes  # type: ignore[arg-type]
        if self.failed is None:
            try:
                return super().write(data)  # type: ignore[arg-type]
            except BlockingIOError:
                raise
            except OSError as error:
                self.failed = error
        return size


def install() -> None:
    """Complete the standard streams, and let writing to stdout and stderr raise nothing.

    What the caller has closed (``>&-``) becomes the null device: the next file that is opened would take its place.
    """
    for number, name in enumerate(_NAMES):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free: this one
            os.set_inheritable(number, True)
            mode = "w" if number else "r"
            setattr(sys, name, open(number, mode, encoding="utf-8", closefd=False))  # noqa: SIM115 - stays open
    for name in _NAMES[1:]:
        stream = getattr(sys, name)
        binary = getattr(stream, "buffer", None)
        raw = getattr(binary, "raw", binary)  # with -u there is no buffer between
        if type(raw) is not io.FileIO:  # a console of Windows, or what a program has put there
            continue
        stream.flush()
        lasting = io.TextIOWrapper(
            io.BufferedWriter(_Lasting(raw.fileno(), "wb", closefd=False)),
            encoding=stream.encoding,
            errors="backslashreplace",  # a terminal that lacks a letter stops nothing
            line_buffering=stream.line_buffering or raw is binary,
        )
        setattr(sys, name, lasting)


def lost() -> OSError | None:
    """Return why stdout did not take what was flushed to it; None where it did, or where its reader is gone."""
    error: OSError | None = getattr(getattr(getattr(sys.stdout, "buffer", None), "raw", None), "failed", None)
    return None if error is None or _has_no_reader(error) else error


def settled(code: int) -> int:
    """Write out what is left and return the exit code: 7 in place of 0 where the answer could not be written."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):  # a stream that somebody else has put there
            stream.flush()
    error = lost()
    if error is None:
        return code
    with contextlib.suppress(OSError, ValueError):
        sys.stderr.write(f"kpack: stdout: cannot write: {error.strerror}\n")
        if not code:
            sys.stderr.write(
                "  → the work is done, but its answer is not whole: let stdout lead to where there is room\n"
            )
        sys.stderr.flush()
    return code or int(ExitCode.MACHINE)


def _has_no_reader(error: OSError) -> bool:
    # Windows says EINVAL of a pipe whose other end is closed.
    return error.errno == errno.EPIPE or (os.name == "nt" and error.errno == errno.EINVAL)
