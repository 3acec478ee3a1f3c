"""Finding an interpreter of the target's series on this machine."""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from kpack.errors import MachineError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kpack.restore.manifest import PackTarget

ASK = """
import json, platform, sys, sysconfig
print(json.dumps([platform.python_implementation(), platform.python_version(), platform.machine(),
                  bool(sysconfig.get_config_var("Py_GIL_DISABLED")), sys.executable, sys.base_prefix]))
"""
"""Has an interpreter say what it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KernelPython:
    """A CPython of this machine."""

    path: Path
    version: str
    """``3.12.1``."""
    prefix: Path
    """The folder of its installation."""

    @property
    def series(self) -> str:
        """``3.12``."""
        return ".".join(self.version.split(".")[:2])


def find(target: PackTarget, asked: str | None = None) -> KernelPython:
    """Return the interpreter that ``asked`` names, or one of the target's series from PATH, pyenv or uv.

    Raises:
        MachineError: there is none, and how to get one; or this machine is none that the target can run on.

    """
    if sys.platform != "linux" or platform.machine() != target.machine:
        raise MachineError(
            f"the pack is for linux on {target.machine}, this machine is {sys.platform} on {platform.machine()}",
            where=target.label,
            next="rehearse in a container (--container IMAGE), or on Kaggle itself (--kaggle)",
        )
    if asked is not None:
        return _asked(asked, target)
    for place in _places(target.python):
        found = describe(place)
        if found is not None and found.series == target.python:
            return found
    raise MachineError(
        f"there is no CPython {target.python} on this machine (looked at PATH, pyenv and uv)",
        where=target.label,
        next=f"uv python install {target.python}\nor name one: kpack rehearse --python PATH",
    )


def _asked(asked: str, target: PackTarget) -> KernelPython:
    program = shutil.which(asked)
    found = describe(program) if program else None
    if found is None:
        raise MachineError("this is no CPython interpreter", where=asked, next="give the path of a python program")
    if found.series != target.python:
        raise MachineError(
            f"it is Python {found.version}, and the target {target.label} runs {target.python}",
            where=asked,
            next="name another interpreter, or another target of the pack (--base NAME)",
        )
    return found


def describe(program: str) -> KernelPython | None:
    """Return what ``program`` is; None when it is no CPython with a GIL, or does not run."""
    try:
        done = subprocess.run(
            [program, "-I", "-S", "-c", ASK],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        implementation, version, _, free_threaded, executable, prefix = json.loads(done.stdout)
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return None
    if implementation != "CPython" or free_threaded:
        return None
    return KernelPython(path=Path(executable), version=version, prefix=Path(prefix))


def _places(series: str) -> Iterator[str]:
    if ".".join(map(str, sys.version_info[:2])) == series:
        yield os.path.realpath(sys.executable)
    if on_path := shutil.which(f"python{series}"):
        yield on_path
    root = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    yield from map(str, sorted(root.glob(f"versions/{series}*/bin/python{series}"), key=_newest, reverse=True))
    if uv := shutil.which("uv", path=os.pathsep.join([os.environ.get("PATH", ""), str(Path(sys.executable).parent)])):
        done = subprocess.run(
            [uv, "python", "find", "--no-python-downloads", series],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode == 0:
            yield done.stdout.strip()


def _newest(path: Path) -> tuple[int, ...]:
    return tuple(int(part) for part in path.parts[-3].split(".") if part.isdigit())
