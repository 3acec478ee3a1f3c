"""From a plan to every path that a run will touch, checked against what is there."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Dict, List, Set, Tuple

from . import check
from .plan import drop, missing_folders, share_files
from .replace import read_old
from .scripts import command

if TYPE_CHECKING:
    from .plan import Plan
    from .replace import Old
    from .wheels import WheelPlan


class Prepared:
    """A plan with every path known: what the checks look at and the journal names."""

    def __init__(self, plan: Plan, run: str) -> None:
        self.plan = plan
        self.run = run
        self.scripts: Dict[str, Tuple[WheelPlan, bytes]] = {}
        """Entry point scripts by path: (their wheel, their content)."""
        self.old: Dict[str, Old] = {}
        """What is replaced, by name of the distribution."""
        self.staged: Dict[str, str] = {}
        """Files of distributions that replace another: final path to where they wait."""
        self.overridden: Dict[str, Set[str]] = {}
        """By distribution: its paths where another distribution's file stays."""
        self.overwritten: List[str] = []
        """Files in the way that are moved aside (``KPACK_DRIFT=note``)."""
        self.missing: List[str] = []
        """Folders that are not there, parents first."""
        self.notes: List[str] = []

    @property
    def given_up(self) -> Set[str]:
        """The files of distributions that are replaced, and those that take their place."""
        found = {path for old in self.old.values() for path in old.files}
        return found.union(file.path for wheel in self.plan.wheels if wheel.name in self.old for file in wheel.files)

    @property
    def libs(self) -> Set[str]:
        """The folders that receive modules."""
        return {self.plan.scheme.purelib, *(wheel.lib for wheel in self.plan.wheels)}


def prepare(plan: Plan, run: str, executable: str, *, tolerant: bool) -> Prepared:
    """Work out every path and check that all of it can be written; nothing is.

    Raises RestoreError: code 6 for files in the way, distributions that cannot be replaced and links that lead
    out of the scheme, 7 for folders that cannot be written and too little space.
    """
    prepared = Prepared(plan, run)
    notes, scripts = prepared.notes, prepared.scripts
    for wheel in plan.wheels:
        for point in wheel.points:
            path = "{}/{}".format(plan.scheme.scripts, point.name)
            if path in scripts and scripts[path][0] is not wheel:
                notes.append(
                    "{} and {} both bring the command {}; the second one's stays".format(
                        scripts[path][0].name, wheel.name, point.name
                    )
                )
            scripts[path] = (wheel, command(point, executable))
    shared = share_files(plan.wheels, {path: wheel for path, (wheel, _) in scripts.items()})
    prepared.overridden = shared.overridden
    notes += shared.notes
    for wheel in plan.wheels:
        there = plan.replaced.get(wheel.name)
        if there is not None:
            prepared.old[wheel.name] = read_old(there, prepared.libs)
    ours = {path for old in prepared.old.values() for path in old.files}
    folders = {file.path.rpartition("/")[0] for wheel in plan.wheels for file in wheel.files}
    folders |= {plan.scheme.scripts} if scripts else set()
    folders |= {os.path.dirname(item.path) for item in plan.checkpoints if not item.present}
    folders |= {wheel.lib for wheel in plan.wheels} | {plan.scheme.purelib}
    prepared.missing = missing_folders(folders)
    missing = set(prepared.missing)
    _clashes(prepared, missing, ours, tolerant=tolerant)
    standing = (folders | {os.path.dirname(folder) for folder in missing}) - missing
    check.refuse_links_outside(plan, standing)
    check.refuse_unwritable(standing)
    check.refuse_too_full(_sizes(prepared))
    return prepared


def _clashes(prepared: Prepared, missing: Set[str], ours: Set[str], *, tolerant: bool) -> None:
    plan = prepared.plan
    other: List[str] = []
    for wheel in plan.wheels:
        same, differing = check.existing(wheel.files, missing, ours)
        other += differing
        if same:
            drop(wheel, same)
        if os.path.lexists(wheel.final) and wheel.final not in ours and not _within(wheel.final, ours):
            other.append(wheel.final)
    for path, (_, content) in list(prepared.scripts.items()):
        if path in ours or os.path.dirname(path) in missing or not os.path.lexists(path):
            continue
        if not _has(path, content):
            other.append(path)
        else:
            del prepared.scripts[path]
    if other and not tolerant:
        check.refuse_clashes(other)
    if any(os.path.isdir(path) and not os.path.islink(path) for path in other):
        check.refuse_clashes(other)
    prepared.overwritten = other
    if other:
        prepared.notes.append("{} files were in the way and were overwritten: {}".format(len(other), ", ".join(other)))


def _within(folder: str, files: Set[str]) -> bool:
    return any(path.startswith(folder + "/") for path in files)


def _has(path: str, content: bytes) -> bool:
    try:
        with open(path, "rb") as stream:
            return stream.read(len(content) + 1) == content
    except OSError:
        return False


def _sizes(prepared: Prepared) -> Dict[str, Tuple[int, int]]:
    """Return (bytes, files) that each folder receives, by the root of the scheme or the checkpoint's folder."""
    plan = prepared.plan
    found: Dict[str, Tuple[int, int]] = {}

    def add(folder: str, size: int, files: int) -> None:
        before = found.get(folder, (0, 0))
        found[folder] = (before[0] + size, before[1] + files)

    for wheel in plan.wheels:
        sizes = [file.entry.size for job in wheel.jobs for file in job.files]
        add(wheel.lib, sum(sizes) + check.BLOCK * len(sizes), len(sizes))
    add(plan.scheme.purelib, check.BLOCK * len(prepared.missing), len(prepared.missing))
    for item in plan.checkpoints:
        if not item.present and item.member is not None:
            add(os.path.dirname(item.path), item.size + check.BLOCK, 1)
    return found
