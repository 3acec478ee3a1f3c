"""Bytes that anybody may have written, read so that they can do no harm: no hang, no link, no memory, no surprise.

What a restore finds in an environment (its own state of an earlier run, RECORD files of other installers) proves
nothing about who wrote it.
"""

from __future__ import annotations

import errno
import json
import os
import stat
from typing import Any

STATE = 64 << 20
"""Bytes of a file of kpack's own state, at most; a journal of 100,000 files has a quarter of it."""

METADATA = 16 << 20
"""Bytes of a file in an installed metadata folder, at most."""

_DIGITS = 20
"""Digits of the longest number that a state file can hold."""


class Odd(OSError):
    """What is there is no regular file of a size that is read."""


def read(path: str, limit: int, *, follow: bool) -> bytes:
    """Return the content of a regular file of at most ``limit`` bytes.

    ``follow`` takes a symbolic link for what it points to. Raises OSError, `Odd` for anything that is no
    such file: it is never waited for.
    """
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC | (0 if follow else os.O_NOFOLLOW)
    try:
        descriptor = os.open(path, flags)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise Odd(errno.ELOOP, "it is a symbolic link", path) from error
        raise
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise Odd(errno.EINVAL, "it is not a regular file", path)
    with os.fdopen(descriptor, "rb") as stream:
        data = stream.read(limit + 1)
    if len(data) > limit:
        raise Odd(errno.EFBIG, "it has more than {} bytes".format(limit), path)
    return data


def loads(data: bytes) -> Any:
    """Return what JSON says: objects, lists, texts, whole numbers of a size that kpack writes, true, false, null.

    Raises ValueError for anything else.
    """
    try:
        return json.loads(data.decode("utf-8"), parse_int=_whole, parse_float=_no, parse_constant=_no)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def _whole(text: str) -> int:
    if len(text) > _DIGITS:
        raise ValueError("a number of {} digits".format(len(text)))
    return int(text)


def _no(text: str) -> Any:
    raise ValueError("the number {!r}".format(text[:_DIGITS]))
