"""What stops a restore: one exception with an exit code, and what, where, what to do next."""

from __future__ import annotations

from typing import Dict, Union

OPTIONS = 2
"""Wrong options."""
INTEGRITY = 5
"""A hash, size, RECORD or pack does not match."""
MISFIT = 6
"""This interpreter or image does not fit the pack."""
MACHINE = 7
"""The machine said no: disk full, permission, a file or pack not found."""


class RestoreError(Exception):
    """An error of the kernel side; the numbers of ``code`` are those of ``kpack.errors.ExitCode``.

    ``what`` happened, with the values on both sides; ``where`` (a path, a member, a distribution; may be
    empty); ``next`` says what to do (may be empty).
    """

    def __init__(self, code: int, what: str, *, where: str = "", next: str = "") -> None:  # noqa: A002 - the JSON key's name
        super().__init__(what)
        self.code = code
        self.what = what
        self.where = where
        self.next = next

    def to_dict(self) -> Dict[str, Union[int, str]]:
        """Return the ``error`` object of a failing ``--json`` call."""
        return {"code": self.code, "what": self.what, "where": self.where, "next": self.next}

    def __str__(self) -> str:
        return ": ".join(part for part in (self.where, self.what) if part)


def machine_error(error: OSError, doing: str, where: str = "") -> RestoreError:
    """Return the error for a system call that failed while ``doing`` (``"write"``, ``"read the pack"``).

    ``where`` is the path; without it the one that the system names.
    """
    path = where or str(error.filename or "")
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
