"""kpack from Python: the four steps as functions, their answers as frozen values.

`kpack` itself offers all that stands in ``__all__`` here, and imports it when it is first used. Nothing is printed;
what goes wrong is raised as a `KpackError`, which says what happened, where, and what to do next.
"""

from __future__ import annotations

import contextlib
import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kpack import beside, building, locking, project, restoring
from kpack import pack as packs
from kpack.cache import Cache
from kpack.checkpoints import landing
from kpack.errors import (
    CheckFailed,
    ExitCode,
    IntegrityError,
    KpackError,
    MachineError,
    MisfitError,
    NetworkError,
    NoSolution,
    UsageError,
)
from kpack.fetch import Fetcher
from kpack.locking import Locked
from kpack.pack import BuiltPack, Problem
from kpack.restore.errors import no_working_folder

if TYPE_CHECKING:
    import os
    from collections.abc import Collection, Iterator

__all__ = [
    "BuiltPack",
    "CheckFailed",
    "ExitCode",
    "IntegrityError",
    "KpackError",
    "Locked",
    "MachineError",
    "MisfitError",
    "NetworkError",
    "NoSolution",
    "Problem",
    "Restored",
    "UsageError",
    "Verified",
    "build",
    "lock",
    "restore",
    "verify",
]

_ERRORS: dict[int, type[KpackError]] = {
    kind.exit_code: kind
    for kind in (CheckFailed, UsageError, NoSolution, NetworkError, IntegrityError, MisfitError, MachineError)
}


@contextlib.contextmanager
def _machine() -> Iterator[None]:
    """Raise `MachineError` for what the system says no to, such as a working folder that was deleted."""
    try:
        yield
    except OSError as error:
        if isinstance(error, FileNotFoundError) and error.filename is None:
            gone = no_working_folder()
            raise MachineError(gone.what, where=gone.where, next=gone.next) from error
        raise MachineError(error.strerror or str(error), where=str(error.filename or "")) from error


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """What `verify` found."""

    path: Path
    id: str
    """SHA-256 of the pack's bootstrap.py: what the pasted line pins."""
    problems: tuple[Problem, ...]
    """What is wrong, in the order of the members; empty for a pack that is whole."""

    @property
    def ok(self) -> bool:
        """Whether every byte is what it has to be."""
        return not self.problems


@dataclass(frozen=True, slots=True, kw_only=True)
class Restored:
    """What `restore` did."""

    id: str
    """The pack's id."""
    target: str
    """The base image, or ``python-3.12``."""
    changed: bool
    """False when all of it was there already."""
    installed: tuple[tuple[str, str], ...]
    """Name and version of each distribution."""
    checkpoints: tuple[Path, ...]
    """Where the checkpoints are."""
    drift: tuple[str, ...]
    """Distributions of the base that have another version than when it was locked."""
    bytes: int
    """Bytes that were written."""
    seconds: float


@_machine()
def lock(
    config: str | os.PathLike[str] | None = None,
    *,
    upgrade: bool | Collection[str] = False,
    strict: bool = False,
    offline: bool = False,
    cache: str | os.PathLike[str] | None = None,
) -> Locked:
    """Bring the lock beside a kaggle-env.toml up to date, as ``kpack lock`` does.

    ``config`` is the file (None: the nearest ``kaggle-env.toml`` upwards). ``upgrade`` lets go of all old pins
    (True) or of the named ones, checkpoints by path or URL; ``strict`` refuses checkpoints without sha256;
    ``offline`` takes sources and checkpoints from the cache alone. ``cache`` is its folder (None: the user's).

    Raises:
        UsageError: there is no such file, or it has mistakes.
        NoSolution: the requirements conflict.
        NetworkError: an index or a server failed.
        IntegrityError: a file is not what its sha256 says.

    """
    found = _project(config)
    names, files = (upgrade, frozenset()) if isinstance(upgrade, bool) else locking.let_go(found, upgrade)
    done = locking.unchanged(found, upgrade=names, renew=files, strict=strict)
    return done or locking.anew(found, _fetcher(cache, offline=offline), upgrade=names, renew=files, strict=strict)


