"""Where each file of a packed wheel goes, read from its verified directory alone."""

from __future__ import annotations

from bisect import bisect_right
from operator import attrgetter
from typing import TYPE_CHECKING, Callable, Dict, List, NamedTuple, Optional, Set, Tuple

from . import rules, tags
from .entry_points import EntryPoint, entry_points
from .errors import INTEGRITY, MISFIT, RestoreError
from .scripts import command_of
from .versions import normalize_name
from .wheelzip import DEFLATED, Entry, data_offset, read_directory

if TYPE_CHECKING:
    from .inflate import Inflater
    from .manifest import Member, PackedDistribution, Span
    from .pack import Pack
    from .scheme import Scheme

PLAIN, SCRIPT, RECORD, METADATA = range(4)
"""What is special about a file: nothing; its first line may be rewritten; it is kept in memory; it goes to the
staged metadata folder. The last two are metadata."""

_SMALL = 1 << 18
"""Bytes of a span before the directory that is read along with it: the metadata, which most wheels have last."""


_TURNS = {rules.INFO: 0, rules.LIB: 0, rules.SCRIPTS: 2}
"""When pip writes what comes by a door; the others come in between."""


class File(NamedTuple):
    """A file that a wheel brings."""

    entry: Entry
    path: str
    """Absolute, where it is written; metadata in `staging` first."""
    kind: int


_file = tuple.__new__
"""`File(...)` without the detour by keyword arguments, for tens of thousands of them."""


class Job(NamedTuple):
    """Neighbouring spans of a wheel that are worked through in one go, and the files that lie in them."""

    member: Member
    spans: Tuple[Span, ...]
    files: Tuple[File, ...]
    known: Optional[bytes]
    """The bytes of the spans when the plan has read and verified them already."""

    @property
    def weight(self) -> int:
        """Roughly how long it takes: bytes read and written, and a constant for each file."""
        return sum(span.size for span in self.spans) + sum(file.entry.size + 40000 for file in self.files)


def staging(lib: str) -> str:
    """Return the folder where metadata waits beside ``lib`` until every file of its distribution is there."""
    return lib + "/.kpack/new"


class WheelPlan:
    """What a wheel brings, and where."""

    def __init__(self, item: PackedDistribution, member: Member, info: str, lib: str) -> None:
        self.name = normalize_name(item.name)
        self.version = item.version
        self.lax_record = item.lax_record
        self.member = member
        self.info = info
        """Name of the .dist-info folder."""
        self.lib = lib
        """Absolute folder that the .dist-info folder and the modules go to."""
        self.staged = "{}/{}".format(staging(lib), info)
        """Where the metadata folder waits."""
        self.final = "{}/{}".format(lib, info)
        """Where the metadata folder will be."""
        self.files: List[File] = []
        self.payload: List[File] = []
        """The files that are no metadata: those that are written where they stay."""
        self.folders: Set[str] = set()
        """The folders of `files`."""
        self.jobs: List[Job] = []
        self.points: List[EntryPoint] = []


class Archive(NamedTuple):
    """What the archive of a wheel says of itself, whatever it is installed into."""

    info: str
    """Name of the .dist-info folder."""
    landings: List[rules.Landing]
    pure: bool
    """Its root goes to purelib, else to platlib."""
    points: List[EntryPoint]


def archive_of(entries: List[Entry], where: str, content: Callable[[Entry], bytes]) -> Archive:
    """Return what an archive says, by its entries in the order of their offsets; ``content`` reads small ones.

    Raises RestoreError (code 5) for one that the rules do not allow.
    """
    shape = rules.shape(entries, where)
    landings = rules.landing(entries, shape, where)
    info = shape.info
    told = {entry.name: entry for entry, door, _ in landings if door == rules.INFO}
    points = told.get(info + "/entry_points.txt")
    return Archive(
        info,
        landings,
        rules.is_pure(content(told[info + "/WHEEL"]), where),
        entry_points(content(points), where) if points is not None else [],
    )


def read_wheel(
    pack: Pack, item: PackedDistribution, tail: Dict[int, bytes], scheme: Scheme, inflater: Inflater
) -> WheelPlan:
    """Return where every file of a packed wheel goes, from what `read_tail` has read.

    Raises RestoreError: code 5 when the wheel is not one that kpack would have packed, 7 when it cannot be read.
    """
    member = pack.members[item.wheel]
    where = item.wheel.rpartition("/")[2]
    held = _Held(pack, member, tail, where, lax=item.lax_archive)

    def content(entry: Entry) -> bytes:
        return held.content(entry, inflater)

    plan = plan_wheel(item, member, archive_of(held.entries, where, content), scheme)
    plan.jobs = _jobs(member, held.entries, plan.files, held)
    return plan


def plan_wheel(item: PackedDistribution, member: Member, archive: Archive, scheme: Scheme) -> WheelPlan:
    """Return where every file of a wheel goes, without the jobs.

    Raises RestoreError (code 5) when the manifest calls it another distribution than its file name does.
    """
    where = item.wheel.rpartition("/")[2]
    # `rules.shape` holds the metadata folder against the file's name; the manifest's version is that of METADATA.
    named = tags.parse(where)
    if normalize_name(named.name) != normalize_name(item.name) or not rules.fits(item.version, named.version):
        raise _bad("the manifest says it is {:.100} {:.100}".format(item.name, item.version), where)
    plan = WheelPlan(item, member, archive.info, scheme.purelib if archive.pure else scheme.platlib)
    plan.points = archive.points
    plan.files = _files(archive.landings, plan, scheme, item.name)
    plan.payload = [file for file in plan.files if file.kind < RECORD]
    plan.folders = {file.path.rpartition("/")[0] for file in plan.files}
    return plan


