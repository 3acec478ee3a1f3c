"""What lies where below the root that packages are unpacked to, one after the other: as dpkg has it, by names alone.

What is said of paths holds below that root: ``bin``, ``sbin`` and ``lib`` are those of ``usr``, as in every release
since 2020; a path that goes by way of a symbolic link to one of the folders goes where that leads; no link leads out,
for ``..`` of the root is the root. What dpkg would not unpack either is refused, at home as in the kernel.
"""

from __future__ import annotations

import posixpath
from typing import Dict, List, NamedTuple, Set

from . import deb

LIST = ".kpack-files"
"""A file of the root that is kpack's own: what was unpacked there."""

_MERGED = ("bin", "sbin", "lib", "lib32", "lib64", "libx32")
_LONGEST_NAME = 255
"""Bytes of a file's name, on every file system that Linux has."""
_LONGEST_TARGET = 4095
_HOPS = 40
"""Links that the kernel follows on the way to a file, too."""


class Placed(NamedTuple):
    """Where an entry goes."""

    path: str
    """Relative to the root, which is the empty path."""
    target: str = ""
    """Of a hard link: the path of the file that it is another name of."""
    replaces: bool = False
    """Whether a file is there, which goes."""


def merged(path: str) -> str:
    """Return where a path lies in a system whose ``/bin`` and ``/lib`` are those of ``/usr``."""
    return "usr/" + path if path.partition("/")[0] in _MERGED else path


class Tree:
    """What is below the root after the entries that were placed."""

    def __init__(self) -> None:
        self.files: Dict[str, int] = {}
        """Bytes by path."""
        self.links: Dict[str, str] = {}
        """Symbolic ones: what they say, by path."""
        self._folders: Set[str] = {""}

    def place(self, entry: deb.DebEntry, package: str) -> Placed:
        """Return where an entry goes, and count it as there; ``package`` is the path of the package's file.

        Raises RestoreError (code 5) for one that dpkg would not unpack.
        """
        if entry.kind == deb.FOLDER:
            path = self._through(merged(entry.path))
            self._make(path, package)
            return Placed(path)
        parent, _, name = merged(entry.path).rpartition("/")
        if not name or name == LIST or len(name.encode("utf-8")) > _LONGEST_NAME:
            raise deb.odd(package, "no file can be named {!r:.80}".format(name))
        parent = self._through(parent)
        self._make(parent, package)
        path = parent + "/" + name if parent else name
        if entry.kind == deb.SYMLINK:
            if not 0 < len(entry.target.encode("utf-8")) <= _LONGEST_TARGET:
                raise deb.odd(package, "its link {} leads to {!r:.80}".format(path, entry.target))
            replaces = self.files.pop(path, None) is not None
            if path not in self._folders:
                self.links[path] = entry.target
            return Placed(path, replaces=replaces)
        if path in self._folders:
            raise deb.odd(package, "its file {} is to take the place of a folder".format(path))
        target = self._through(merged(entry.target)) if entry.kind == deb.LINK else ""
        if entry.kind == deb.LINK and (target not in self.files or target == path):
            raise deb.odd(package, "{} is a link to {}, which is not there".format(path, target))
        self.links.pop(path, None)
        replaces = path in self.files
        self.files[path] = self.files[target] if target else entry.size
        return Placed(path, target, replaces)

    def has(self, path: str) -> bool:
        """Tell whether something is at a path, or where links lead from it."""
        path = self._through(path)
        return path in self.files or path in self.links or path in self._folders

    def goal(self, path: str) -> str:
        """Return which path below the root the symbolic link ``path`` leads to."""
        said = self.links[path]
        return merged(posixpath.normpath(posixpath.join("/", posixpath.dirname(path), said)).lstrip("/"))

    def _make(self, path: str, package: str) -> None:
        missing: List[str] = []
        while path not in self._folders:
            if path in self.files:
                raise deb.odd(package, "its folder {} is to take the place of a file".format(path))
            if len(posixpath.basename(path).encode("utf-8")) > _LONGEST_NAME:
                raise deb.odd(package, "no folder can be named {!r:.80}".format(posixpath.basename(path)))
            missing.append(path)
            path = posixpath.dirname(path)
        for folder in missing:
            self._folders.add(folder)
            self.links.pop(folder, None)  # to something that no package brings

    def _through(self, path: str, hops: int = 0) -> str:
        """Return a path, links to folders of the tree followed."""
        here = ""
        for part in path.split("/") if path else ():
            here = here + "/" + part if here else part
            if here in self.links and hops < _HOPS:
                goal = self._through(self.goal(here), hops + 1)
                here = goal if goal in self._folders else here
        return here
