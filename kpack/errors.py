"""The one table of exit codes, and the one shape of an error: what, where, what to do next."""

from __future__ import annotations

import errno
import sys
from enum import IntEnum
from pathlib import Path
from typing import ClassVar

from kpack import DISTRIBUTION


class ExitCode(IntEnum):
    """What a finished ``kpack`` process says by its exit status."""

    DONE = 0
    """Done, or nothing to do."""
    CHECK_FAILED = 1
    """A check said no (``--check``, ``drift``, ``diff --exit-code``, ``rehearse``)."""
    USAGE = 2
    """A usage error, or kaggle-env.toml is invalid."""
    NO_SOLUTION = 3
    """The requirements conflict with each other or with the base."""
    NETWORK = 4
    """The network or an index failed."""
    INTEGRITY = 5
    """A hash, size, RECORD or pack does not match."""
    MISFIT = 6
    """This interpreter or image does not fit the pack."""
    MACHINE = 7
    """The machine said no: disk full, permission, a file or pack not found."""


class KpackError(Exception):
    """An error that teaches.

    ``what`` happened, with the values on both sides; ``where`` (``file:line``, a package, a URL
    without credentials; may be empty); ``next`` says what to do (may be empty).
    """

    exit_code: ClassVar[ExitCode]

    def __init__(self, what: str, *, where: str = "", next: str = "") -> None:  # noqa: A002 - the JSON key's name
        super().__init__(what)
        self.what = what
        self.where = where
        self.next = next

    def to_dict(self) -> dict[str, object]:
        """Return the ``error`` object of a failing ``--json`` call."""
        return {"code": int(self.exit_code), "what": self.what, "where": self.where, "next": self.next}

    def __str__(self) -> str:
        return ": ".join(part for part in (self.where, self.what) if part)


class CheckFailed(KpackError):
    """A check said no."""

    exit_code = ExitCode.CHECK_FAILED


class UsageError(KpackError):
    """The command line or kaggle-env.toml asks for what cannot be."""

    exit_code = ExitCode.USAGE


class NoSolution(KpackError):
    """The requirements conflict with each other or with the base."""

    exit_code = ExitCode.NO_SOLUTION


class NetworkError(KpackError):
    """The network or an index failed."""

    exit_code = ExitCode.NETWORK


class IntegrityError(KpackError):
    """Bytes are not what their digest, size, RECORD or manifest says."""

    exit_code = ExitCode.INTEGRITY


class MisfitError(KpackError):
    """An interpreter or image does not fit the pack."""

    exit_code = ExitCode.MISFIT


class MachineError(KpackError):
    """The machine said no."""

    exit_code = ExitCode.MACHINE


_OF_ROOM = {
    errno.ENOSPC: "free some space",
    errno.EDQUOT: "free some space: the quota is used up",
    errno.EFBIG: "lift the limit on the size of files (ulimit -f), or take a file system that has a higher one",
}


def typed(*words: str) -> str:
    """Return words as they are typed in a shell: in double quotes where some are needed, which Windows knows, too."""
    import shlex

    def one(word: str) -> str:
        plain = shlex.quote(word)
        return f'"{word}"' if plain != word and not set(word) & set('"$`\\!') else plain

    return " ".join(map(one, words))


def room_advice(error: OSError) -> str | None:
    """Return what to do about a file that found no room; None for an error of another kind."""
    return _OF_ROOM.get(error.errno or 0)


def installing(extra: str = "") -> str:
    """Return the words that bring an extra, or without one the newest kpack, to where this kpack is installed.

    What ``pip install`` says would not reach the environments of ``uv tool`` and of pipx.
    """
    wanted = f'"{DISTRIBUTION}[{extra}]"' if extra else DISTRIBUTION
    if Path(sys.prefix, "uv-receipt.toml").is_file():
        return f"uv tool {'install' if extra else 'upgrade'} {wanted}"
    if Path(sys.prefix, "pipx_metadata.json").is_file():
        return f"pipx {'install --force' if extra else 'upgrade'} {wanted}"
    return f"pip install {'' if extra else '-U '}{wanted}"
