"""Takes away from this process what Windows does not have: import it first, then what is to be tried.

What the standard library and kpack's dependencies decide by platform is loaded before; they have roads of their own for
Windows, and are not what is tried here. Paths and processes stay POSIX: Python offers no others on this machine.
"""

from __future__ import annotations

import asyncio  # noqa: F401 - decides by platform
import concurrent.futures  # noqa: F401
import http.client  # noqa: F401
import importlib.abc
import mmap
import multiprocessing  # noqa: F401
import os
import subprocess  # noqa: F401
import sys
import tempfile  # noqa: F401
import types
import venv  # noqa: F401
from typing import Any

import click  # noqa: F401
import piptools.repositories  # noqa: F401
import requests  # noqa: F401
import rich.console
import rich.progress  # noqa: F401
import truststore  # noqa: F401
from pip._internal.cli import main  # noqa: F401

MODULES = ("fcntl", "grp", "posix", "pty", "pwd", "resource", "syslog", "termios", "tty")
CALLS = (
    "chown",
    "copy_file_range",
    "fchmod",
    "fchown",
    "fork",
    "forkpty",
    "geteuid",
    "getgid",
    "getpgid",
    "getuid",
    "lchown",
    "mkfifo",
    "mknod",
    "openpty",
    "pread",
    "preadv",
    "pwrite",
    "pwritev",
    "posix_fadvise",
    "sched_getaffinity",
    "sendfile",
    "setsid",
    "statvfs",
    "ttyname",
    "uname",
    "O_CLOEXEC",
    "O_DIRECTORY",
    "O_NOCTTY",
    "O_NOFOLLOW",
    "O_NONBLOCK",
)


class _NoSuchModule(importlib.abc.MetaPathFinder):
    def find_spec(self, fullname: str, _path: Any = None, _target: Any = None) -> None:
        if fullname in MODULES:
            raise ModuleNotFoundError(f"No module named {fullname!r}, as on Windows", name=fullname)


def _msvcrt() -> types.ModuleType:
    module = types.ModuleType("msvcrt")
    vars(module).update(LK_NBLCK=2, LK_UNLCK=0, locking=lambda _descriptor, _mode, _count: None)
    return module


for _name in MODULES:
    sys.modules.pop(_name, None)
for _name in CALLS:
    if hasattr(os, _name):
        delattr(os, _name)
for _name in dir(mmap):
    if _name.startswith(("MAP_", "PROT_", "MADV_")):
        delattr(mmap, _name)
sys.meta_path.insert(0, _NoSuchModule())
sys.modules["msvcrt"] = _msvcrt()
sys.platform = "win32"
