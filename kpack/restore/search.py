"""The order in which the interpreter looks for modules: what would hide what is installed, and what is found."""

from __future__ import annotations

import os
import sys
import sysconfig
from importlib import machinery
from typing import TYPE_CHECKING, Dict, List, Set

from .errors import MACHINE, MISFIT, RestoreError
from .installed import installed

if TYPE_CHECKING:
    from .installed import Installed
    from .scheme import Scheme
    from .wheels import WheelPlan

_ADVICE = (
    "uninstall it there, take that folder out of PYTHONPATH (PYTHONNOUSERSITE=1 for the user's own), or restore with "
    "--target DIR, which comes first; KPACK_DRIFT=note restores anyway"
)


def order(scheme: Scheme) -> List[str]:
    """Return the folders in which modules are looked for once ``scheme`` is installed to, absolute, the first first."""
    libs = [scheme.purelib, scheme.platlib]
    folders = [scheme.target, *sys.path] if scheme.target is not None else [*sys.path, *libs]
    return list(dict.fromkeys(os.path.abspath(folder or ".") for folder in folders))


class Hidden:
    """What folders that come earlier would hide of the wheels to install."""

    def __init__(self, wheels: List[WheelPlan], scheme: Scheme) -> None:
        self.notes: List[str] = []
        """Hidden in this process only: by the folder of the running script, or the current one."""
        self.wrong: List[str] = []
        """Hidden in every process."""
        self.names: Set[str] = set()
        """The distributions (normalised) that are hidden."""
        self._names: Dict[str, Set[str]] = {}
        self._distributions: Dict[str, Dict[str, Installed]] = {}
        folders = order(scheme)
        real = [os.path.realpath(folder) for folder in folders]
        standard = {os.path.abspath(sysconfig.get_path(key)) for key in ("stdlib", "platstdlib")}
        own = {os.path.abspath(sys.path[0])} if sys.path and "" not in sys.path else {os.getcwd()}
        for wheel in wheels:
            # What Python itself brings comes first everywhere, and is left out here.
            before = [
                folder
                for folder in folders[: real.index(os.path.realpath(wheel.lib))]
                if folder not in standard and os.path.dirname(folder) not in standard and os.path.isdir(folder)
            ]
            modules = _modules(wheel) if before else set()
            for folder in before:
                said = self._told(wheel, folder, modules)
                if said:
                    self.names.add(wheel.name)
                    (self.notes if folder in own and folder not in _lasting() else self.wrong).append(said)

    def _told(self, wheel: WheelPlan, folder: str, modules: Set[str]) -> str:
        if folder not in self._names:
            self._distributions[folder] = installed([folder])
            try:
                self._names[folder] = set(os.listdir(folder))
            except OSError:
                self._names[folder] = set()  # nothing can be imported from it either
        item = self._distributions[folder].get(wheel.name)
        if item is not None:
            return "{} {} in {} comes before the {} of the pack".format(item.name, item.version, folder, wheel.version)
        names = self._names[folder]
        if modules and all(_is_module(folder, name, names) for name in modules):
            return "{} in {} comes before the one of {} {}".format(
                ", ".join(sorted(modules)[:3]), folder, wheel.name, wheel.version
            )
        return ""

    def refuse(self) -> None:
        """Stop when something is hidden in every process. Raises RestoreError (code 6)."""
        if self.wrong:
            raise RestoreError(MISFIT, "what is restored would not be found: " + "; ".join(self.wrong), next=_ADVICE)


def _lasting() -> Set[str]:
    """Return the folders that PYTHONPATH names."""
    return {os.path.abspath(path) for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path}


def _modules(wheel: WheelPlan) -> Set[str]:
    """Return the names that can be imported from a wheel; a folder without ``__init__`` may be shared by many."""
    found = set()
    root = len(wheel.lib) + 1
    suffixes = tuple(machinery.all_suffixes())
    for file in wheel.payload:
        if not file.path.startswith(wheel.lib + "/"):
            continue
        first, inner, rest = file.path[root:].partition("/")
        if inner and rest.startswith("__init__."):
            found.add(first)
        elif not inner and first.endswith(suffixes):
            found.add(first.partition(".")[0])
    return found


def _is_module(folder: str, name: str, names: Set[str]) -> bool:
    suffixes = machinery.all_suffixes()
    if any(name + suffix in names for suffix in suffixes):
        return True
    package = os.path.join(folder, name, "__init__")
    return name in names and any(os.path.isfile(package + suffix) for suffix in suffixes)


def refuse_unfound(wheels: List[WheelPlan], scheme: Scheme) -> None:
    """Look anew, after the last move, for what was installed, as an interpreter will.

    Raises RestoreError (code 7) for a distribution that is not found, or found somewhere else or in another version.
    """
    found = installed(order(scheme))
    for wheel in wheels:
        there = found.get(wheel.name)
        if there is None or os.path.realpath(there.info) != os.path.realpath(wheel.final):
            what = "{} {} in {}".format(there.name, there.version, there.info) if there else "nothing"
            raise RestoreError(
                MACHINE,
                "{} {} was installed, and {} is found".format(wheel.name, wheel.version, what),
                where=wheel.final,
                next="something else changes this environment at the same time: restore again when it has ended",
            )
