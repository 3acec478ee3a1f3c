"""``kpack lock`` on a terminal of its own, and a source whose build has no end: what Ctrl-C has to stop."""

from __future__ import annotations

import io
import tarfile
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

ON_TERMINAL = """
import fcntl, os, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.executable, [sys.executable, "-m", "kpack", "lock"])
"""
"""Makes its stdin the terminal that sends SIGINT for Ctrl-C, and becomes kpack."""

_BACKEND = """
import pathlib, subprocess, sys
def get_requires_for_build_wheel(config_settings=None):
    pathlib.Path({reached!r}).touch()
    subprocess.run([sys.executable, "-c", "import time; time.sleep(600)"])
"""


def make_lasting_sdist(folder: Path, reached: Path) -> Path:
    """Make an sdist of ``top 1.0`` whose backend touches ``reached`` and then waits for a process of its own."""
    files = {
        "backend.py": _BACKEND.format(reached=str(reached)),
        "pyproject.toml": '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n',
    }
    sdist = folder / "top-1.0.tar.gz"
    with tarfile.open(sdist, "w:gz") as archive:
        for name, text in files.items():
            member = tarfile.TarInfo(f"top-1.0/{name}")
            member.size = len(text)
            archive.addfile(member, io.BytesIO(text.encode()))
    return sdist