@_machine()
def build(
    config: str | os.PathLike[str] | None = None,
    *,
    out: str | os.PathLike[str] | None = None,
    offline: bool = False,
    take_from: Collection[str | os.PathLike[str]] = (),
    cache: str | os.PathLike[str] | None = None,
) -> BuiltPack:
    """Make the pack of a lock, as ``kpack build`` does; the answer holds the line to paste.

    Beside the pack lie the line as a file, a notebook that begins with it, and the head of the pack that was there.

    ``config`` is the kaggle-env.toml (None: the nearest upwards), ``out`` the file to write (None:
    ``dist/<name>.kpack.bin`` beside it), ``take_from`` older packs whose files are used instead of the network.

    Raises:
        UsageError: there is no lock, or another environment beside it has the same name and its pack there.
        CheckFailed: the lock is stale, or the pack would be larger than ``max-size``.
        NetworkError: a file cannot be fetched.
        IntegrityError: a file is not what the lock says, or a wheel may not enter a pack.
        MachineError: no space, no permission.

    """
    found = _project(config)
    place = found.pack_path if out is None else Path(out)
    before = beside.standing_head(place, found.lock_path if out is None else None)
    made = building.build(
        found, _fetcher(cache, offline=offline), out=place, take_from=[Path(older) for older in take_from]
    )
    lands = landing(found.current_lock().checkpoints, found.environment.restore.directory)
    delivered = beside.deliver(made, before, lands)
    return replace(made, notes=(*made.notes, *delivered.notes))


@_machine()
def verify(path: str | os.PathLike[str]) -> Verified:
    """Check every byte of the pack at ``path`` and each wheel in it, as ``kpack verify`` does.

    Raises:
        IntegrityError: it is no pack, or its head is damaged.
        MachineError: there is no such file.

    """
    found = packs.read(Path(path))
    return Verified(path=Path(path), id=found.id, problems=packs.verify(found))


@_machine()
def restore(
    path: str | os.PathLike[str],
    *,
    python: str | os.PathLike[str] | None = None,
    target: str | os.PathLike[str] | None = None,
    expect: str | None = None,
    dry_run: bool = False,
    compile: bool = False,  # noqa: A002 - the option's name
    allow_absolute: bool = False,
) -> Restored:
    """Restore the pack at ``path`` into another interpreter or a folder, as ``kpack restore`` does.

    ``python`` is the interpreter, ``target`` the folder; one of them is needed. ``expect`` is the id that the pack
    must have. The rest is as in `kpack.restoring.EngineOptions`.

    Raises:
        UsageError: neither ``python`` nor ``target`` is given.
        IntegrityError: the pack is damaged or another one.
        MisfitError: the interpreter or what is installed there does not fit.
        MachineError: no space, no permission, no such pack.

    """
    options = restoring.EngineOptions(
        python=None if python is None else str(python),
        target=None if target is None else Path(target),
        dry_run=dry_run,
        compile=compile,
        allow_absolute=allow_absolute,
    )
    done = restoring.run_engine(Path(path), options, expect=expect, as_json=True, capture=True)
    try:
        report: dict[str, Any] = json.loads(done.stdout)
    except ValueError as error:
        kind = _ERRORS.get(done.returncode, MachineError)
        said = done.stderr.decode(errors="replace").strip()
        raise kind(said or f"the engine ended with {done.returncode}", where=str(path)) from error
    if "error" in report:
        told = report["error"]
        raise _ERRORS[told["code"]](told["what"], where=told["where"], next=told["next"])
    return Restored(
        id=report["id"],
        target=report["target"],
        changed=report["changed"],
        installed=tuple((item["name"], item["version"]) for item in report["installed"]),
        checkpoints=tuple(Path(item["path"]) for item in report["checkpoints"]),
        drift=tuple(item["name"] for item in report["drift"]),
        bytes=report["bytes"],
        seconds=report["seconds"],
    )


def _project(config: str | os.PathLike[str] | None) -> project.Project:
    return project.Project.find(None if config is None else Path(config).absolute())


def _fetcher(folder: str | os.PathLike[str] | None, *, offline: bool) -> Fetcher:
    return Fetcher(Cache(None if folder is None else Path(folder)), offline)
