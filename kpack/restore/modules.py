"""What an import will find once planned files are there: the way of `importlib`'s path finder, nothing imported.

An entry of sys.path may be a zip archive, or a folder in one (`zipimport`): its files are found as those of a folder.
"""

from __future__ import annotations

import os
from importlib import machinery
from typing import TYPE_CHECKING, AbstractSet, Dict, FrozenSet, Iterable, List, Set, Tuple

from . import foreign

if TYPE_CHECKING:
    from .wheels import WheelPlan

NOTHING, SPACE, MODULE, PACKAGE = range(4)
"""What a name is: nothing, a folder that others may share (PEP 420), a file, a folder with ``__init__``."""

_SUFFIXES = tuple(sorted(machinery.all_suffixes(), key=len, reverse=True))
_MERGES = (b"extend_path", b"declare_namespace")
"""Words in the ``__init__`` of a package that takes in the folders of its name everywhere on the path."""
_READ = 1 << 20
"""Bytes of an ``__init__`` in which they are looked for."""


def outermost(wheel: WheelPlan) -> Dict[str, int]:
    """Return the outermost modules and packages of a wheel: what they are, by path below its folder without suffix."""
    start = wheel.lib + "/"
    root = len(start)
    found: Dict[str, int] = {}
    packages = set()
    inner = []
    for file in wheel.payload:
        path = file.path
        end = path.find("/", root)
        if path[root:end] in packages:  # most files are
            continue
        if path.endswith(_SUFFIXES) and path.startswith(start):
            if end < 0:
                found.setdefault(_stem(path[root:]), MODULE)
            elif path.startswith("__init__.", end + 1):
                packages.add(path[root:end])
            else:
                inner.append(path[root:])
    found.update(dict.fromkeys(packages, PACKAGE))
    rest_of = [path for path in inner if found.get(path.partition("/")[0]) != PACKAGE]
    packages = {path.rpartition("/")[0] for path in rest_of if path.rpartition("/")[2].startswith("__init__.")}
    for path in rest_of:
        above = path.find("/")
        while above >= 0 and path[:above] not in packages:
            above = path.find("/", above + 1)
        found[path[:above] if above >= 0 else _stem(path)] = PACKAGE if above >= 0 else MODULE
    return {name: kind for name, kind in found.items() if all(part.isidentifier() for part in name.split("/"))}


def _stem(path: str) -> str:
    return path[: -len(next(suffix for suffix in _SUFFIXES if path.endswith(suffix)))]


