"""The order in which the interpreter looks for modules: what would hide what is installed, and what is found."""

from __future__ import annotations

import os
import sys
import sysconfig
from typing import TYPE_CHECKING, AbstractSet, Dict, List, Set

from . import modules
from .errors import MACHINE, MISFIT, RestoreError, anyway
from .installed import installed

if TYPE_CHECKING:
    from .installed import Installed
    from .scheme import Scheme
    from .wheels import WheelPlan

_ADVICE = (
    "uninstall it there, take that folder out of PYTHONPATH (PYTHONNOUSERSITE=1 for the user's own), or restore with "
    "--target DIR, which comes first; "
)


def entries() -> List[str]:
    """Return the entries of sys.path that can be folders: the import passes over what is no text (a Path, say)."""
    return [item for item in sys.path if isinstance(item, str) and "\0" not in item]  # type: ignore[redundant-expr]


def order(scheme: Scheme) -> List[str]:
    """Return the folders in which modules are looked for once ``scheme`` is installed to, absolute, the first first."""
    libs = [scheme.purelib, scheme.platlib]
    folders = [scheme.target, *entries()] if scheme.target is not None else [*entries(), *libs]
    return list(dict.fromkeys(os.path.abspath(folder or ".") for folder in folders))


class Hidden:
    """What of the wheels to install would not be found: another folder, or another file of theirs, hides it.

    ``leaving`` are the files that make room.
    """

    def __init__(self, wheels: List[WheelPlan], scheme: Scheme, leaving: AbstractSet[str] = frozenset()) -> None:
        self.notes: List[str] = []
        """Hidden in this process only (by the folder of the running script, or the current one) or in part; and what
        the wheels themselves would hide."""
        self.wrong: List[str] = []
        """Hidden in every process."""
        self.names: Set[str] = set()
        """The distributions (normalised) that are hidden."""
        self._distributions: Dict[str, Dict[str, Installed]] = {}
        self._standard = {os.path.abspath(sysconfig.get_path(key)) for key in ("stdlib", "platstdlib")}
        libs = {os.path.realpath(wheel.lib): wheel.lib for wheel in wheels}
        found = [libs.get(os.path.realpath(folder), folder) for folder in order(scheme)]
        self._folders = [
            folder
            for folder in dict.fromkeys(found)
            if os.path.isdir(folder) or folder in libs.values() or modules.archive(folder)
        ]
        own = {os.getcwd()} if "" in entries() else {os.path.abspath(item) for item in entries()[:1]}
        self._own = own - _lasting()
        self._all = {wheel.name for wheel in wheels}
        outer = {wheel.name: modules.outermost(wheel) for wheel in wheels}
        self._brought = _brought(wheels, outer)
        self.notes += siblings(wheels, outer)
        lasting = [folder for folder in self._folders if folder not in self._own or folder in libs.values()]
        everywhere = modules.ModuleFinder(lasting, self._brought, leaving)
        here = modules.ModuleFinder(self._folders, self._brought, leaving) if lasting != self._folders else None
        before = modules.ModuleFinder(lasting, {})
        for wheel in wheels:
            self._distribution(wheel)
            self._hidden(wheel, outer[wheel.name], everywhere, in_part=self.notes, whole=self.wrong)
            if here is not None:
                self._hidden(wheel, outer[wheel.name], here, in_part=self.notes, whole=self.notes)
            self._hides(wheel, outer[wheel.name], everywhere, before)
        self.notes = [note for note in dict.fromkeys(self.notes) if note not in self.wrong]

    def _distribution(self, wheel: WheelPlan) -> None:
        """Note an earlier folder that has a distribution of the same name."""
        for folder in self._folders[: self._folders.index(wheel.lib)]:
            if self._is_standard(folder):
                continue
            if folder not in self._distributions:
                self._distributions[folder] = installed([folder], self._all)
            item = self._distributions[folder].get(wheel.name)
            if item is not None:
                self.names.add(wheel.name)
                (self.notes if folder in self._own else self.wrong).append(
                    "{} {} in {} comes before the {} of the pack".format(item.name, item.version, folder, wheel.version)
                )

    def _hidden(
        self,
        wheel: WheelPlan,
        outer: Dict[str, int],
        finder: modules.ModuleFinder,
        *,
        in_part: List[str],
        whole: List[str],
    ) -> None:
        """Say which modules of a wheel are hidden by what.

        The wheel is hidden when all of them are, or those that bear its name.
        """
        hidden: Dict[str, List[str]] = {}
        for name, kind in outer.items():
            if finder.find(name) != (kind, ["{}/{}".format(wheel.lib, name)]):
                by = finder.first(name)
                # What Python itself brings comes first everywhere, and is left out here.
                ours = by in self._brought and self._brought[by] == finder.at(by)
                if by and not ours and not self._is_standard(os.path.dirname(by)):
                    hidden.setdefault(by, []).append(name)
        if not hidden:
            return
        all_of_it = sum(map(len, hidden.values())) == len(outer)
        own_name = wheel.name.replace("-", "_")
        for by, inside in hidden.items():
            bad = all_of_it or any(own_name == name.replace("/", "_").lower() for name in inside)
            if bad:
                self.names.add(wheel.name)
            (whole if bad else in_part).append(_said(wheel, by, sorted(inside)))

    def _hides(
        self, wheel: WheelPlan, outer: Dict[str, int], finder: modules.ModuleFinder, before: modules.ModuleFinder
    ) -> None:
        """Say what a wheel hides: folders that many share, where it brings a package or a module of that name."""
        for name, kind in outer.items():
            own = "{}/{}".format(wheel.lib, name)
            if finder.find(name) != (kind, [own]):
                continue
            was, places = before.find(name)
            lost = [path for path in places if path != own or kind == modules.MODULE] if was == modules.SPACE else []
            for path in lost:
                if path not in finder.portions(name) and before.holds_modules(path):
                    self.notes.append(
                        "{} of {} {} hides the modules in {}, which could be imported before".format(
                            name.replace("/", "."), wheel.name, wheel.version, path
                        )
                    )

    def _is_standard(self, folder: str) -> bool:
        if os.path.basename(folder) == "python{}{}.zip".format(*sys.version_info[:2]):
            return True
        return folder in self._standard or (
            os.path.dirname(folder) in self._standard
            and os.path.basename(folder) not in ("site-packages", "dist-packages")
        )

    def refuse(self) -> None:
        """Stop when something is hidden in every process. Raises RestoreError (code 6)."""
        if self.wrong:
            raise RestoreError(
                MISFIT,
                "what is restored would not be found",
                items=self.wrong,
                next=_ADVICE + anyway("restores anyway"),
            )


