"""Checkpoints: where they go, whether they are there, and copying them in verified spans."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING, Any, Dict, List, NamedTuple, Optional, Set, Tuple

from . import attached
from .attached import sha256_of
from .errors import INTEGRITY, MACHINE, MISFIT, OPTIONS, RestoreError, anyway, machine_error
from .moves import is_folder

if TYPE_CHECKING:
    from .manifest import Manifest, Member, PackedCheckpoint, Span
    from .pack import Pack

ON_KAGGLE = "/kaggle/tmp"
"""Where relative paths start on Kaggle: large, and not part of the notebook's output."""


class CheckpointPlan(NamedTuple):
    """A checkpoint and where it goes."""

    path: str
    """Absolute."""
    sha256: str
    size: int
    member: Optional[Member]
    """None for a checkpoint that is attached on its own."""
    attached: Optional[str] = None
    """Where it is mounted. One that was to be found by its digest and is nowhere has the empty string."""
    present: bool = False
    """Whether the right bytes are there already."""
    occupied: bool = False
    """Whether something else is there that no earlier restore made."""
    there: bool = False
    """Whether anything is there."""
    sought: bool = False
    """Whether `attached` was found by its digest, and so is verified."""


def on_kaggle() -> bool:
    """Tell whether this is a Kaggle kernel."""
    return "KAGGLE_KERNEL_RUN_TYPE" in os.environ or os.path.isdir("/kaggle/input")


def directory(manifest: Manifest, *, target: Optional[str], kaggle: bool, allow_absolute: bool) -> str:
    """Return the absolute folder where relative checkpoint paths start.

    Raises RestoreError (code 2) for an absolute ``[restore] directory`` outside Kaggle.
    """
    start = target or (ON_KAGGLE if kaggle else os.getcwd())
    wanted = manifest.directory
    if not wanted:
        return start
    if not os.path.isabs(os.path.expanduser(wanted)):
        return os.path.join(start, _inside(wanted))
    if kaggle or allow_absolute:
        return os.path.abspath(os.path.expanduser(wanted))
    if target:
        return target
    raise _absolute(wanted, "[restore] directory")


def destination(path: str, start: str, *, kaggle: bool, allow_absolute: bool) -> str:
    """Return the absolute path of a checkpoint.

    Raises RestoreError: code 2 for an absolute path outside Kaggle, 5 for one with ``..`` or ``.kpack``.
    """
    if not path.startswith(("/", "~")):
        return os.path.join(start, _inside(path))
    if not (kaggle or allow_absolute):
        raise _absolute(path, "a checkpoint")
    _inside(path.lstrip("/~") or ".")
    return os.path.abspath(os.path.expanduser(path))


def destinations(manifest: Manifest, start: str, *, kaggle: bool, allow_absolute: bool) -> List[str]:
    """Return the absolute paths of the checkpoints, in order.

    Raises RestoreError as `destination`, and with code 5 when two need one place, or one lies inside another.
    """
    paths = [
        destination(item.path, start, kaggle=kaggle, allow_absolute=allow_absolute) for item in manifest.checkpoints
    ]
    seen: Set[str] = set()
    for path in paths:
        if path in seen:
            raise _clash(path, "two checkpoints belong")
        seen.add(path)
    for path in paths:
        above = path.rpartition("/")[0]
        while above:
            if above in seen:
                raise _clash(above, "a checkpoint, and the folder of another one, belong")
            above = above.rpartition("/")[0]
    return paths


def _clash(path: str, what: str) -> RestoreError:
    return RestoreError(INTEGRITY, what + " in one place", where=path, next="build the pack again")


def plan(
    pack: Pack, marked: List[Dict[str, Any]], *, start: str, kaggle: bool, allow_absolute: bool
) -> List[CheckpointPlan]:
    """Return where the pack's checkpoints go and which of them are there.

    ``marked`` are the checkpoints of earlier restores: an unchanged file is not hashed again. Raises RestoreError
    as `destinations`.
    """
    known: Dict[str, List[Dict[str, Any]]] = {}
    for mark in marked:
        known.setdefault(mark["path"], []).append(mark)
    found = []
    paths = destinations(pack.manifest, start, kaggle=kaggle, allow_absolute=allow_absolute)
    for item, path in zip(pack.manifest.checkpoints, paths):
        member = None if item.attached else pack.members["checkpoints/" + item.sha256]
        status = _status(item, path, known.get(path, []))
        sought = item.attached == attached.ROOT
        found.append(CheckpointPlan(path, item.sha256, item.size, member, item.attached, *status, sought))
    places = attached.find((item.sha256, item.size, item.path) for item in found if item.sought and not item.present)
    return [item._replace(attached=places.get(item.sha256, "")) if item.sought else item for item in found]


