"""From a plan to every path that a run will touch, checked against what is there."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, AbstractSet, Dict, List, Set, Tuple

from . import check
from .errors import MISFIT, RestoreError, anyway
from .installed import listing, owners, stated
from .journal import Places
from .moves import is_folder
from .plan import missing_folders
from .replace import in_the_way, own, read_old, vacated, without_shared
from .scripts import command
from .search import Hidden
from .shared import SHOWN, Digests, drop, share_files, shown
from .versions import same_version

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
        self.old: Dict[str, List[Old]] = {}
        """What is replaced, by name of the distribution."""
        self.staged: Dict[str, str] = {}
        """Files of distributions that replace another: final path to where they wait."""
        self.overridden: Dict[str, Set[str]] = {}
        """By distribution: its paths where another distribution's file stays."""
        self.overwritten: List[str] = []
        """Files in the way, of whoever they are, that are moved aside."""
        self.hidden: Set[str] = set()
        """Distributions (normalised) that are hidden by what comes before them, which was told."""
        self.missing: List[str] = []
        """Folders that are not there, parents first."""
        self.late: Set[str] = set()
        """Those of them that can be made only when a file of what is replaced has left their place."""
        self.vacated: List[str] = []
        """Folders that only what is replaced has files in, where files belong; parents first."""
        self.notes: List[str] = []

    @property
    def olds(self) -> List[Old]:
        """What gives way: distributions that are replaced, and metadata folders in the way."""
        return [old for olds in self.old.values() for old in olds]

    @property
    def leaving(self) -> Set[str]:
        """The files of what gives way."""
        return {path for old in self.olds for path in old.files}

    @property
    def given_up(self) -> Set[str]:
        """The files of distributions that another version replaces, and those that take their place."""
        return self._places(self._replaced)

    @property
    def renewed(self) -> Set[str]:
        """The files of distributions that are installed once more in the version that is there."""
        return self._places(self.old.keys() - self._replaced)

    @property
    def _replaced(self) -> Set[str]:
        replaced = self.plan.replaced
        wheels = [wheel for wheel in self.plan.wheels if wheel.name in replaced]
        return {wheel.name for wheel in wheels if not same_version(replaced[wheel.name].version, wheel.version)}

    def _places(self, names: AbstractSet[str]) -> Set[str]:
        new = {file.path for wheel in self.plan.wheels if wheel.name in names for file in wheel.files}
        return new.union(path for name in names for old in self.old.get(name, ()) for path in old.files)

    @property
    def libs(self) -> Set[str]:
        """The folders that receive modules."""
        return {self.plan.scheme.purelib, *(wheel.lib for wheel in self.plan.wheels)}


def prepare(plan: Plan, digests: Digests, run: str, executable: str, *, tolerant: bool) -> Prepared:
    """Work out every path and check that all of it can be written; nothing is.

    With ``tolerant``, what something on sys.path would hide is a note. Raises RestoreError: code 6 for distributions
    that cannot be replaced or would not be found, folders where files belong and files where folders do, links that
    lead out of the scheme, and files of nobody in the way below ``--target``, 7 for folders that cannot be written and
    too little space.
    """
    prepared = Prepared(plan, run)
    scheme = plan.scheme
    shared = share_files(plan.wheels, scheme, digests)
    prepared.scripts = {path: (wheel, command(point, executable)) for path, (wheel, point) in shared.commands.items()}
    prepared.overridden = shared.overridden
    prepared.notes += shared.notes
    _part_checkpoints(prepared)
    _make_room(prepared)
    hidden = Hidden(plan.wheels, scheme, prepared.leaving)
    if not tolerant:
        hidden.refuse()
    prepared.hidden = hidden.names
    prepared.notes += [*hidden.notes, *hidden.wrong]
    folders = {folder for wheel in plan.wheels for folder in wheel.folders} | {wheel.lib for wheel in plan.wheels}
    folders |= {scheme.scripts} if prepared.scripts else set()
    folders.add(scheme.purelib)
    for_checkpoints = {os.path.dirname(item.path) for item in plan.checkpoints if not item.present}
    for_checkpoints.update(os.path.dirname(link.path) for link in plan.links)
    leaving = prepared.leaving
    missing = {*missing_folders(folders, leaving), *missing_folders(for_checkpoints)}
    folders |= for_checkpoints
    prepared.missing = sorted(missing)
    for folder in prepared.missing if leaving else ():
        if folder in leaving or os.path.dirname(folder) in prepared.late:
            prepared.late.add(folder)
    _take_over(prepared, digests, missing)
    if scheme.target is not None and not tolerant:
        _refuse_foreign(prepared)
    standing = (folders | {os.path.dirname(folder) for folder in missing}) - missing
    check.refuse_links_outside(plan, standing)
    check.refuse_unwritable(standing)
    check.refuse_too_full(_sizes(prepared))
    return prepared


