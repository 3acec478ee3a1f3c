"""Paths that more than one wheel of a pack brings: whose file stays, and what cannot be.

The wheels come in the order in which pip would install them, so the last one's file stays. The same code plans at
home, when the pack is built, and in the kernel; what it says is the same sentence there.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING, Dict, List, Mapping, NamedTuple, Set, Tuple

from . import record
from .errors import MISFIT, RestoreError, number_of
from .wheels import RECORD, File
from .wheelzip import DEFLATED, data_offset

if TYPE_CHECKING:
    from typing import Union

    from .entry_points import EntryPoint
    from .inflate import Inflater
    from .pack import Pack
    from .scheme import Scheme
    from .wheels import WheelPlan

    _Claim = Tuple[WheelPlan, Union[File, EntryPoint]]
    """Who brings a path: a wheel, as one of its files or as a command of its entry points."""

SHOWN = 3
"""Paths that a note names."""


class Shared(NamedTuple):
    """What comes of the paths that several wheels bring."""

    notes: List[str]
    commands: Dict[str, Tuple[WheelPlan, EntryPoint]]
    """The commands of entry points that stay, by path."""
    overridden: Dict[str, Set[str]]
    """By distribution: its paths where another one's file stays."""


class Digests:
    """What the RECORDs of packed wheels say of their files; read when it is first asked for."""

    def __init__(self, pack: Pack, inflater: Inflater) -> None:
        self._pack = pack
        self._inflater = inflater
        self._rows: Dict[str, Mapping[str, record.RecordEntry]] = {}

    def of(self, wheel: WheelPlan, file: File) -> str:
        """Return the digest of a file as RECORD spells it; empty where it proves nothing.

        RECORD was held against the wheel when that was packed, and the bytes of both against the manifest since.
        Raises RestoreError: code 5 for a damaged pack, 7 when it cannot be read.
        """
        if wheel.lax_record:
            return ""
        if wheel.name not in self._rows:
            self._rows[wheel.name] = self._read(wheel)
        row = self._rows[wheel.name].get(file.entry.name)
        return row.digest if row is not None and row.digest.startswith("sha256=") else ""

    def _read(self, wheel: WheelPlan) -> Mapping[str, record.RecordEntry]:
        entry = next(file.entry for file in wheel.files if file.kind == RECORD)
        spans = wheel.member.spans
        span = spans[bisect_right([span.offset for span in spans], entry.offset) - 1]
        data = self._pack.read(wheel.member, (span,))
        begin = entry.offset - span.offset
        begin += data_offset(data, entry, wheel.member.path, begin)
        raw = data[begin : begin + entry.compressed]
        content = self._inflater.whole(raw, entry.size, entry.name) if entry.method == DEFLATED else raw
        return record.parse(content, wheel.member.path)


def share_files(wheels: List[WheelPlan], scheme: Scheme, digests: Digests) -> Shared:
    """Let every path be written once where several wheels bring it.

    Files of the same content are shared; of files that differ, the last wheel's stays. Raises RestoreError (code 6)
    when one wheel needs a folder where another has a file.
    """
    claims: Dict[str, _Claim] = {}
    dropped: Dict[str, Set[str]] = {}
    pairs: Dict[Tuple[str, str], List[str]] = {}
    shared = Shared([], {}, {})
    for wheel in wheels:
        own: List[Tuple[str, _Claim]] = [(file.path, (wheel, file)) for file in wheel.payload]
        own += [("{}/{}".format(scheme.scripts, point.name), (wheel, point)) for point in wheel.points]
        alone = dict(own)
        if len(alone) == len(own) and claims.keys().isdisjoint(alone):
            claims.update(alone)
            continue
        for path, claim in own:
            before = claims.get(path)
            if before is None:
                claims[path] = claim
                continue
            owner = before[0]
            if owner is not wheel and _same(before, claim, digests):
                dropped.setdefault(wheel.name, set()).add(path)
            else:
                claims[path] = claim
                dropped.setdefault(owner.name, set()).add(path)
                shared.overridden.setdefault(owner.name, set()).add(path)
                if owner is not wheel:
                    pairs.setdefault((owner.name, wheel.name), []).append(path)
    for wheel in wheels:
        if wheel.name in dropped:
            drop(wheel, dropped[wheel.name])
    _refuse_folders(claims, wheels, scheme)
    shared.commands.update(_commands(claims, wheels, scheme))
    for (loser, winner), paths in pairs.items():
        shared.notes.append(_stays(loser, winner, [shown(path, scheme) for path in paths]))
    shared.notes.extend(_cases(claims, scheme))
    return shared