class ModuleFinder:
    """The modules that are found in ``folders``, the first first, when ``brought`` is there and ``leaving`` is gone.

    ``brought`` is what paths without suffix are, ``leaving`` are files. Names are paths, too: ``google/cloud``.
    """

    def __init__(
        self, folders: Iterable[str], brought: Dict[str, int], leaving: AbstractSet[str] = frozenset()
    ) -> None:
        self._folders = list(folders)
        self._brought = dict(brought)
        for path, kind in brought.items():
            if kind > SPACE:
                folder = path.rpartition("/")[0]
                while folder and folder not in self._brought and folder not in self._folders:
                    self._brought[folder] = SPACE
                    folder = folder.rpartition("/")[0]
        self._leaving = leaving
        self._names: Dict[str, FrozenSet[str]] = {}
        self._inside: Dict[str, Set[str]] = {}
        """Of archives: what is in each folder, the archive itself among them."""
        for path in dict.fromkeys(archive(folder) for folder in self._folders if not os.path.isdir(folder)):
            for file in archived(path) if path else ():
                folder, _, name = file.rpartition("/")
                while name and folder.startswith(path):
                    self._inside.setdefault(folder, set()).add(name)
                    folder, _, name = folder.rpartition("/")
        self._found: Dict[str, Tuple[int, List[str]]] = {}

    def find(self, name: str) -> Tuple[int, List[str]]:
        """Return what an import of ``name`` finds, and where: one path, those of all folders that share it, or none."""
        if name not in self._found:
            parent, _, last = name.rpartition("/")
            shared = []
            for folder in self.portions(parent):
                path = folder + "/" + last
                kind = self.at(path)
                if kind > SPACE:
                    self._found[name] = kind, [path]
                    break
                if kind == SPACE:
                    shared.append(path)
            else:
                self._found[name] = (SPACE, shared) if shared else (NOTHING, [])
        return self._found[name]

    def portions(self, name: str) -> List[str]:
        """Return the folders in which what is inside ``name`` is looked for; of an empty name, all."""
        if not name:
            return self._folders
        kind, places = self.find(name)
        if kind == PACKAGE and self._merges(places[0]):
            parent, _, last = name.rpartition("/")
            paths = [folder + "/" + last for folder in self.portions(parent)]
            return [path for path in paths if self.at(path) in (SPACE, PACKAGE)]
        return [] if kind == MODULE else places

    def first(self, name: str) -> str:
        """Return where ``name``, or the outermost of its parents that is no shared folder, is found; empty for none."""
        parts = name.split("/")
        for count in range(1, len(parts) + 1):
            kind, places = self.find("/".join(parts[:count]))
            if kind > SPACE and (count == len(parts) or not self._merges(places[0])):
                return places[0]
        return ""

    def at(self, path: str) -> int:
        """Return what is at a path without suffix."""
        brought = self._brought.get(path, NOTHING)
        if brought == PACKAGE:
            return PACKAGE
        folder, _, last = path.rpartition("/")
        names = self._listed(folder)
        there = last in names
        if there and any(self._is_file(path + "/__init__" + suffix) for suffix in _SUFFIXES):
            return PACKAGE
        files = [path + suffix for suffix in _SUFFIXES if last + suffix in names]
        if brought == MODULE or any(self._is_file(file) for file in files):
            return MODULE
        is_folder = there and (path in self._inside or os.path.isdir(path))
        return SPACE if brought == SPACE or is_folder else NOTHING

    def holds_modules(self, folder: str) -> bool:
        """Tell whether a shared folder that is there has a module or a package in it."""
        names = self._listed(folder)
        return any(name.endswith(_SUFFIXES) for name in names) or any(
            self.at(folder + "/" + name) == PACKAGE for name in names if name.isidentifier()
        )

    def _is_file(self, path: str) -> bool:
        if path in self._leaving:
            return False
        folder, _, name = path.rpartition("/")
        return os.path.isfile(path) or (name in self._inside.get(folder, ()) and path not in self._inside)

    def _listed(self, folder: str) -> FrozenSet[str]:
        if folder not in self._names and folder in self._inside:
            self._names[folder] = frozenset(self._inside[folder])
        if folder not in self._names:
            try:
                self._names[folder] = frozenset(os.listdir(folder))
            except OSError:
                self._names[folder] = frozenset()  # nothing can be imported from it either
        return self._names[folder]

    def _merges(self, package: str) -> bool:
        """Tell whether a package takes in the folders of its name elsewhere (``pkgutil``, ``pkg_resources``)."""
        try:
            raw = foreign.read(package + "/__init__.py", _READ, follow=True)
        except OSError:
            return False
        return any(word in raw for word in _MERGES)


def archive(path: str) -> str:
    """Return the zip archive that ``path`` is, or lies in, as `zipimport` finds it; empty for none."""
    while path and not os.path.lexists(path):
        path = os.path.dirname(path)
    return path if os.path.isfile(path) else ""


def archived(path: str) -> List[str]:
    """Return the paths of what can be imported from a zip archive, each below its own; none when it cannot be read."""
    import zipfile  # hardly any path has an archive

    try:
        with zipfile.ZipFile(path) as opened:
            return [path + "/" + name for name in opened.namelist() if name.endswith((".py", ".pyc"))]
    except (OSError, ValueError, NotImplementedError, zipfile.BadZipFile):
        return []


def names(paths: Iterable[str]) -> Set[str]:
    """Return how an import spells paths."""
    return {path.replace("/", ".") for path in paths}
