"""Where an environment stands, from its file to Kaggle, and the one next command."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kpack import ledger, standing
from kpack.errors import IntegrityError, MachineError
from kpack.lock import relative
from kpack.pack import read

if TYPE_CHECKING:
    from pathlib import Path

    from kpack.pack import ReadPack
    from kpack.project import Project


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """The dataset on Kaggle."""

    ref: str
    version: int | None
    """None when there is none, or nothing is known of it."""
    id: str | None
    """Of the pack in it."""
    mountable: bool
    asked: bool
    """Kaggle itself said so; otherwise it is what the last ``kpack push`` saw."""
    note: str = ""
    """Why it was not asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """Where an environment stands."""

    config: Path
    lock: Path
    stale: tuple[str, ...]
    """Why the lock does not speak for the file; empty when it does."""
    pack: Path
    id: str | None
    """None when there is no whole pack."""
    of_lock: bool
    """The pack was built from this lock."""
    problem: str
    """What is wrong with the pack; empty when nothing is."""
    dataset: Dataset | None
    """None when kaggle-env.toml names none."""
    rehearsals: tuple[ledger.Rehearsed, ...]
    """The last of each kind, the newest first."""

    @property
    def fresh(self) -> bool:
        """Whether the lock speaks for the file."""
        return not self.stale

    def passed(self, *where: str) -> bool:
        """Tell whether this very pack passed the last rehearsal of one of these kinds."""
        return any(item.ok and item.id == self.id for item in self.rehearsals if item.where in where)

    @property
    def next(self) -> tuple[str, ...]:
        """The words of the one next command."""
        if not self.fresh:
            return ("kpack", "lock")
        if self.id is None or not self.of_lock:
            return ("kpack", "build")
        newest = next((item for item in self.rehearsals if item.id == self.id), None)
        if newest is None or not (newest.ok or newest.where == "kaggle"):
            return ("kpack", "rehearse")
        if self.dataset is None:
            return ("kpack", "push", "--dataset", "OWNER/SLUG")
        if self.dataset.id != self.id or not self.dataset.mountable:
            return ("kpack", "push")
        if not self.passed("kaggle"):
            return ("kpack", "rehearse", "--kaggle")
        return ("kpack", "bootstrap", str(self.pack))

    def to_dict(self) -> dict[str, Any]:
        """Return the object of ``kpack status --json``."""
        last = self.rehearsals[0] if self.rehearsals else None
        return {
            "config": str(self.config),
            "lock": {"path": str(self.lock), "fresh": self.fresh, "stale": list(self.stale)},
            "pack": {"path": str(self.pack), "id": self.id, "of_lock": self.of_lock, "problem": self.problem or None},
            "dataset": self.dataset
            and {
                "ref": self.dataset.ref,
                "version": self.dataset.version,
                "id": self.dataset.id,
                "mountable": self.dataset.mountable,
                "asked": self.dataset.asked,
                "note": self.dataset.note or None,
            },
            "rehearsed": last and {"id": last.id, "where": last.where, "ok": last.ok, "at": last.at},
            "next": list(self.next),
        }


def status(project: Project, *, offline: bool = False) -> Status:
    """Look where ``project`` stands; ``offline`` asks nobody, and otherwise Kaggle has a few seconds to answer.

    Raises:
        UsageError: kaggle-env.toml is not there, or wrong.

    """
    stale, pack, problem = _stale(project), None, ""
    try:
        pack = read(project.pack_path)
    except MachineError as error:
        problem = error.what
    except IntegrityError as error:
        problem = f"damaged: {error.what}"
    return Status(
        config=project.config,
        lock=project.lock_path,
        stale=stale,
        pack=project.pack_path,
        id=pack.id if pack is not None else None,
        of_lock=pack is not None and _is_of(pack, project),
        problem=problem,
        dataset=_dataset(project, pack, offline=offline),
        rehearsals=ledger.rehearsals(project.pack_path),
    )


def _stale(project: Project) -> tuple[str, ...]:
    try:
        return project.stale()
    except IntegrityError as error:
        return (f"it cannot be read: {error.what}",)


def _is_of(pack: ReadPack, project: Project) -> bool:
    """Tell whether a pack holds the very lock that lies beside the file."""
    try:
        return project.lock is not None and pack.data(pack.manifest.lock).decode("utf-8") == relative(project.lock)
    except (IntegrityError, UnicodeDecodeError):
        return False


def _dataset(project: Project, pack: ReadPack | None, *, offline: bool) -> Dataset | None:
    known = ledger.pushed(project.pack_path)
    ref = project.environment.dataset or (known.ref if known else None)
    if ref is None:
        return None
    note = "--offline"
    if not offline and pack is not None and not pack.is_folder:
        said = standing.ask(project.pack_path, ref)
        if said.error is None:
            version = said.version if said.exists and said.version else None
            return Dataset(ref=ref, version=version, id=said.id, mountable=said.ready, asked=True)
        note = said.error
    if known is None or known.ref != ref:
        return Dataset(ref=ref, version=None, id=None, mountable=False, asked=False, note=note)
    return Dataset(ref=ref, version=known.version, id=known.id, mountable=known.mountable, asked=False, note=note)
