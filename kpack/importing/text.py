"""The bytes of an input, as text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kpack.environment.errors import shown_path
from kpack.errors import MachineError, UsageError
from kpack.files import OddFileError, read_bounded

if TYPE_CHECKING:
    from pathlib import Path

LARGEST = 32 << 20
"""Bytes of the largest input that is read."""


def read(path: Path) -> str:
    """Return the text of an input.

    Raises:
        UsageError: it is not there, is no plain file, is larger than `LARGEST`, or is not UTF-8.
        MachineError: it cannot be read.

    """
    try:
        return read_bounded(path, LARGEST).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise UsageError("is not UTF-8", where=f"{shown_path(path)}:{line}", next="save the file as UTF-8") from error
    except OddFileError as error:
        which = "a file in it" if path.is_dir() else "a file without its outputs"
        raise UsageError(str(error), where=shown_path(path), next=f"name {which}") from error
    except (FileNotFoundError, NotADirectoryError) as error:
        raise UsageError("there is no such file", where=shown_path(path), next="check the path") from error
    except OSError as error:
        raise MachineError(f"cannot be read: {error.strerror}", where=shown_path(path)) from error
