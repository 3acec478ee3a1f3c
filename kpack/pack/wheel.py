"""The gate that every wheel passes before it may enter a pack.

It is the rules of `kpack.restore.rules`, which the planner in the kernel asks too, and every byte against RECORD.
After it, the wheel's digest stands for all that was checked here: the archive is unambiguous, every byte of it is
what RECORD says, RECORD names every file and no other, and no file lands where it must not.
"""

from __future__ import annotations

import base64
import hashlib
import struct
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from packaging.utils import parse_wheel_filename
from packaging.version import Version
from zlib_ng import zlib_ng as zlib  # zlib's own verdicts (tests/pack/test_inflate.py), in half the time

from kpack.errors import IntegrityError, MachineError
from kpack.files import open_regular
from kpack.native.elf import MAGIC, ElfReader, SharedObject, may_be_elf
from kpack.pack.manifest import SPAN
from kpack.pack.window import Window
from kpack.restore import record, rules
from kpack.restore.entry_points import entry_points
from kpack.restore.errors import RestoreError
from kpack.restore.headers import headers
from kpack.restore.wheels import Archive
from kpack.restore.wheelzip import (
    DEFLATED,
    LOCAL_HEADER,
    Entry,
    data_offset,
    descriptor_sizes,
    find_directory,
    read_directory,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

_STRONG = frozenset({"sha256", "sha384", "sha512"})
_UNRECORDED = ("RECORD", "RECORD.jws", "RECORD.p7s")
_READ = 1 << 20
"""Bytes of an archive that are read at a time."""
_PIECE = 1 << 22
"""Bytes that are inflated to at a time. After each piece a thread waits for the interpreter's lock."""


@dataclass(frozen=True, slots=True)
class Admitted:
    """A wheel that passed: what a pack needs to know of it."""

    name: str
    """Normalised."""
    version: Version
    """As METADATA has it, which is what an installed distribution says; the file name may have a local part more."""
    size: int
    """Bytes of the archive."""
    cuts: tuple[int, ...]
    """Where its spans begin; the last one is the central directory."""
    unpacked: int
    """Bytes of all files after inflating."""
    files: int
    lax: tuple[str, ...] = ()
    """What is wrong with its RECORD and was let in by name."""
    odd: tuple[str, ...] = ()
    """What is odd about its archive and was let in by name."""
    notes: tuple[str, ...] = ()
    """What is odd and needs no permission."""
    objects: tuple[SharedObject, ...] = ()
    """Its shared objects and programs, in the order of the archive."""
    requires_dist: tuple[str, ...] = ()
    """Requires-Dist of its METADATA, markers kept."""
    requires_python: str = ""
    archive: Archive | None = field(default=None, compare=False, repr=False)
    """What the planner goes by; None in a verdict that is only remembered."""

    @property
    def remarks(self) -> tuple[str, ...]:
        """What a user should know of it, a sentence each."""
        said = [*self.notes]
        if self.lax:
            more = f", and {len(self.lax) - 1} more" if len(self.lax) > 1 else ""
            said.append(f"its RECORD is wrong and was let in by lax-record: {self.lax[0]}{more}")
        if self.odd:
            said.append(f"its archive was let in by lax-archive: it has {', '.join(self.odd)}")
        return tuple(said)


class WrongRecord(IntegrityError):
    """A wheel whose RECORD is wrong in a way that pip lets pass."""


@dataclass(frozen=True, slots=True)
class Lax:
    """What is let in by name."""

    record: bool = False
    """A RECORD that is wrong in a way that pip lets pass."""
    archive: bool = False
    """An archive that is odd in a way that misleads no reader."""


STRICT = Lax()


def admit(path: Path, filename: str | None = None, lax: Lax = STRICT) -> Admitted:
    """Check the wheel at ``path`` in full and return what a pack needs to know of it.

    ``filename`` is its real name when ``path`` is a cache entry. What ``lax`` lets in is reported in `Admitted` and
    not refused; everything else still is.

    Raises:
        WrongRecord: its RECORD is wrong; all of it in one message.
        IntegrityError: the first other thing that is wrong.
        MachineError: the file cannot be read.

    """
    filename = filename or path.name
    try:
        with open_regular(path) as stream:
            size = stream.seek(0, 2)
            if not size:
                raise IntegrityError("the file is empty", where=filename, next="download it again")
            return admit_window(Window(stream.fileno(), 0, size), filename, lax)
    except OSError as error:
        raise MachineError(f"cannot read the wheel: {error.strerror}", where=str(path)) from error


def admit_window(data: Window, filename: str, lax: Lax = STRICT) -> Admitted:
    """Like `admit`, for a wheel that is a part of a file.

    Raises:
        IntegrityError: as `admit`.

    """
    try:
        return _admit(data, filename, lax)
    except RestoreError as error:
        raise IntegrityError(error.what, where=error.where or filename, next=error.next) from error


def _admit(data: Window, filename: str, lax: Lax) -> Admitted:
    name, named = _identity(filename)
    odd: list[str] | None = [] if lax.archive else None
    start = find_directory(data.size, lambda count, offset: data[offset : offset + count], filename, odd)
    tail = data[start : data.size]
    entries = sorted(read_directory(tail, start, filename, odd), key=lambda entry: entry.offset)
    offsets = _contiguous(data, entries, start, filename)
    files = [(entry, at) for entry, at in zip(entries, offsets, strict=True) if not entry.is_folder]
    shape = rules.shape(entries, filename)
    landings = rules.landing(entries, shape, filename)
    told = {f"{shape.info}/{item}" for item in rules.LIMITS}
    kept = {
        entry.name.rpartition("/")[2]: b"".join(inflated(data, entry, at, filename))
        for entry, at in files
        if entry.name in told
    }
    head = _head(kept["METADATA"], filename)
    version = _version(head, name, named, filename)
    pure = rules.is_pure(kept["WHEEL"], filename)
    points = entry_points(kept["entry_points.txt"], filename) if "entry_points.txt" in kept else []
    reading = record.read(kept["RECORD"], filename)
    unrecorded = {f"{shape.info}/{item}" for item in _UNRECORDED}
    objects: list[SharedObject] = []
    folders = _folders(reading.rows, entries)
    rows = {path: row for path, row in reading.rows.items() if path not in folders}
    faults = [*reading.faults, *_against(rows, unrecorded, data, files, filename, objects)]
    if faults and not lax.record:
        shown = "; ".join(faults[:8]) + (f"; and {len(faults) - 8} more" if len(faults) > 8 else "")
        raise WrongRecord(
            f"its RECORD is wrong: {shown}",
            where=filename,
            next=f'report it to the project, or let it in by name: lax-record = ["{name}"] in kaggle-env.toml',
        )
    return Admitted(
        name=name,
        version=version,
        size=data.size,
        cuts=cuts(entries, start),
        unpacked=sum(entry.size for entry in entries),
        files=len(files),
        lax=tuple(faults),
        odd=tuple(odd or ()),
        notes=(*(f"in its RECORD {note}, in equal rows" for note in reading.notes), *_listed(folders)),
        objects=tuple(objects),
        requires_dist=tuple(" ".join(line.split()) for line in head.get("requires-dist", [])),
        requires_python=" ".join(head.get("requires-python", [""])[0].split()),
        archive=Archive(shape.info, landings, pure, points),
    )


def _against(
    rows: Mapping[str, record.RecordEntry],
    unrecorded: set[str],
    data: Window,
    files: list[tuple[Entry, int]],
    filename: str,
    objects: list[SharedObject],
) -> list[str]:
    """Hold every byte of every file against RECORD, in both directions; return what differs, sorted.

    What is native code is added to ``objects`` on the way: no file is inflated twice.
    """
    faults = []
    for entry, at in files:
        row = None if entry.name in unrecorded else rows.get(entry.name)
        algorithm = row.digest.partition("=")[0] if row else ""
        digest, native = _inspected(data, entry, at, algorithm if algorithm in _STRONG else "sha256", filename)
        if native is not None:
            objects.append(native)
        if entry.name not in unrecorded:
            faults += [f"{entry.name} is not listed"] if row is None else _differences(row, digest, entry.size)
    faults += [f"{item} is not in the wheel" for item in rows.keys() - {entry.name for entry, _ in files} - unrecorded]
    return sorted(faults)


def _folders(rows: Mapping[str, record.RecordEntry], entries: list[Entry]) -> list[str]:
    """Return the folders of a wheel that its RECORD lists as empty files, as ``wheel tags`` did up to 0.41.1."""
    told = [path for path, (_, digest, size) in rows.items() if path.endswith("/") and not size.strip("0")]
    found = [path for path in told if rows[path].digest in ("", record.digest(b""))] if told else []
    return [path for path in found if any(entry.name.startswith(path) for entry in entries)]


def _listed(folders: list[str]) -> list[str]:
    more = f" and {len(folders) - 1} more" if len(folders) > 1 else ""
    return [f"in its RECORD folders stand like files: {folders[0]}{more}"] if folders else []


def cuts(entries: list[Entry], directory: int) -> tuple[int, ...]:
    """Return where the spans of a wheel begin.

    Spans end at entry boundaries and aim at `SPAN` bytes; an entry that is larger is cut every `SPAN` bytes and
    shares none of its spans with others. The last span runs from the central directory to the end. Metadata that
    stands right before it begins a span of its own, so that a restore can plan with both and read nothing else.
    """
    metadata = directory
    for entry in reversed(entries):
        if not entry.name.partition("/")[0].endswith(".dist-info"):
            break
        metadata = entry.offset
    found = [0] if entries else []
    for index, entry in enumerate(entries):
        end = entries[index + 1].offset if index + 1 < len(entries) else directory
        if entry.offset > found[-1] and (end - found[-1] > SPAN or entry.offset == metadata):
            found.append(entry.offset)
        if end - found[-1] > SPAN:
            found.extend(range(found[-1] + SPAN, end, SPAN))
            if end != directory:
                found.append(end)
    return (*found, directory)


def _identity(filename: str) -> tuple[str, Version]:
    try:
        name, version, _, _ = parse_wheel_filename(filename)
    except ValueError as error:
        raise IntegrityError(str(error), where=filename, next="give the wheel the name it was built with") from error
    return name, version


def _damaged(what: str, filename: str) -> IntegrityError:
    return IntegrityError(
        what,
        where=filename,
        next="download it again; if that changes nothing, it is made to mislead: take another version or file of it",
    )


def _contiguous(data: Window, entries: list[Entry], start: int, filename: str) -> list[int]:
    """Return where the data of each entry begins; the local parts must fill the archive without gap."""
    if (entries[0].offset if entries else start) != 0:
        raise _damaged("the archive has bytes before its first entry", filename)
    found = []
    for entry, following in zip(entries, [*(e.offset for e in entries), start][1:], strict=True):
        lengths = struct.unpack(
            "<2H", data[entry.offset + LOCAL_HEADER - 4 : entry.offset + LOCAL_HEADER].ljust(4, b"\0")
        )
        header = data[entry.offset : min(entry.offset + LOCAL_HEADER + sum(lengths), start)]
        begin = entry.offset + data_offset(header, entry, filename)
        end = begin + entry.compressed
        if following - end not in descriptor_sizes(entry):
            raise _damaged(f"{entry.name!r} ends at byte {end}, what follows begins at {following}", filename)
        _descriptor(data[end:following], entry, filename)
        found.append(begin)
    return found


def _descriptor(raw: bytes, entry: Entry, filename: str) -> None:
    if not raw:
        return
    if len(raw) in (16, 24):
        raw = raw[4:] if raw.startswith(b"PK\7\x08") else b""
    found = struct.unpack("<LLL" if len(raw) == 12 else "<LQQ", raw) if len(raw) in (12, 20) else ()
    if found != (entry.crc, entry.compressed, entry.size):
        raise _damaged(f"the data descriptor of {entry.name!r} contradicts the directory", filename)


def _inspected(
    data: Window, entry: Entry, offset: int, algorithm: str, filename: str
) -> tuple[bytes, SharedObject | None]:
    """Inflate one entry, check its size and CRC, and return its digest, and what it is as native code."""
    digest: hashlib._Hash = getattr(hashlib, algorithm)()
    reader: ElfReader | None = None
    crc = size = 0
    for piece in inflated(data, entry, offset, filename):
        if not size and may_be_elf(piece[: len(MAGIC)]):
            again = partial(inflated, data, entry, offset, filename)
            reader = ElfReader(entry.name, executable=entry.executable, again=again)
        size += len(piece)
        crc = zlib.crc32(piece, crc)
        digest.update(piece)
        if reader is not None:
            reader.feed(piece)
    if size != entry.size or crc != entry.crc:
        raise IntegrityError(
            f"{entry.name!r} is damaged: {size} bytes with CRC {crc:08x}, "
            f"the directory says {entry.size} with {entry.crc:08x}",
            where=filename,
            next="download the wheel again",
        )
    return digest.digest(), reader.finish() if reader is not None else None


def inflated(data: Window, entry: Entry, offset: int, filename: str) -> Iterator[bytes]:
    """Yield the content of an entry in pieces, never more than its declared size plus one piece."""
    end = offset + entry.compressed
    if entry.method != DEFLATED:
        for position in range(offset, end, _READ):
            yield data[position : min(position + _READ, end)]
        return
    inflater = zlib.decompressobj(-15)
    left = entry.size
    position = offset
    pending = b""
    try:
        while not inflater.eof:
            if not pending:
                pending = data[position : min(position + _READ, end)]
                position += len(pending)
            # Even without more input: an inflater may hold back output that found no room before.
            piece = inflater.decompress(pending, _PIECE)
            if not piece and not pending:
                break
            pending = inflater.unconsumed_tail
            left -= len(piece)
            if left < 0:
                break
            yield piece
    except zlib.error as error:  # type: ignore[misc] # its stub takes the class for an instance
        raise _damaged(f"{entry.name!r} cannot be inflated: {error}", filename) from error
    if left or not inflater.eof or inflater.unused_data or position != end or pending:
        raise _damaged(f"{entry.name!r} does not inflate to the {entry.size} bytes it declares", filename)


def _head(raw: bytes, filename: str) -> dict[str, list[str]]:
    """Return the fields of METADATA, all of which must be text: where one is not, nobody can list what is installed."""
    try:
        return headers(raw.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise IntegrityError(
            f"its METADATA is not UTF-8, so that neither pip nor importlib.metadata can read it: {error}",
            where=filename,
            next="exclude this distribution, or take another version or file of it",
        ) from error


def _version(fields: dict[str, list[str]], name: str, named: Version, filename: str) -> Version:
    """Return the version that METADATA gives, which the file name may follow by a local part."""
    found = rules.identity(fields)
    if found is None or found[0] != name or not rules.fits(found[1], str(named)):
        raise IntegrityError(
            f"its METADATA says {rules.told(fields)}, its file name {name} {named}",
            where=filename,
            next="give the file its own name back, or exclude this distribution",
        )
    return Version(found[1])


def _differences(row: record.RecordEntry, digest: bytes, size: int) -> list[str]:
    algorithm, _, recorded = row.digest.partition("=")
    if algorithm not in _STRONG:
        return [f"{row.path} has no digest of sha256 or better"]
    if recorded.rstrip("=") != base64.urlsafe_b64encode(digest).rstrip(b"=").decode():
        return [f"{row.path} does not have the recorded digest"]
    if row.size and row.size != str(size):
        return [f"{row.path} has {size} bytes, {row.size:.40} are recorded"]
    return []