def _lasting() -> Set[str]:
    """Return the folders that PYTHONPATH names."""
    return {os.path.abspath(path) for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path}


def siblings(wheels: List[WheelPlan], outer: Dict[str, Dict[str, int]]) -> List[str]:
    """Say what the wheels of a pack hide of each other; ``outer`` gives the outermost modules of each by name."""
    brought = _brought(wheels, outer)
    finder = modules.ModuleFinder(dict.fromkeys(wheel.lib for wheel in wheels), brought)
    owners = {"{}/{}".format(wheel.lib, name): wheel for wheel in wheels for name in outer[wheel.name]}
    found = []
    for wheel in wheels:
        for name, kind in outer[wheel.name].items():
            by = "" if finder.find(name) == (kind, ["{}/{}".format(wheel.lib, name)]) else finder.first(name)
            if by in brought and brought[by] == finder.at(by) and owners[by] is not wheel:
                found.append(
                    "{} of {} hides {} of {}, which then cannot be imported".format(
                        os.path.basename(by), owners[by].name, name.replace("/", "."), wheel.name
                    )
                )
    return found


def _brought(wheels: List[WheelPlan], outer: Dict[str, Dict[str, int]]) -> Dict[str, int]:
    found: Dict[str, int] = {}
    for wheel in wheels:
        for name, kind in outer[wheel.name].items():
            path = "{}/{}".format(wheel.lib, name)
            found[path] = max(kind, found.get(path, kind))
    return found


def _said(wheel: WheelPlan, by: str, inside: List[str]) -> str:
    folder, name = os.path.split(by)
    shown = ", ".join(sorted(modules.names(inside))[:3]) + (", …" if len(inside) > 3 else "")
    if inside == [name]:
        return "{} in {} comes before the one of {} {}".format(shown, folder, wheel.name, wheel.version)
    return "{} in {} is no folder that others share, so that {} of {} {} would not be found".format(
        name, folder, shown, wheel.name, wheel.version
    )


def refuse_unfound(wheels: List[WheelPlan], scheme: Scheme) -> None:
    """Look anew, after the last move, for what was installed, as an interpreter will.

    Raises RestoreError (code 7) for a distribution that is not found, or found somewhere else or in another version.
    """
    found = installed(order(scheme), {wheel.name for wheel in wheels})
    for wheel in wheels:
        there = found.get(wheel.name)
        same = there is not None and there.info == wheel.final  # mostly, and no link needs to be looked at
        if there is None or not (same or os.path.realpath(there.info) == os.path.realpath(wheel.final)):
            what = "{} {} in {}".format(there.name, there.version, there.info) if there else "nothing"
            raise RestoreError(
                MACHINE,
                "{} {} was installed, and {} is found".format(wheel.name, wheel.version, what),
                where=wheel.final,
                next="something else changes this environment at the same time: restore again when it has ended",
            )