def _status(item: PackedCheckpoint, path: str, marks: List[Dict[str, Any]]) -> Tuple[bool, bool, bool]:
    """Return (the right bytes are there, something else that no earlier restore made, anything)."""
    try:
        status = os.stat(path)
    except FileNotFoundError:
        there = os.path.lexists(path)
        return False, there and not item.attached, there
    except OSError as error:
        raise machine_error(error, "read", path) from error
    # Several packs may have put a checkpoint there, one after the other.
    vouches = vouched(status).items()
    made = {mark["sha256"] for mark in marks if all(mark[key] == value for key, value in vouches)}
    if item.sha256 in made:
        return True, False, True
    ours = bool(made)
    if not ours and stat.S_ISREG(status.st_mode) and status.st_size in {item.size, *(mark["size"] for mark in marks)}:
        found = sha256_of(path)
        if found == item.sha256:
            return True, False, True
        # What an earlier restore left, whatever has touched it since: its bytes are the ones of a mark.
        ours = any(found == mark["sha256"] for mark in marks)
    return False, not ours, True


def appeared(item: CheckpointPlan) -> bool:
    """Tell whether the right bytes have been put in a place since it was found empty, by another restore say.

    Raises RestoreError (code 7) when it is something else, which stays.
    """
    if not os.path.lexists(item.path):
        return False
    if os.path.isfile(item.path) and sha256_of(item.path) == item.sha256:
        return True
    raise RestoreError(
        MACHINE,
        "something else has put another file where a checkpoint belongs",
        where=item.path,
        next="move it away, and restore again",
    )


def vouched(status: os.stat_result) -> Dict[str, int]:
    """Return by what a mark knows a checkpoint again.

    The time of the last change is the system's own: who edits a file, even keeping its size and times, or puts another
    one in its place, cannot keep it.
    """
    return {
        "size": status.st_size,
        "modified": status.st_mtime_ns,
        "changed": status.st_ctime_ns,
        "inode": status.st_ino,
    }


class CopyJob(NamedTuple):
    """One span of a checkpoint and the open file that it goes to."""

    member: Member
    span: Span
    descriptor: int
    path: str


def copy(job: CopyJob, view: memoryview) -> None:
    """Write the verified bytes of a span to their place. Raises RestoreError (code 7)."""
    position = job.span.offset
    try:
        while view:
            count = os.pwrite(job.descriptor, view, position)
            view = view[count:]
            position += count
    except OSError as error:
        raise machine_error(error, "write", job.path) from error


def verify_attached(item: CheckpointPlan) -> None:
    """Check a checkpoint that is attached on its own.

    Raises RestoreError: code 7 when it is not there, 5 when it is another one.
    """
    path = item.attached or ""
    if item.sought and not path:
        raise RestoreError(
            MACHINE,
            "the checkpoint is not attached: no file of {} bytes with sha256 {}".format(item.size, item.sha256),
            where=attached.ROOT,
            next='attach the input that holds it; if it lies deep in a large one, lock with attached = "its path"',
        )
    if item.sought:
        return
    if not os.path.isfile(path):
        raise RestoreError(MACHINE, "the checkpoint is not attached", where=path, next="attach the input that holds it")
    size = os.stat(path).st_size
    found = sha256_of(path) if size == item.size else "another one"
    if found != item.sha256:
        raise RestoreError(
            INTEGRITY,
            "sha256 is {} ({} bytes), the lock says {} ({} bytes)".format(found, size, item.sha256, item.size),
            where=path,
            next="attach the version that was locked, or lock again",
        )


def refuse_occupied(items: List[CheckpointPlan], *, tolerant: bool) -> None:
    """Refuse to overwrite files that no earlier restore made; with ``tolerant``, folders only.

    Raises RestoreError (code 6).
    """
    paths = [item.path for item in items if item.occupied]
    folders = [path for path in paths if is_folder(path)]
    if folders:
        raise RestoreError(
            MISFIT,
            "a folder is where a checkpoint belongs",
            items=folders,
            next="move it away, or set another [restore] directory",
        )
    if paths and not tolerant:
        raise RestoreError(
            MISFIT,
            "a different file is where a checkpoint belongs",
            items=paths,
            next="move it away, or set another [restore] directory; " + anyway("overwrites it"),
        )


def _inside(path: str) -> str:
    parts = path.split("/")
    if ".." in parts:
        raise RestoreError(INTEGRITY, "a path may not climb with '..'", where=path, next="build the pack again")
    if ".kpack" in parts:
        raise RestoreError(
            INTEGRITY, "a path may not go through kpack's state", where=path, next="build the pack again"
        )
    return os.path.join(*[part for part in parts if part not in ("", ".")] or ["."])


def _absolute(path: str, what: str) -> RestoreError:
    return RestoreError(
        OPTIONS,
        "{} has the absolute path {!r}, and this is not Kaggle".format(what, path),
        next="allow it with --allow-absolute, or restore with --target DIR",
    )
