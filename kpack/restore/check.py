"""Everything that can be known before the first byte is written."""

from __future__ import annotations

import os
import stat
import sys
from typing import TYPE_CHECKING, AbstractSet, Dict, Iterable, List, Mapping, Set, Tuple

from . import foreign, record
from .checkpoints import refuse_occupied, verify_attached
from .errors import MACHINE, MISFIT, RestoreError, anyway, few
from .moves import is_folder
from .wheels import PLAIN, File, WheelPlan

if TYPE_CHECKING:
    from .drift import Drift
    from .plan import Plan
    from .shared import Digests

_AT_EVERY_START = frozenset(["_distutils_hack"])

BLOCK = 4096
"""Bytes that a file may take beyond its size on most file systems."""


def refuse_other_encoding(names: Iterable[str]) -> None:
    """Refuse names that this process would write in other bytes than UTF-8, or could not write.

    Its locale may be C without UTF-8 mode (PEP 540), or of Latin-1. Raises RestoreError (code 7).
    """
    encoding = sys.getfilesystemencoding()
    odd = [] if encoding.lower() in ("utf-8", "utf8") else [name for name in names if not name.isascii()]
    if odd:
        raise RestoreError(
            MACHINE,
            "this Python names files in {}, and the pack brings {}".format(encoding, ", ".join(map(ascii, few(odd)))),
            next="start it with PYTHONUTF8=1, or in a locale of UTF-8, as with LC_ALL=C.UTF-8",
        )


def refuse_drift(found: Iterable[Drift]) -> None:
    """Stop when something packed cannot work with what the base has. Raises RestoreError (code 6)."""
    breaking = [item for item in found if item.breaks]
    if breaking:
        breaking.sort(key=lambda item: item.found is not None)  # what is missing weighs more
        raise RestoreError(
            MISFIT,
            "the image has drifted from the one that the pack was locked for",
            items=[
                "{} {} (locked against {}): {}".format(item.name, item.found or "missing", item.locked, item.why)
                for item in breaking
            ],
            next="lock for this image and build again, or pin the notebook's image; " + anyway("restores anyway"),
        )


def refuse_imported(modules: List[str]) -> None:
    """Stop when this process has imported what is to be replaced. Raises RestoreError (code 6)."""
    if modules:
        raise RestoreError(
            MISFIT,
            "this process has already imported what the pack replaces: " + ", ".join(few(modules)),
            next="run the line before anything else in a fresh session; if it is loaded even there, it cannot be "
            "replaced inside a notebook: " + anyway("replaces it for subprocesses"),
        )


def imported(files: AbstractSet[str], loaded: Mapping[str, str]) -> List[str]:
    """Return the top-level names of modules (``loaded``: name to file) that were imported from one of ``files``.

    The file decides, not the name: ``google`` and the like are shared by many distributions and always loaded. What
    setuptools puts into every interpreter at its start is none: it takes what is on disk when it is used.
    """
    real = {os.path.realpath(folder): folder for folder in {os.path.dirname(path) for path in files}}
    found = set()
    for name, path in loaded.items():
        folder, base = os.path.split(path)
        if path in files or os.path.join(real.get(folder, folder), base) in files:
            found.add(name.partition(".")[0])
    return sorted(found - _AT_EVERY_START)


def existing(files: Iterable[File], wheel: WheelPlan, digests: Digests) -> Tuple[Set[str], List[str]]:
    """Return, of files to be written, (those that are there with the very same content, those with another).

    The same is what has the digest that the packed wheel's RECORD states; a sum like the archive's proves nothing.
    """
    same = set()
    other = []
    for file in files:
        path = file.path
        try:
            status = os.lstat(path)
        except (FileNotFoundError, NotADirectoryError):
            continue
        if (
            file.kind == PLAIN
            and stat.S_ISREG(status.st_mode)
            and status.st_size == file.entry.size
            and bool(status.st_mode & 0o100) == file.entry.executable
            and has_digest(path, digests.of(wheel, file))
        ):
            same.add(path)
        else:
            other.append(path)
    return same, other


def has_digest(path: str, digest: str) -> bool:
    """Tell whether a regular file has a digest as RECORD spells it; False for an empty one."""
    try:
        return digest != "" and record.digest_of(path)[0] == digest
    except OSError:
        return False


