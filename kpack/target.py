"""A kernel that a lock is made for: its marker environment and its ranked wheel tags."""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from packaging import tags as packaging_tags

from kpack.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from packaging.tags import Tag

    from kpack.base import BaseImage
    from kpack.environment import Environment

NEWEST = {
    "3.8": "3.8.20",
    "3.9": "3.9.25",
    "3.10": "3.10.19",
    "3.11": "3.11.14",
    "3.12": "3.12.13",
    "3.13": "3.13.18",
    "3.14": "3.14.10",
    "3.15": "3.15.2",
}
"""The newest release of each series that is known to this version of kpack."""

LEGACY = {17: "manylinux2014", 12: "manylinux2010", 5: "manylinux1"}
"""glibc 2.x → the name that such wheels had before PEP 600; 2010 and 1 exist for x86_64 and i686 alone."""

MACHINES = ("x86_64", "aarch64", "ppc64le", "s390x", "riscv64", "i686")


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One interpreter on one platform, with or without a base image."""

    base: BaseImage | None
    python_version: str
    """``3.12``."""
    python_full_version: str
    """``3.12.13``; without a base the newest release of the series that is known to kpack."""
    machine: str
    """``x86_64``."""
    glibc: tuple[int, int]
    environment: Mapping[str, str]
    """The eleven variables of a marker environment (without ``extra``)."""
    tags: tuple[Tag, ...]
    """Supported tags, best first."""

    @property
    def unheard_of(self) -> str:
        """The newest series that kpack knows, where this one is newer and no image vouches for it; else empty."""
        known = max(NEWEST, key=_numbers)
        return known if self.base is None and _numbers(self.python_version) > _numbers(known) else ""

    @property
    def label(self) -> str:
        """The base's name, or ``python-3.12``."""
        return self.base.name if self.base else f"python-{self.python_version}"

    @property
    def marker(self) -> str:
        """The marker that tells this target from the others in a lock."""
        return marker(self.python_version, self.machine)


def _numbers(series: str) -> tuple[int, ...]:
    return tuple(map(int, series.split(".")))


def marker(python_version: str, machine: str) -> str:
    """Return the environment marker of the kernels that run ``python_version`` (``3.12``) on ``machine``."""
    return f"python_version == '{python_version}' and sys_platform == 'linux' and platform_machine == '{machine}'"


def targets(environment: Environment, bases: Sequence[BaseImage]) -> tuple[Target, ...]:
    """Return what ``environment`` is locked for: one target per base, or one for ``python`` and ``platform``.

    ``platform_release`` and ``platform_version`` name the machine that happens to run the kernel; they cannot be
    known beforehand and are the empty string (`kpack.resolve.consistency` notes a requirement that asks for them).

    Raises:
        UsageError: ``python`` or ``platform`` is nothing that kpack can lock for, or two bases bear one name.

    """
    if bases:
        for position, base in enumerate(bases):
            if base.name in {other.name for other in bases[:position]}:
                raise UsageError(
                    f"two bases are called {base.name!r}",
                    where=f"{environment.path}: base",
                    next="a probe file is called after its file name: rename one of them",
                )
        return tuple(_target(base, base.python_full_version, base.machine, base.glibc) for base in bases)
    assert environment.platform is not None
    machine, glibc = parse_platform(environment.platform, where=f"{environment.path}: platform")
    found = re.fullmatch(r"3\.(\d+)(\.\d+)?", environment.python or "")
    if found is None or int(found[1]) < 8:
        raise UsageError(
            f"not a Python that kpack locks for: {environment.python!r}",
            where=f"{environment.path}: python",
            next='write the series, for example python = "3.12" (3.8 or newer)',
        )
    series = f"3.{found[1]}"
    full = environment.python if found[2] else NEWEST.get(series, f"{series}.0")
    assert full is not None
    return (_target(None, full, machine, glibc),)


def parse_platform(platform: str, *, where: str) -> tuple[str, tuple[int, int]]:
    """Return machine and glibc of a manylinux tag: ``manylinux_2_35_x86_64`` → ``("x86_64", (2, 35))``.

    Raises:
        UsageError: it is no manylinux tag (PEP 600, or the legacy names 2014, 2010 and 1).

    """
    machines = "|".join(MACHINES)
    if found := re.fullmatch(rf"manylinux_2_(\d{{1,2}})_({machines})", platform):
        return found[2], (2, int(found[1]))
    for minor, legacy in LEGACY.items():
        if found := re.fullmatch(rf"{legacy}_({machines})", platform):
            return found[1], (2, minor)
    raise UsageError(
        f"not a platform that kpack locks for: {platform!r}",
        where=where,
        next="write a manylinux tag with the kernel's glibc, for example manylinux_2_35_x86_64 "
        f"(machines: {', '.join(MACHINES)})",
    )


def platform_tags(machine: str, glibc: tuple[int, int]) -> Iterator[str]:
    """Yield the platform tags that a glibc of that version takes, best first (PEP 600).

    They go down to glibc 2.5 on x86_64 and i686 and to 2.17 elsewhere, the oldest that wheels were defined for.
    """
    major, newest = glibc
    old = machine in ("x86_64", "i686")
    for minor in range(newest, 4 if old else 16, -1):
        yield f"manylinux_{major}_{minor}_{machine}"
        if minor in LEGACY:
            yield f"{LEGACY[minor]}_{machine}"
    yield f"linux_{machine}"


@functools.cache
def supported_tags(python_version: str, machine: str, glibc: tuple[int, int]) -> tuple[Tag, ...]:
    """Return the wheel tags that CPython ``python_version`` (``3.12``) takes on that platform, best first."""
    major, minor = map(int, python_version.split("."))
    platforms = list(platform_tags(machine, glibc))
    # CPython up to 3.7 had the pymalloc flag; from 3.8 on the ABI is the version.
    interpreter = f"cp{major}{minor}"
    return (
        *packaging_tags.cpython_tags((major, minor), [interpreter], platforms),
        *packaging_tags.compatible_tags((major, minor), interpreter, platforms),
    )


def marker_environment(python_full_version: str, machine: str) -> dict[str, str]:
    """Return the marker environment of CPython on Linux, without ``extra``."""
    return {
        "implementation_name": "cpython",
        "implementation_version": python_full_version,
        "os_name": "posix",
        "platform_machine": machine,
        "platform_python_implementation": "CPython",
        "platform_release": "",
        "platform_system": "Linux",
        "platform_version": "",
        "python_full_version": python_full_version,
        "python_version": ".".join(python_full_version.split(".")[:2]),
        "sys_platform": "linux",
    }


def _target(base: BaseImage | None, full: str, machine: str, glibc: tuple[int, int]) -> Target:
    environment = marker_environment(full, machine)
    return Target(
        base=base,
        python_version=environment["python_version"],
        python_full_version=full,
        machine=machine,
        glibc=glibc,
        environment=environment,
        tags=supported_tags(environment["python_version"], machine, glibc),
    )
