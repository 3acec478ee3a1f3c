"""Where each file of a packed wheel goes, read from its verified directory alone."""

from __future__ import annotations

from bisect import bisect_right
from operator import attrgetter
from typing import TYPE_CHECKING, Dict, List, NamedTuple, Optional, Tuple

from . import tags
from .errors import INTEGRITY, MISFIT, RestoreError
from .scripts import EntryPoint, entry_points, wraps
from .versions import normalize_name, same_version
from .wheelzip import DEFLATED, Entry, data_offset, find_directory, read_directory

if TYPE_CHECKING:
    from .inflate import Inflater
    from .manifest import Member, PackedDistribution, Span
    from .pack import Pack
    from .scheme import Scheme

PLAIN, SCRIPT, RECORD, METADATA = range(4)
"""What is special about a file: nothing; its first line may be rewritten; it is kept in memory; it goes to the
staged metadata folder."""

_SMALL = 1 << 18
"""Bytes of a span before the directory that is read along with it: the metadata, which most wheels have last."""

_FORBIDDEN = ("sitecustomize", "usercustomize", ".kpack")
"""Modules that would run at every start of the interpreter and shadow Kaggle's own, and kpack's own state."""


class File(NamedTuple):
    """A file that a wheel brings."""

    entry: Entry
    path: str
    """Absolute, where it is written; metadata in `staging` first."""
    kind: int


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
        self.jobs: List[Job] = []
        self.points: List[EntryPoint] = []


def read_wheel(
    pack: Pack, item: PackedDistribution, tail: Dict[int, bytes], scheme: Scheme, inflater: Inflater
) -> WheelPlan:
    """Return where every file of a packed wheel goes, from what `read_tail` has read.

    Raises RestoreError: code 5 when the wheel is not one that kpack would have packed, 7 when it cannot be read.
    """
    member = pack.members[item.wheel]
    where = item.wheel.rpartition("/")[2]
    held = _Held(pack, member, tail, where)
    entries = held.entries
    info = _info_folder(entries, item, where)
    by_name = {entry.name: entry for entry in entries}
    lib = scheme.purelib if _pure(held.content(by_name, info + "/WHEEL", inflater), where) else scheme.platlib
    plan = WheelPlan(item, member, info, lib)
    if info + "/entry_points.txt" in by_name:
        plan.points = entry_points(held.content(by_name, info + "/entry_points.txt", inflater), where)
    if info + "/RECORD" not in by_name:
        raise _bad("it has no {}/RECORD".format(info), where)
    plan.files = _files(entries, info, lib, scheme, plan.points, item, where)
    plan.jobs = _jobs(member, entries, plan.files, held)
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

    def __init__(self, pack: Pack, member: Member, known: Dict[int, bytes], where: str) -> None:
        self._pack = pack
        self._member = member
        self._where = where
        self.known = known
        base = member.spans[-1].offset
        tail = known[base]

        def pread(count: int, offset: int) -> bytes:
            if offset < base:
                raise _bad("its directory is not in its last span", where)
            return tail[offset - base : offset - base + count]

        at = find_directory(member.size, pread, where)
        if at < base:
            raise _bad("its directory is not in its last span", where)
        self.directory = at
        self.entries = sorted(read_directory(tail[at - base :], at, where), key=attrgetter("offset"))

    def content(self, by_name: Dict[str, Entry], name: str, inflater: Inflater) -> bytes:
        """Return the content of a small metadata file."""
        entry = by_name.get(name)
        if entry is None:
            raise _bad("it has no {}".format(name), self._where)
        spans = self._member.spans
        index = bisect_right([span.offset for span in spans], entry.offset) - 1
        span = spans[index]
        data = self.known.get(span.offset) or self._pack.read(self._member, (span,))
        begin = entry.offset - span.offset
        begin += data_offset(data[begin : begin + 30 + len(entry.raw_name) + 0xFFFF], entry, self._where)
        raw = data[begin : begin + entry.compressed]
        if len(raw) != entry.compressed:
            raise _bad("{!r} lies across spans".format(name), self._where)
        return inflater.whole(raw, entry.size, name) if entry.method == DEFLATED else raw


def _info_folder(entries: List[Entry], item: PackedDistribution, where: str) -> str:
    folders = {entry.name.partition("/")[0] for entry in entries if ".dist-info/" in entry.name}
    folders = {folder for folder in folders if folder.endswith(".dist-info")}
    if len(folders) != 1:
        raise _bad("it has {} .dist-info folders".format(len(folders)), where)
    info = folders.pop()
    name, _, version = info[: -len(".dist-info")].rpartition("-")
    if normalize_name(name) != normalize_name(item.name) or not same_version(version, item.version):
        raise _bad("it holds {}, the manifest says {} {}".format(info, item.name, item.version), where)
    return info


def _pure(raw: bytes, where: str) -> bool:
    fields: Dict[str, str] = {}
    for line in raw.decode("utf-8", "replace").splitlines():
        key, _, value = line.partition(":")
        fields.setdefault(key.strip().lower(), value.strip().lower())
    if fields.get("wheel-version", "").partition(".")[0] != "1":
        raise _bad("its Wheel-Version is {!r}, known is 1".format(fields.get("wheel-version")), where)
    if fields.get("root-is-purelib") not in ("true", "false"):
        raise _bad("its Root-Is-Purelib is {!r}".format(fields.get("root-is-purelib")), where)
    return fields["root-is-purelib"] == "true"


def _files(
    entries: List[Entry],
    info: str,
    lib: str,
    scheme: Scheme,
    points: List[EntryPoint],
    item: PackedDistribution,
    where: str,
) -> List[File]:
    stem = info[: -len("dist-info")]
    data = stem + "data/"
    metadata = info + "/"
    record = metadata + "RECORD"
    root = lib + "/"
    staged = staging(lib) + "/"
    libs = (scheme.purelib, scheme.platlib)
    files = []
    for entry in entries:
        name = entry.name
        if name[-1] == "/":
            continue
        own = name.startswith(stem)
        if own and name.startswith(metadata):
            files.append(File(entry, staged + name, RECORD if name == record else METADATA))
            continue
        if own and name.startswith(data):
            key, _, rest = name[len(data) :].partition("/")
            try:
                folder = scheme.root(key, item.name)
            except KeyError:
                raise _bad("{!r} is in no scheme that wheels have".format(name), where) from None
            if not rest or (key == "scripts" and "/" in rest):
                raise _bad("{!r} stands where no file may stand".format(name), where)
            if key == "scripts" and wraps(rest, points):
                continue
            file = File(entry, folder + "/" + rest, SCRIPT if key == "scripts" else PLAIN)
            top = rest if folder in libs else ""
        else:
            file = File(entry, root + name, PLAIN)
            top = name
        if top.startswith(_FORBIDDEN) and _forbidden(top.partition("/")[0]):
            raise _bad("{!r} would change how the interpreter starts, or kpack's own state".format(name), where)
        files.append(file)
    return files


def _forbidden(top: str) -> bool:
    return any(top == name or top.startswith(name + ".") for name in _FORBIDDEN)


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
            "{} of the wheels cannot run on {}: {}".format(len(unfit), interpreter, ", ".join(unfit[:5])),
            next="lock for this image (base = ... in kaggle-env.toml), build and attach the new pack",
        )


def _bad(what: str, where: str) -> RestoreError:
    return RestoreError(INTEGRITY, what, where=where, next="the pack was not written by kpack: build it again")
