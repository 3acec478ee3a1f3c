"""Which wheels this interpreter can run: the compatibility tags of PEP 425 and PEP 600, for CPython on Linux."""

from __future__ import annotations

import os
import re
import sys
import sysconfig
from typing import NamedTuple, Tuple

_LEGACY = {"manylinux1": (2, 5), "manylinux2010": (2, 12), "manylinux2014": (2, 17)}
_MANYLINUX = re.compile(r"manylinux_([0-9]+)_([0-9]+)_(.+)\Z")


class Interpreter(NamedTuple):
    """What a wheel's tags are held against."""

    python: Tuple[int, int]
    abi: str
    """``cp312``, with ``t`` for a free-threaded build and ``d`` for a debug build."""
    machine: str
    glibc: Tuple[int, int]
    """(0, 0) where the C library is another one."""

    def __str__(self) -> str:
        libc = "glibc {}.{}".format(*self.glibc) if self.glibc > (0, 0) else "no glibc"
        return "Python {}.{} ({}, {}, {})".format(self.python[0], self.python[1], self.abi, self.machine, libc)


class WheelName(NamedTuple):
    """The parts of a wheel's file name; the tags are sets joined by dots, in lower case."""

    name: str
    version: str
    build: str
    python: str
    abi: str
    platform: str


def running() -> Interpreter:
    """Return the interpreter that runs this code."""
    major, minor = sys.version_info[:2]
    flags = "t" if sysconfig.get_config_var("Py_GIL_DISABLED") else ""
    if hasattr(sys, "gettotalrefcount"):
        flags += "d"
    prefix = "cp" if sys.implementation.name == "cpython" else sys.implementation.name
    machine = sysconfig.get_platform().partition("-")[2] or os.uname().machine
    if machine == "x86_64" and sys.maxsize <= 1 << 32:
        machine = "i686"
    return Interpreter((major, minor), "{}{}{}{}".format(prefix, major, minor, flags), machine, _glibc())


def _glibc() -> Tuple[int, int]:
    try:
        text = os.confstr("CS_GNU_LIBC_VERSION") or ""
    except (AttributeError, ValueError, OSError):
        return (0, 0)
    found = re.match(r"glibc ([0-9]+)\.([0-9]+)", text)
    return (int(found[1]), int(found[2])) if found else (0, 0)


def parse(filename: str) -> WheelName:
    """Split a wheel's file name.

    Raises ValueError when it is none.
    """
    parts = filename[:-4].split("-") if filename.endswith(".whl") else []
    if len(parts) not in (5, 6) or not all(parts):
        raise ValueError("not the file name of a wheel: {!r}".format(filename))
    build = parts[2] if len(parts) == 6 else ""
    python, abi, platform = (tag.lower() for tag in parts[-3:])
    return WheelName(parts[0], parts[1], build, python, abi, platform)


def supports(interpreter: Interpreter, wheel: WheelName) -> bool:
    """Tell whether any tag of the wheel is one that the interpreter runs."""
    return any(
        _python(interpreter, python, abi) and _platform(interpreter, platform) and (platform != "any" or abi == "none")
        for python in wheel.python.split(".")
        for abi in wheel.abi.split(".")
        for platform in wheel.platform.split(".")
    )


def _python(interpreter: Interpreter, python: str, abi: str) -> bool:
    major, minor = interpreter.python
    found = re.match(r"(py|cp)([0-9])([0-9]*)\Z", python)
    if not found or int(found[2]) != major:
        return False
    wanted = int(found[3]) if found[3] else None
    if found[1] == "py":
        return abi == "none" and (wanted is None or wanted <= minor)
    if not interpreter.abi.startswith("cp") or wanted is None:
        return False
    if abi in ("abi3", "abi3t"):  # the second, of PEP 803, is for free-threaded builds and for them alone
        return 2 <= wanted <= minor and ("t" in interpreter.abi) == (abi == "abi3t")
    return wanted == minor and abi in ("none", interpreter.abi)


def _platform(interpreter: Interpreter, platform: str) -> bool:
    if platform in ("any", "linux_" + interpreter.machine):
        return True
    found = _MANYLINUX.match(platform)
    if found:
        return found[3] == interpreter.machine and (int(found[1]), int(found[2])) <= interpreter.glibc
    legacy, _, machine = platform.partition("_")
    return legacy in _LEGACY and machine == interpreter.machine and _LEGACY[legacy] <= interpreter.glibc