def _part_checkpoints(prepared: Prepared) -> None:
    """Stop when a checkpoint belongs where a distribution has a file or its metadata. Raises RestoreError (code 6)."""
    paths = {item.path for item in prepared.plan.checkpoints}
    taken = paths.intersection(prepared.scripts)
    for wheel in prepared.plan.wheels if paths else ():
        taken.update(paths.intersection(file.path for file in wheel.payload))
        taken.update(path for path in paths if path.startswith(wheel.final + "/"))
    if taken:
        raise RestoreError(
            MISFIT,
            "a checkpoint belongs where a distribution of the pack has a file",
            items=sorted(taken),
            next="restore with --target to another folder, or give the checkpoint another path and build again",
        )


def _make_room(prepared: Prepared) -> None:
    """Find what gives way: every distribution of a replaced name, and whatever is in a new metadata folder's place."""
    plan = prepared.plan
    places = Places(plan.scheme)
    installed = {lib: listing(lib) for lib in places.libs} if plan.replaced else {}
    for wheel in plan.wheels:
        if wheel.name in plan.replaced:
            named = [item for items in installed.values() for item in items if item.name == wheel.name]
            there = own([item for item in named if stated(item) is not None])
            prepared.old[wheel.name] = [
                read_old(item, places, same=same_version(item.version, wheel.version)) for item in there
            ]
        known = {old.info for old in prepared.old.get(wheel.name, ())}
        if wheel.final not in known and os.path.isdir(wheel.final) and not os.path.islink(wheel.final):
            prepared.old.setdefault(wheel.name, []).append(in_the_way(wheel.final))
    kept = iter(without_shared(prepared.olds, places.libs))
    prepared.old = {name: [next(kept) for _ in olds] for name, olds in prepared.old.items()}


def _take_over(prepared: Prepared, digests: Digests, missing: Set[str]) -> None:
    """Find the files that are in the way of others: they are kept aside, as pip overwrites them.

    What is there with the very content that the pack's RECORD names stays as it is.
    """
    plan = prepared.plan
    ours = prepared.leaving
    other: List[str] = []
    for wheel in plan.wheels:
        if not wheel.folders <= missing:
            found = [file for file in wheel.payload if file.path.rpartition("/")[0] not in missing]
            same, differing = check.existing((file for file in found if file.path not in ours), wheel, digests)
            other += differing
            if same:
                drop(wheel, same)
        if os.path.lexists(wheel.final) and (os.path.islink(wheel.final) or not os.path.isdir(wheel.final)):
            other.append(wheel.final)
    for path, (_, content) in list(prepared.scripts.items()):
        if path in ours or os.path.dirname(path) in missing or not os.path.lexists(path):
            continue
        if check.has(path, content):
            del prepared.scripts[path]
        else:
            other.append(path)
    for path in dict.fromkeys(other):
        empty = vacated(path, ours) if ours and is_folder(path) else []
        prepared.vacated += empty
        if not empty:
            prepared.overwritten.append(path)
    check.refuse_folders(prepared.overwritten)
    if prepared.overwritten:
        prepared.notes.append(_taken_over(prepared))


def _refuse_foreign(prepared: Prepared) -> None:
    """Stop when what is in the way in a folder of the user's own choice is of no distribution.

    pip keeps it there, too, and says so; it would leave a distribution that is not whole. Raises RestoreError (code 6).
    """
    again = {file.path for wheel in prepared.plan.wheels if wheel.name in prepared.old for file in wheel.files}
    found = owners(prepared.libs, [path for path in prepared.overwritten if path not in again])
    foreign = [path for path, names in found.items() if not names]
    if foreign:
        raise RestoreError(
            MISFIT,
            "files that no distribution has brought are in the way",
            items=foreign,
            next="move them away, or name an empty folder; " + anyway("overwrites them"),
        )


def _taken_over(prepared: Prepared) -> str:
    paths = sorted(prepared.overwritten)
    few = paths[:SHOWN]
    names = []
    for path, owned in owners(prepared.libs, few).items():
        stay = [name for name in owned if name not in prepared.old]
        names.append(shown(path, prepared.plan.scheme) + (" of {}".format(", ".join(stay)) if stay else ""))
    if len(paths) > SHOWN:
        names.append("and {} more".format(len(paths) - SHOWN))
    return "{} in the way and overwritten{}: {}".format(
        "1 file was" if len(paths) == 1 else "{} files were".format(len(paths)),
        ", as by pip" if prepared.plan.scheme.target is None else "",
        ", ".join(names),
    )


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
