"""The interpreters of this machine."""

from __future__ import annotations

import functools
import json
import shutil
import subprocess
from pathlib import Path

SERIES = ("3.8", "3.9", "3.10", "3.11", "3.12", "3.13", "3.14")
"""Every series of CPython that kpack restores into; a test of one that this machine does not have is skipped."""


@functools.cache
def found() -> dict[str, str]:
    """Return an interpreter by series, oldest first, ``{"3.12": path}``: from PATH, or from pyenv's versions."""
    places = [shutil.which(f"python{series}") for series in SERIES]
    pyenv = shutil.which("pyenv")
    if pyenv:
        root = subprocess.run([pyenv, "root"], capture_output=True, text=True, check=True).stdout.strip()
        places += [str(path) for path in sorted(Path(root).glob("versions/*/bin/python"))]
    answers: dict[str, str] = {}
    for place in places:
        series = _series(place) if place else None
        if place and series in SERIES:
            answers.setdefault(series, place)
    return {series: answers[series] for series in SERIES if series in answers}


def _series(python: str) -> str | None:
    """Return ``3.12`` for an interpreter that runs; a shim of a version that is not chosen does not."""
    code = "import json, sys; print(json.dumps(list(sys.version_info[:2])))"
    done = subprocess.run([python, "-c", code], capture_output=True, text=True, check=False)
    return ".".join(map(str, json.loads(done.stdout))) if done.returncode == 0 else None
