"""What stops a restore: one exception with an exit code, and what, where, what to do next."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

USAGE = 2
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

    code = MACHINE

    def __init__(self, what: str, *, where: str = "", next: str = "", code: int | None = None) -> None:  # noqa: A002 - the JSON key's name
        super().__init__(what)
        self.what = what
        self.where = where
        self.next = next
        if code is not None:
            self.code = code

    def to_dict(self) -> dict[str, Any]:
        """Return the ``error`` object of a failing ``--json`` call."""
        return {"code": self.code, "what": self.what, "where": self.where, "next": self.next}

    def __str__(self) -> str:
        return ": ".join(part for part in (self.where, self.what) if part)


class OptionError(RestoreError):
    """The options of this restore contradict each other or the pack."""

    code = USAGE


class IntegrityError(RestoreError):
    """Bytes of the pack are not what their digest, size or format says."""

    code = INTEGRITY


class MisfitError(RestoreError):
    """The interpreter, the image or what is installed does not fit the pack."""

    code = MISFIT


class MachineError(RestoreError):
    """The machine said no."""

    code = MACHINE
