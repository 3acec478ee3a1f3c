"""The machine that builds: which interpreter and platform its wheels are for."""

from __future__ import annotations

import platform
import sys
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from packaging import tags
from packaging.markers import default_environment

if TYPE_CHECKING:
    from collections.abc import Mapping

    from packaging.tags import Tag


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """One interpreter on the building machine."""

    python: str
    """``3.12``."""
    python_full_version: str
    machine: str
    glibc: tuple[int, int] | None
    """None where the C library is another one."""
    environment: Mapping[str, str]
    """Its marker environment."""
    tags: tuple[Tag, ...]
    """The wheel tags it takes, best first."""

    @property
    def marker(self) -> str:
        """``cp312-linux_x86_64``: what a wheel with compiled code was built on."""
        return f"cp{self.python.replace('.', '')}-{sys.platform}_{self.machine}"


@cache
def this_host() -> Host:
    """Describe the interpreter that runs kpack, which is the one that builds."""
    library, version = platform.libc_ver()
    numbers = version.split(".")
    glibc = (int(numbers[0]), int(numbers[1])) if library == "glibc" and len(numbers) >= 2 else None
    environment = {key: str(value) for key, value in default_environment().items()}
    return Host(
        python=environment["python_version"],
        python_full_version=environment["python_full_version"],
        machine=environment["platform_machine"],
        glibc=glibc,
        environment=environment,
        tags=tuple(tags.sys_tags()),
    )
