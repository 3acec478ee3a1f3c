"""What stops a restore: one exception with an exit code, and what, where, what to do next."""

from __future__ import annotations

import os
import sys
from typing import Dict, List, Sequence, Union

OPTIONS = 2
"""Wrong options."""
INTEGRITY = 5
"""A hash, size, RECORD or pack does not match."""
MISFIT = 6
"""This interpreter or image does not fit the pack."""
MACHINE = 7
"""The machine said no: disk full, permission, a file or pack not found."""

FEW = 8
"""Items of a list that a message shows."""


class RestoreError(Exception):
    """An error of the kernel side; the numbers of ``code`` are those of ``kpack.errors.ExitCode``.

    ``what`` happened, with the values on both sides; ``items`` are what it is true of, those that matter first;
    ``where`` (a path, a member, a distribution; may be empty); ``next`` says what to do (may be empty).
    """

    def __init__(
        self,
        code: int,
        what: str,
        *,
        items: Sequence[str] = (),
        where: str = "",
        next: str = "",  # noqa: A002 - the JSON key's name
    ) -> None:
        super().__init__(what)
        self.code = code
        self._head = what
        self._items = items
        self.what = "{}: {}".format(what, "; ".join(items)) if items else what
        self.where = where
        self.next = next

    def to_dict(self) -> Dict[str, Union[int, str]]:
        """Return the ``error`` object of a failing ``--json`` call."""
        return {"code": self.code, "what": self.what, "where": self.where, "next": self.next}

    def __str__(self) -> str:
        return ": ".join(part for part in (self.where, self.what) if part)

    def lines(self) -> List[str]:
        """Return the message for a person: one line, with several items a line for each, and what to do."""
        if len(self._items) > 1:
            head = ": ".join(part for part in (self.where, self._head) if part)
            found = ["{} ({}):".format(head, len(self._items)), *("  " + item for item in few(self._items))]
        else:
            found = [str(self)]
        return found + (["  next: " + self.next] if self.next else [])


def few(items: Sequence[str]) -> List[str]:
    """Return the first items of a list, and how many more there are when it is long."""
    if len(items) <= FEW:
        return list(items)
    return [*items[: FEW - 1], "and {} more".format(len(items) - FEW + 1)]


def number_of(number: int, word: str) -> str:
    """Return ``1 package``, ``2 packages``, for a word whose plural takes an s."""
    return "{} {}{}".format(number, word, "" if number == 1 else "s")


def anyway(does: str) -> str:
    """Return how to have the line go on all the same, for a place where that ``does`` something.

    An interactive shell has ``sys.ps1``; IPython and Jupyter kernels do, too.
    """
    how = "%env KPACK_DRIFT=note in a cell before the line" if hasattr(sys, "ps1") else "KPACK_DRIFT=note"
    return "{} {}".format(how, does)


def machine_error(error: OSError, doing: str, where: str = "") -> RestoreError:
    """Return the error for a system call that failed while ``doing`` (``"write"``, ``"read the pack"``).

    ``where`` is the path; without it the one that the system names.
    """
    path = where or str(error.filename or "")
    if error.errno == 2 and not path:
        return no_working_folder()
    reason = error.strerror or str(error)
    hints = {
        13: "run as a user who may write there, or restore with --target DIR",
        28: "free some space, or let [restore] directory or --target point to a larger disk",
        27: "the file is larger than this process may write (ulimit -f) or the file system takes",
        36: "a name may have 255 bytes and a path 4,095: restore to a shorter path with --target DIR, or exclude the "
        "distribution that brings it",
        30: "the place is read-only: restore with --target DIR",
        122: "the quota is used up: free some space, or restore with --target DIR",
    }
    return RestoreError(
        MACHINE,
        "cannot {}: {}".format(doing, reason),
        where=path,
        next=hints.get(error.errno or 0, "nothing was installed; try again when this is solved"),
    )


def no_working_folder() -> RestoreError:
    """Return the error for a process whose working folder was deleted: of that alone no file name is known."""
    try:
        place = os.readlink("/proc/self/cwd").replace(" (deleted)", "")
    except OSError:  # no Linux
        place = "."
    return RestoreError(
        MACHINE,
        "the working folder of this process was deleted",
        where=place,
        next="change to a folder that is there (cd, %cd or os.chdir), and try again",
    )
