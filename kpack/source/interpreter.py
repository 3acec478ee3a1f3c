"""The interpreter whose packages a build may see: that of the kernel, where kpack runs in one (``no-build-isolation``).

kpack itself may lie in a place of its own beside the kernel's packages; ``KPACK_PYTHON`` then names the kernel's
interpreter, as the builder notebook does. Without it, it is the one that runs kpack.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from packaging.utils import NormalizedName, canonicalize_name

from kpack import tether
from kpack.errors import MachineError, NoSolution

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from packaging.version import Version

    from kpack.target import Target

_COMPARED = ("implementation_name", "python_version", "sys_platform", "platform_machine")
"""The variables of a marker environment that tell which wheels an interpreter makes and takes."""

# Standard library of CPython 3.8 and newer; the first distribution of a name is the one that is imported.
_DESCRIBE = """
import json, platform, sys
from importlib import metadata
found = {}
for item in metadata.distributions():
    if item.metadata["Name"]:
        found.setdefault(item.metadata["Name"], item.version)
print("\\n" + json.dumps({
    "implementation_name": sys.implementation.name,
    "python_version": "{}.{}".format(*sys.version_info[:2]),
    "python_full_version": platform.python_version(),
    "sys_platform": sys.platform,
    "platform_machine": platform.machine(),
    "distributions": found,
}))
"""

WAYS_OUT = (
    "give the URL of a prebuilt wheel of it in packages, or build it where the image is: "
    "kpack notebook --relock writes a builder notebook for Kaggle"
)
"""What to do about a package that is built with what the image has, where the image is not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningPython:
    """An interpreter of this machine, and what it has installed."""

    executable: str
    environment: Mapping[str, str]
    """Of the variables of a marker environment those that tell which wheels it takes, and its full version."""
    distributions: Mapping[NormalizedName, str]
    """Versions by name."""

    @property
    def marker(self) -> str:
        """``cp312-linux_x86_64``: what a wheel with compiled code is built on."""
        said = self.environment
        return f"cp{said['python_version'].replace('.', '')}-{said['sys_platform']}_{said['platform_machine']}"

    @property
    def fingerprint(self) -> str:
        """SHA-256 over all that a build can see of it."""
        told = [self.environment, sorted(self.distributions.items())]
        return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()

    def versions_of(self, names: Collection[NormalizedName]) -> tuple[tuple[str, str], ...]:
        """Return name and version of those of ``names`` that it has, sorted."""
        return tuple(sorted((name, self.distributions[name]) for name in names if name in self.distributions))

    def unlike(self, target: Target) -> str:
        """Return in which way it is not the target's interpreter; empty when it is."""
        here, there = self._short(self.environment), self._short(target.environment)
        return "" if here == there else f"{self.executable} is {here}, {target.label} has {there}"

    @staticmethod
    def _short(environment: Mapping[str, str]) -> str:
        name, version, system, machine = (environment[key] for key in _COMPARED)
        return f"{name} {version} on {system} {machine}"


@functools.cache
def described(executable: str) -> RunningPython:
    """Describe an interpreter.

    Raises:
        MachineError: it cannot be run.

    """
    try:
        done = tether.run([executable, "-c", _DESCRIBE], timeout=300)
        done.check_returncode()
        said = json.loads(done.stdout.rstrip().rpartition("\n")[2])  # its own files may print when it starts
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        raise MachineError(
            f"this interpreter cannot be asked what it has: {error}",
            where=executable,
            next="KPACK_PYTHON names the interpreter whose packages builds may see",
        ) from error
    found = {canonicalize_name(name): version for name, version in said.pop("distributions").items()}
    return RunningPython(executable=executable, environment=said, distributions=found)


def running() -> RunningPython:
    """Return the interpreter that ``KPACK_PYTHON`` names, else the one that runs kpack.

    Raises:
        MachineError: it cannot be run.

    """
    return described(os.environ.get("KPACK_PYTHON") or sys.executable)


def refuse_others(name: str, against: Collection[tuple[str, str]], target: Target) -> None:
    """Refuse compiled code that was built against other packages than the target's.

    Raises:
        NoSolution: the base has one of ``against`` in another version.

    """
    has: Mapping[NormalizedName, Version] = {}
    if target.base is not None:
        has = {known: item.version for known, item in target.base.distributions.items()}
    for package, version in against:
        there = has.get(canonicalize_name(package))
        if there is not None and str(there) != version:
            raise NoSolution(
                f"no-build-isolation: its code is compiled with {package} {version}, {target.label} has {there}",
                where=name,
                next=WAYS_OUT,
            )


def refusal(name: str, unlike: str) -> NoSolution:
    """Return the error for a package that would have to be built with what the target has, elsewhere."""
    return NoSolution(
        f"no-build-isolation: it is built with what the image has, and that is not here: {unlike}",
        where=name,
        next=WAYS_OUT,
    )
