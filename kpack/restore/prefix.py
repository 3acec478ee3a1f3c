"""A folder of its own for system packages: unpacked as dpkg would, without maintainer scripts.

Paths are those of `kpack.restore.tree`; set-user-ID bits are left away; devices and pipes are refused; symbolic links
are made last, so that nothing is written through one; an absolute one leads into the folder where that has its goal;
two files of one name are the later package's. Diversions and alternatives, which scripts make, there are none.
"""

from __future__ import annotations

import glob
import hashlib
import json
import os
import stat
from typing import TYPE_CHECKING, Dict, Iterable, List, Sequence, Tuple

from . import check, deb, foreign
from .errors import MISFIT, RestoreError, machine_error
from .moves import is_folder, make_folders, relocate, remove, remove_empty
from .state import refuse_planted
from .tree import LIST, Tree

if TYPE_CHECKING:
    from .manifest import PackedSystem
    from .scheme import Scheme

_PART = ".part"
_LIBRARY = "lib*.so*"
"""Of a folder that programs of the package reach by an absolute RUNPATH, or by alternatives, too (pulseaudio, blas)."""
_VARIABLES = (
    ("PATH", ("usr/local/bin", "usr/bin", "usr/sbin", "usr/games")),
    ("XDG_DATA_DIRS", ("usr/share",)),
    ("PKG_CONFIG_PATH", ("usr/lib/*-linux-gnu/pkgconfig", "usr/share/pkgconfig")),
    ("GI_TYPELIB_PATH", ("usr/lib/*-linux-gnu/girepository-1.0",)),
    ("GST_PLUGIN_PATH_1_0", ("usr/lib/*-linux-gnu/gstreamer-1.0",)),
    ("PERL5LIB", ("usr/share/perl5", "usr/lib/*-linux-gnu/perl5/5.*")),
)
_SINGLE = (("TESSDATA_PREFIX", "usr/share/tesseract-ocr/*/tessdata"),)
"""Variables that hold one folder: those whose program does not find its data by its own place."""


def place(scheme: Scheme, name: str, digests: Sequence[str]) -> str:
    """Return the folder for packages of these digests of the pack ``name``."""
    word = hashlib.sha256(" ".join(sorted(digests)).encode("ascii")).hexdigest()[:16]
    return os.path.join(scheme.state, "system", name, word)


def whole(folder: str) -> bool:
    """Tell whether the folder is there with every file, as it was left. Raises RestoreError (code 7) for a link."""
    _refuse_planted(folder)
    try:
        rows = foreign.loads(foreign.read(os.path.join(folder, LIST), foreign.STATE, follow=False))
        return isinstance(rows, list) and all(
            _size(os.path.join(folder, path)) == size for path, size in rows if ".." not in path.split("/")
        )
    except (OSError, ValueError, TypeError, AttributeError):
        return False


def _size(path: str) -> int:
    status = os.lstat(path)
    return status.st_size if stat.S_ISREG(status.st_mode) else -1


def fill(folder: str, debs: Iterable[Tuple[PackedSystem, str]]) -> None:
    """Unpack packages, each with its file, to ``folder``, which is there whole afterwards, or not at all.

    Raises RestoreError: code 5 for a package that dpkg-deb would not have written, 6 for one that needs a device, 7
    when it cannot be written, or a name of it not in this locale.
    """
    _refuse_planted(folder)
    part = folder + _PART
    remove(part)
    remove(folder)  # not whole any more
    try:
        try:
            make_folders(part, [])
            tree = Tree()
            for item, path in debs:
                _unpack(item, path, part, tree)
                os.unlink(path)
            # The deepest first: a link that is made could lead no other one away.
            for path in sorted(tree.links, key=lambda path: (-path.count("/"), path)):
                _link(part, path, tree)
            with open(os.path.join(part, LIST), "x") as stream:
                json.dump(sorted(tree.files.items()), stream)
        except OSError as error:
            raise machine_error(error, "write", str(error.filename or part)) from error
        relocate(part, folder)
    except BaseException:
        remove(part)
        raise


def _refuse_planted(folder: str) -> None:
    for path in (os.path.dirname(os.path.dirname(folder)), os.path.dirname(folder), folder, folder + _PART):
        refuse_planted(path)


def _unpack(item: PackedSystem, path: str, root: str, tree: Tree) -> None:
    with deb.entries(path) as entries:
        for entry, pieces in entries:
            if entry.kind == deb.OTHER:
                raise RestoreError(
                    MISFIT,
                    "{} has the device or pipe {}, which only dpkg can make".format(item.name, entry.path),
                    where=item.name,
                    next='write apt = "dpkg" in [restore] and build again',
                )
            check.refuse_other_encoding([entry.path])
            placed = tree.place(entry, path)
            there = os.path.join(root, placed.path)
            if entry.kind == deb.FOLDER:
                make_folders(there, [])
                continue
            if placed.replaces:
                os.unlink(there)
            if entry.kind == deb.SYMLINK:
                continue
            make_folders(os.path.dirname(there), [])
            if entry.kind == deb.LINK:
                os.link(os.path.join(root, placed.target), there)
                continue
            mode = 0o755 if entry.mode & 0o111 else 0o644
            descriptor = os.open(there, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, mode)
            with os.fdopen(descriptor, "wb") as stream:
                for piece in pieces():
                    stream.write(piece)


def _link(root: str, path: str, tree: Tree) -> None:
    """Make a symbolic link."""
    there, target, goal = os.path.join(root, path), tree.links[path], tree.goal(path)
    climbed = os.path.normpath(os.path.join("/root", os.path.dirname(path), target))
    if target.startswith("/") or not (climbed + "/").startswith("/root/"):
        target = os.path.relpath(os.path.join(root, goal), os.path.dirname(there)) if tree.has(goal) else "/" + goal
    make_folders(os.path.dirname(there), [])
    os.symlink(target, there)


def variables(folder: str) -> Dict[str, List[str]]:
    """Return, by variable, the folders of an unpacked system that programs must be told of."""
    found = {name: _folders(folder, patterns) for name, patterns in _VARIABLES}
    libraries = ["usr/lib/*-linux-gnu", "usr/lib"]
    found["LD_LIBRARY_PATH"] = [
        path
        for path in _folders(folder, [*libraries, "usr/lib/*-linux-gnu/*"])
        if glob.glob(os.path.join(glob.escape(path), _LIBRARY))
    ]
    for name, pattern in _SINGLE:
        found[name] = _folders(folder, [pattern])[:1]
    return {name: paths for name, paths in found.items() if paths}


def _folders(folder: str, patterns: Iterable[str]) -> List[str]:
    return [
        path
        for pattern in patterns
        for path in sorted(glob.glob(os.path.join(glob.escape(folder), pattern)))
        if is_folder(path)
    ]


def remove_tree(folder: str) -> None:
    """Remove the folder, and those above it that are empty."""
    remove(folder)
    remove_empty([os.path.dirname(os.path.dirname(folder)), os.path.dirname(folder)])


def remove_others(folder: str) -> None:
    """Remove what earlier versions of the pack have unpacked, and what a killed run has left."""
    home, name = os.path.split(folder)
    for other in os.listdir(home):
        if other != name:
            remove(os.path.join(home, other))
