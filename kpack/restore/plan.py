"""The plan of a restore: what goes where, what is there already, what must move; nothing is written for it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, AbstractSet, Dict, List, NamedTuple, Set, Tuple

from . import drift, tags
from .errors import MISFIT, RestoreError, anyway
from .parallel import cores, each
from .versions import normalize_name, same_version
from .wheels import WheelPlan, read_tail, read_wheel

if TYPE_CHECKING:
    from .checkpoints import CheckpointPlan
    from .inflate import Inflater
    from .installed import Installed
    from .links import Link
    from .manifest import Manifest, PackedDistribution, PackTarget
    from .pack import Pack
    from .scheme import Scheme


class Plan(NamedTuple):
    """All that a restore is going to do."""

    manifest: Manifest
    target: PackTarget
    scheme: Scheme
    wheels: List[WheelPlan]
    """Distributions to install."""
    present: List[PackedDistribution]
    """Distributions that are there already, in the same version."""
    kept: List[Tuple[PackedDistribution, str]]
    """Distributions that are there in another version, which stays (``KPACK_DRIFT=note``)."""
    replaced: Dict[str, Installed]
    """By name: what makes room for a distribution to install."""
    checkpoints: List[CheckpointPlan]
    drift: Tuple[drift.Drift, ...]
    links: List[Link]
    """Those that are to be made."""

    @property
    def unpacked(self) -> int:
        """Bytes of all files to be written, checkpoints included."""
        wheels = sum(file.entry.size for wheel in self.wheels for job in wheel.jobs for file in job.files)
        return wheels + sum(item.size for item in self.checkpoints if not item.present)

    @property
    def packed(self) -> int:
        """Bytes of the pack to be read."""
        wheels = sum(span.size for wheel in self.wheels for job in wheel.jobs for span in job.spans)
        return wheels + sum(item.size for item in self.checkpoints if not item.present and item.member)


def choose_target(
    manifest: Manifest, interpreter: tags.Interpreter, installed: Dict[str, Installed], *, chosen: bool = False
) -> PackTarget:
    """Return the target of the pack that fits the interpreter, the one with the least drift first.

    With ``chosen`` the interpreter was named or taken by ``kpack restore``: it can be another one. Raises
    RestoreError (code 6) that lists the pack's targets when none fits.
    """
    fitting = [
        target
        for target in manifest.targets
        if target.python == "{}.{}".format(*interpreter.python)
        and target.machine == interpreter.machine
        and target.glibc <= interpreter.glibc
    ]
    if not fitting:
        listed = "; ".join(
            "{} (Python {}, {}, glibc {}.{})".format(target.label, target.python, target.machine, *target.glibc)
            for target in manifest.targets
        )
        raise RestoreError(
            MISFIT,
            "the pack is for {}; this is {}".format(listed, interpreter),
            next="name an interpreter that fits: kpack restore --python PATH, with or without --target"
            if chosen
            else "pin the notebook to the image that the pack was made for, or add this one to base and build again",
        )
    versions = {name: item.version for name, item in installed.items()}

    def distance(target: PackTarget) -> Tuple[int, int]:
        found = drift.judge(target.leans, versions)
        return sum(item.breaks for item in found), len(found)

    return min(fitting, key=distance)


class Sorted(NamedTuple):
    """The distributions of a target by what must happen to them; fields as in `Plan`."""

    install: List[PackedDistribution]
    present: List[PackedDistribution]
    kept: List[Tuple[PackedDistribution, str]]
    replaced: Dict[str, Installed]


def sort(
    target: PackTarget,
    installed: Dict[str, Installed],
    broken: AbstractSet[str] = frozenset(),
    own: AbstractSet[str] = frozenset(),
    *,
    tolerant: bool,
) -> Sorted:
    """Hold the distributions of a target against what is installed.

    ``broken`` names those (normalised) that an earlier restore installed and that are not whole any more: they are
    installed again. ``own`` names those that earlier restores installed: they give way to another version, so that
    a newer pack can be restored over an older one. With ``tolerant`` another version of any other distribution stays
    instead of being an error. Raises RestoreError (code 6) otherwise.
    """
    found = Sorted([], [], [], {})
    wrong = []
    for item in target.distributions:
        name = normalize_name(item.name)
        there = installed.get(name)
        if there is None:
            found.install.append(item)
        elif same_version(there.version, item.version) and name not in broken:
            found.present.append(item)
        elif item.replaces is not None or name in own or same_version(there.version, item.version):
            found.install.append(item)
            found.replaced[name] = there
        elif tolerant:
            found.kept.append((item, there.version))
        else:
            wrong.append("{} {} (the pack brings {})".format(item.name, there.version, item.version))
    if wrong:
        raise RestoreError(
            MISFIT,
            "another version is installed already",
            items=wrong,
            next="start a fresh session, or {}, and build again; {}".format(
                "name it in replace" if target.base else "name the image in base and it in replace",
                anyway("keeps what is there"),
            ),
        )
    return found


def plan_wheels(pack: Pack, items: List[PackedDistribution], scheme: Scheme, inflater: Inflater) -> List[WheelPlan]:
    """Return where the files of the wheels go; their directories are read several at a time, since that may be slow.

    Raises RestoreError: code 5 for a wheel that is damaged or was not written by kpack, 6 for files of two wheels
    that exclude each other, 7 when the pack cannot be read.
    """
    tails: Dict[str, Dict[int, bytes]] = {}

    def read(item: PackedDistribution) -> None:
        tails[item.name] = read_tail(pack, item)

    each(items, read, threads=min(16, 4 * cores()))
    return [read_wheel(pack, item, tails[item.name], scheme, inflater) for item in items]


def missing_folders(paths: Set[str], leaving: AbstractSet[str] = frozenset()) -> List[str]:
    """Return the folders (given, and their parents) that are not there, parents first.

    Files (or links) in ``leaving`` make room before. Raises RestoreError (code 6) when one of them is another file.
    """
    there: Dict[str, bool] = {"/": True}
    for path in paths:
        waiting = []
        while path not in there:
            waiting.append(path)
            path = path.rpartition("/")[0] or "/"
        above = there[path]
        for folder in reversed(waiting):
            if above and (folder in leaving or not os.path.isdir(folder)):
                above = False
                if folder not in leaving and os.path.lexists(folder):
                    raise RestoreError(
                        MISFIT,
                        "a folder is needed where a file is; pip could not install that either",
                        where=folder,
                        next="uninstall what brought the file, or restore with --target DIR",
                    )
            there[folder] = above
    return sorted(folder for folder, answer in there.items() if not answer)