def _same(one: _Claim, other: _Claim, digests: Digests) -> bool:
    (wheel, file), (another, there) = one, other
    if not isinstance(file, File) or not isinstance(there, File):
        return file == there
    first, second = file.entry, there.entry
    # The sum of a file that is equal to another one's proves nothing; one that differs does.
    if (first.size, first.crc, first.executable) != (second.size, second.crc, second.executable):
        return False
    digest = digests.of(wheel, file)
    return first.size == 0 or (digest != "" and digest == digests.of(another, there))


def _commands(
    claims: Mapping[str, _Claim], wheels: List[WheelPlan], scheme: Scheme
) -> Dict[str, Tuple[WheelPlan, EntryPoint]]:
    """Return, by path, the commands that stay."""
    found = {}
    for wheel in wheels:
        for point in wheel.points:
            path = "{}/{}".format(scheme.scripts, point.name)
            if claims[path] == (wheel, point):
                found[path] = (wheel, point)
    return found


def _with_parents(folders: Set[str]) -> Set[str]:
    """Return absolute folders and all that they lie in."""
    found = set(folders)
    for folder in folders:
        parent = folder.rpartition("/")[0]
        while parent and parent not in found:
            found.add(parent)
            parent = parent.rpartition("/")[0]
    return found


def _refuse_folders(claims: Mapping[str, _Claim], wheels: List[WheelPlan], scheme: Scheme) -> None:
    """Refuse a file where another path needs a folder, at any depth."""
    needed = {scheme.scripts}.union(*(wheel.folders for wheel in wheels), (wheel.final for wheel in wheels))
    if claims.keys().isdisjoint(_with_parents(needed)):
        return
    folders: Dict[str, str] = {}
    """Every folder that is needed: a path that needs it."""
    for path in [*claims, *(wheel.final + "/METADATA" for wheel in wheels)]:
        folder = path.rpartition("/")[0]
        while folder and folder not in folders:
            folders[folder] = path
            folder = folder.rpartition("/")[0]
    for path in sorted(folders.keys() & claims.keys()):
        inner = claims.get(folders[path])
        needs = inner[0].name if inner else next(w.name for w in wheels if folders[path].startswith(w.final))
        raise RestoreError(
            MISFIT,
            "{} brings a file where {} needs a folder".format(claims[path][0].name, needs),
            where=path,
            next="exclude one of the two, or pack another version of it, and build again; pip cannot install both "
            "either",
        )


def _cases(claims: Mapping[str, _Claim], scheme: Scheme) -> List[str]:
    """Return notes on paths of two wheels that differ only in case, which are one on other systems."""
    notes: List[str] = []
    if len(set(map(str.lower, claims))) == len(claims):
        return notes
    folded: Dict[str, str] = {}
    for path, claim in claims.items():
        other = folded.setdefault(path.lower(), path)
        if other != path and claims[other][0] is not claim[0]:
            notes.append(
                "{} and {} bring {} and {}, which differ only in case: on Linux both stay".format(
                    claims[other][0].name, claim[0].name, shown(other, scheme), shown(path, scheme)
                )
            )
    return notes


def _stays(loser: str, winner: str, paths: List[str]) -> str:
    if len(paths) == 1:
        return "{} and {} both bring {}; that of {} stays, which is installed later".format(
            loser, winner, paths[0], winner
        )
    return "{} and {} both bring {}; those of {} stay, which is installed later".format(
        loser, winner, listed(paths), winner
    )


def listed(paths: List[str]) -> str:
    """Return how many files there are, and the first few of them."""
    names = sorted(paths)[:SHOWN]
    if len(paths) > SHOWN:
        names.append("and {} more".format(len(paths) - SHOWN))
    return "{} ({})".format(number_of(len(paths), "file"), ", ".join(names))


def shown(path: str, scheme: Scheme) -> str:
    """Return a path as it is the same at home and in any kernel: below its folder of the scheme."""
    for root, prefix in (
        (scheme.purelib, ""),
        (scheme.platlib, ""),
        (scheme.scripts, "bin/"),
        (scheme.include, "include/"),
        (scheme.data, ""),
    ):
        if path.startswith(root + "/"):
            return prefix + path[len(root) + 1 :]
    return path


def drop(wheel: WheelPlan, paths: Set[str]) -> None:
    """Take files out of a wheel's jobs; they stay in its RECORD."""
    wheel.jobs = [job._replace(files=tuple(file for file in job.files if file.path not in paths)) for job in wheel.jobs]