def has(path: str, content: bytes) -> bool:
    """Tell whether a regular file has a content."""
    try:
        return not os.path.islink(path) and foreign.read(path, len(content), follow=False) == content
    except OSError:
        return False


def refuse_folders(paths: Iterable[str]) -> None:
    """Stop when a folder is where a file belongs; pip cannot install that either. Raises RestoreError (code 6)."""
    folders = [path for path in paths if is_folder(path)]
    if folders:
        raise RestoreError(
            MISFIT,
            "a file belongs where a folder is",
            items=folders,
            next="remove that folder, exclude the distribution that brings the file, or restore with --target DIR",
        )


def refuse_links_outside(plan: Plan, folders: Iterable[str]) -> None:
    """Stop when a folder to be written leaves its scheme through a symbolic link. Raises RestoreError (code 6)."""
    scheme = plan.scheme
    roots = sorted({scheme.purelib, scheme.platlib, scheme.scripts, scheme.include, scheme.data}, key=len, reverse=True)
    real = {root: os.path.realpath(root) for root in roots}
    for folder in folders:
        for root in roots:
            if folder == root or folder.startswith(root + "/"):
                found = os.path.realpath(folder)
                if found != real[root] and not found.startswith(real[root].rstrip("/") + "/"):
                    raise RestoreError(
                        MISFIT,
                        "a symbolic link leads out of {}, to {}".format(root, found),
                        where=folder,
                        next="remove the link, or restore with --target DIR",
                    )
                break


def refuse_unwritable(folders: Iterable[str]) -> None:
    """Stop when a folder cannot be written or made. Raises RestoreError (code 7)."""
    for folder in sorted(set(folders)):
        place = _there(folder)
        if not os.access(place, os.W_OK | os.X_OK):
            raise RestoreError(
                MACHINE,
                "it cannot be written",
                where=place,
                next="run as a user who may write there, or restore with --target DIR",
            )


def refuse_too_full(sizes: Dict[str, Tuple[int, int]]) -> None:
    """Stop when there is too little room for ``sizes``: (bytes, files) by folder. Raises RestoreError (code 7)."""
    needs: Dict[int, Tuple[int, int, str]] = {}
    for folder, (size, files) in sizes.items():
        place = _there(folder)
        device = os.stat(place).st_dev
        bytes_before, files_before, _ = needs.get(device, (0, 0, ""))
        needs[device] = (bytes_before + size, files_before + files, place)
    for size, files, place in needs.values():
        free = os.statvfs(place)
        if size > free.f_bavail * free.f_frsize:
            raise RestoreError(
                MACHINE,
                "{} are needed, {} are free".format(megabytes(size), megabytes(free.f_bavail * free.f_frsize)),
                where=place,
                next="free some space, or restore to a larger disk (--target, [restore] directory)",
            )
        if free.f_files and files > free.f_favail:
            raise RestoreError(
                MACHINE,
                "{} new files are needed, the file system has room for {}".format(files, free.f_favail),
                where=place,
                next="free some, or restore to another disk (--target, [restore] directory)",
            )


def check_checkpoints(plan: Plan, *, tolerant: bool) -> None:
    """Check the places of checkpoints and those attached on their own. Raises RestoreError (codes 5, 6, 7)."""
    refuse_occupied(plan.checkpoints, tolerant=tolerant)
    for item in plan.checkpoints:
        if item.attached is not None and not item.present:
            verify_attached(item)


def loaded_modules() -> Dict[str, str]:
    """Return the file of every module that this process has imported from one, by name."""
    found = {}
    for name, module in list(sys.modules.items()):
        path = getattr(module, "__dict__", {}).get("__file__")
        if isinstance(path, str):
            found[name] = path
    return found


def megabytes(size: int) -> str:
    """Return a size as people read it."""
    if size < 10 * 1000 * 1000:
        return "{:.1f} MB".format(size / 1e6)
    return "{:.0f} MB".format(size / 1e6) if size < 10 * 1000**3 else "{:.1f} GB".format(size / 1e9)


def _there(folder: str) -> str:
    while not os.path.isdir(folder):
        folder = os.path.dirname(folder)
    return folder
