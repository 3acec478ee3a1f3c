"""What may lie where a file is expected."""

from __future__ import annotations

import contextlib
import os
import socket
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

ODD = ["pipe", "socket", "folder", "link to nothing", "link to a device"]


def put(path: Path, kind: str) -> Path:
    """Make something that is no file at ``path``."""
    path.unlink(missing_ok=True)
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as bound, contextlib.chdir(path.parent):  # its name may have 107 bytes
            bound.bind(path.name)
    elif kind == "folder":
        path.mkdir()
    else:
        path.symlink_to("/dev/zero" if kind == "link to a device" else "nothing")
    return path