def read_tail(pack: Pack, item: PackedDistribution) -> Dict[int, bytes]:
    """Return the last spans of a packed wheel by offset, verified: its directory, and mostly its metadata.

    Raises RestoreError: code 5 when they are damaged, 7 when they cannot be read.
    """
    member = pack.members[item.wheel]
    spans = member.spans
    if not spans:
        raise _bad("it is empty", item.wheel.rpartition("/")[2])
    take = 2 if len(spans) > 1 and spans[-2].size <= _SMALL else 1
    data = pack.read(member, spans[-take:])
    first = spans[-take].offset
    return {span.offset: data[span.offset - first : span.offset - first + span.size] for span in spans[-take:]}


class _Held:
    """The parts of a wheel that planning reads: the directory, and the spans that hold its metadata."""

    def __init__(self, pack: Pack, member: Member, known: Dict[int, bytes], where: str, *, lax: bool) -> None:
        self._pack = pack
        self._member = member
        self._where = where
        self.known = known
        self.directory = member.spans[-1].offset
        tail = known[self.directory]
        odd: Optional[List[str]] = [] if lax else None
        self.entries = sorted(read_directory(tail, self.directory, where, odd), key=attrgetter("offset"))

    def content(self, entry: Entry, inflater: Inflater) -> bytes:
        """Return the content of a small metadata file."""
        spans = self._member.spans
        index = bisect_right([span.offset for span in spans], entry.offset) - 1
        span = spans[index]
        data = self.known.get(span.offset) or self._pack.read(self._member, (span,))
        begin = entry.offset - span.offset
        begin += data_offset(data, entry, self._where, begin)
        raw = data[begin : begin + entry.compressed]
        if len(raw) != entry.compressed:
            raise _bad("{!r} lies across spans".format(entry.name), self._where)
        return inflater.whole(raw, entry.size, entry.name) if entry.method == DEFLATED else raw


def _files(landings: List[rules.Landing], plan: WheelPlan, scheme: Scheme, distribution: str) -> List[File]:
    """Return the files to write: absolute paths instead of doors, without scripts that an entry point makes anew."""
    record = plan.info + "/RECORD"
    staged = staging(plan.lib) + "/"
    commands = {point.name for point in plan.points}
    folders = {
        rules.INFO: staged,
        rules.PURELIB: scheme.root("purelib", distribution) + "/",
        rules.PLATLIB: scheme.root("platlib", distribution) + "/",
        rules.HEADERS: scheme.root("headers", distribution) + "/",
        rules.SCRIPTS: scheme.root("scripts", distribution) + "/",
        rules.DATA: scheme.root("data", distribution) + "/",
    }
    lib = plan.lib + "/"
    files = []
    by_data = False
    for entry, door, rest in landings:
        if door == rules.LIB:
            files.append(_file(File, (entry, lib + rest, PLAIN)))
            continue
        kind = METADATA if door == rules.INFO else SCRIPT if door == rules.SCRIPTS else PLAIN
        if kind == SCRIPT and command_of(rest) in commands:
            continue
        by_data = by_data or kind != METADATA
        files.append(File(entry, folders[door] + rest, RECORD if rest == record and kind == METADATA else kind))
    return _once(files, landings) if by_data else files


def _once(files: List[File], landings: List[rules.Landing]) -> List[File]:
    """Let each path be written once where several doors lead to it: the file stays that pip writes last.

    It begins with the root of the archive and ends with scripts, each in the order of the archive.
    """
    turns = {entry.name: _TURNS.get(door, 1) for entry, door, _ in landings}
    last: Dict[str, File] = {}
    for file in sorted(files, key=lambda file: turns[file.entry.name]):
        last[file.path] = file
    return [file for file in files if last[file.path] is file]


def _jobs(member: Member, entries: List[Entry], files: List[File], held: _Held) -> List[Job]:
    """Group the spans before the directory so that every entry lies within one group."""
    starts = [entry.offset for entry in entries]
    jobs: List[Job] = []
    group: List[Span] = []
    position = 0
    spans = [span for span in member.spans if span.offset < held.directory]
    for index, span in enumerate(spans):
        group.append(span)
        end = span.offset + span.size
        following = bisect_right(starts, end - 1)
        if index + 1 < len(spans) and not (following < len(starts) and starts[following] == end):
            continue
        first = position
        while position < len(files) and files[position].entry.offset < end:
            position += 1
        known = held.known.get(group[0].offset) if len(group) == 1 else None
        jobs.append(Job(member, tuple(group), tuple(files[first:position]), known))
        group = []
    return jobs


def refuse_unfit(items: List[PackedDistribution], interpreter: tags.Interpreter) -> None:
    """Hold the wheels' tags against the interpreter.

    Raises RestoreError (code 6) that names the wheels that cannot run, 5 for a name that is no wheel's.
    """
    unfit = []
    for item in items:
        filename = item.wheel.rpartition("/")[2]
        try:
            wheel = tags.parse(filename)
        except ValueError as error:
            raise _bad(str(error), filename) from error
        if not tags.supports(interpreter, wheel):
            unfit.append(filename)
    if unfit:
        raise RestoreError(
            MISFIT,
            "{} of the wheels cannot run on {}".format(len(unfit), interpreter),
            items=unfit,
            next="lock for this image (base = ... in kaggle-env.toml), build and attach the new pack",
        )


def _bad(what: str, where: str) -> RestoreError:
    return RestoreError(INTEGRITY, what, where=where, next="the pack was not written by kpack: build it again")
