"""The gate that every wheel passes before it may enter a pack.

After it, the wheel's digest stands for all that was checked here: the archive is unambiguous, every byte of it is
what RECORD says, RECORD names every file and no other, and no file lands where it must not.
Follows the binary distribution format specification (PEP 427 and its successors).
"""

from __future__ import annotations

import base64
import configparser
import csv
import email.parser
import hashlib
import os
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename
from packaging.version import InvalidVersion, Version

from kpack.errors import IntegrityError, MachineError
from kpack.pack import inflate
from kpack.pack.manifest import SPAN
from kpack.restore.errors import RestoreError
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
    from collections.abc import Iterable, Iterator
    from pathlib import Path

SCHEMES = frozenset({"purelib", "platlib", "headers", "scripts", "data"})
"""The keys below ``.data`` that the specification knows."""

_CUSTOMIZE = frozenset({"sitecustomize", "usercustomize"})
_STRONG = frozenset({"sha256", "sha384", "sha512"})
_UNRECORDED = ("RECORD", "RECORD.jws", "RECORD.p7s")
_PIECE = 1 << 17
_BLOCK = 1 << 16


@dataclass(frozen=True, slots=True)
class Admitted:
    """A wheel that passed: what a pack needs to know of it."""

    name: str
    """Normalised."""
    version: Version
    size: int
    """Bytes of the archive."""
    cuts: tuple[int, ...]
    """Where its spans begin; the last one is the central directory."""
    unpacked: int
    """Bytes of all files after inflating."""
    files: int
    lax: tuple[str, ...]
    """What is wrong with its RECORD and was let in by name."""


class Window:
    """``size`` bytes from ``offset`` of an open file, read by slices as if they were a file of their own.

    Not a mapping: pages of a mapped file count as this process's memory, and a pack has room for gigabytes. Small
    slices are taken out of a block that is kept, since neighbours mostly follow. For one thread.
    """

    def __init__(self, descriptor: int, offset: int, size: int) -> None:
        self.size = size
        self._descriptor = descriptor
        self._offset = offset
        self._block = b""
        self._start = 0
        """Where the block begins."""

    def __getitem__(self, part: slice) -> bytes:
        begin, end, _ = part.indices(self.size)
        if end - begin > _BLOCK >> 1:
            return self._read(begin, end)
        at = begin - self._start
        if at < 0 or end - self._start > len(self._block):
            self._block, self._start, at = self._read(begin, min(begin + _BLOCK, self.size)), begin, 0
        return self._block[at : max(at, end - self._start)]

    def _read(self, begin: int, end: int) -> bytes:
        return os.pread(self._descriptor, end - begin, self._offset + begin)


def admit(path: Path, filename: str | None = None, *, lax_record: bool = False) -> Admitted:
    """Check the wheel at ``path`` in full and return what a pack needs to know of it.

    ``filename`` is its real name when ``path`` is a cache entry. With ``lax_record`` a RECORD that is wrong is
    reported in `Admitted.lax` and not refused; everything else still is.

    Raises:
        IntegrityError: the first thing that is wrong; for RECORD, all of it in one message.
        MachineError: the file cannot be read.

    """
    filename = filename or path.name
    try:
        with path.open("rb") as stream:
            size = stream.seek(0, 2)
            if not size:
                raise IntegrityError("the file is empty", where=filename, next="download it again")
            return admit_window(Window(stream.fileno(), 0, size), filename, lax_record=lax_record)
    except OSError as error:
        raise MachineError(f"cannot read the wheel: {error.strerror}", where=str(path)) from error


def admit_window(data: Window, filename: str, *, lax_record: bool = False) -> Admitted:
    """Like `admit`, for a wheel that is a part of a mapped file.

    Raises:
        IntegrityError: as `admit`.

    """
    try:
        return _admit(data, data.size, filename, lax_record=lax_record)
    except RestoreError as error:
        raise IntegrityError(error.what, where=error.where or filename, next=error.next) from error


def _admit(data: Window, size: int, filename: str, *, lax_record: bool) -> Admitted:
    name, version = _identity(filename)
    start = find_directory(size, lambda count, offset: data[offset : offset + count], filename)
    entries = sorted(read_directory(data[start:size], start, filename), key=lambda entry: entry.offset)
    offsets = _contiguous(data, entries, start, filename)
    files = [(entry, at) for entry, at in zip(entries, offsets, strict=True) if not entry.is_folder]
    info = _dist_info(entries, name, version, filename)
    kept = {
        entry.name: b"".join(_inflated(data, entry, at, filename))
        for entry, at in files
        if entry.name.startswith(f"{info}/") and entry.name.count("/") == 1
    }
    _metadata(kept, info, name, version, filename)
    _landing(entries, info, kept, filename)
    rows, problems = _rows(kept[f"{info}/RECORD"])
    unrecorded = {f"{info}/{item}" for item in _UNRECORDED}
    for entry, at in files:
        row = None if entry.name in unrecorded else rows.get(entry.name)
        algorithm = row.algorithm if row and row.algorithm in _STRONG else "sha256"
        digest = _digest(data, entry, at, algorithm, filename)
        if entry.name not in unrecorded:
            problems += [f"{entry.name} is not listed"] if row is None else _differences(row, digest, entry.size)
    problems += [
        f"{item} is not in the wheel" for item in rows.keys() - {entry.name for entry, _ in files} - unrecorded
    ]
    problems.sort()
    if problems and not lax_record:
        shown = "; ".join(problems[:8]) + (f"; and {len(problems) - 8} more" if len(problems) > 8 else "")
        raise IntegrityError(
            f"its RECORD is wrong: {shown}",
            where=filename,
            next=f'report it to the project, or let it in by name: lax-record = ["{name}"] in kaggle-env.toml',
        )
    return Admitted(
        name=name,
        version=version,
        size=size,
        cuts=cuts(entries, start),
        unpacked=sum(entry.size for entry in entries),
        files=len(files),
        lax=tuple(problems),
    )


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
    except (InvalidWheelFilename, InvalidVersion) as error:
        raise IntegrityError(str(error), where=filename, next="give the wheel the name it was built with") from error
    return name, version


def _contiguous(data: Window, entries: list[Entry], start: int, filename: str) -> list[int]:
    """Return where the data of each entry begins; the local parts must fill the archive without gap."""
    if (entries[0].offset if entries else start) != 0:
        raise IntegrityError("the archive has bytes before its first entry", where=filename)
    found = []
    for entry, following in zip(entries, [*(e.offset for e in entries[1:]), start], strict=True):
        lengths = struct.unpack(
            "<2H", data[entry.offset + LOCAL_HEADER - 4 : entry.offset + LOCAL_HEADER].ljust(4, b"\0")
        )
        header = data[entry.offset : min(entry.offset + LOCAL_HEADER + sum(lengths), start)]
        begin = entry.offset + data_offset(header, entry, filename)
        end = begin + entry.compressed
        if following - end not in descriptor_sizes(entry):
            raise IntegrityError(
                f"{entry.name!r} ends at byte {end}, what follows begins at {following}", where=filename
            )
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
        raise IntegrityError(f"the data descriptor of {entry.name!r} contradicts the directory", where=filename)


def _digest(data: Window, entry: Entry, offset: int, algorithm: str, filename: str) -> bytes:
    """Inflate one entry, check its size and CRC, and return its digest."""
    digest: hashlib._Hash = getattr(hashlib, algorithm)()
    crc = size = 0
    for piece in _inflated(data, entry, offset, filename):
        size += len(piece)
        crc = inflate.crc32(piece, crc)
        digest.update(piece)
    if size != entry.size or crc != entry.crc:
        raise IntegrityError(
            f"{entry.name!r} is damaged: {size} bytes with CRC {crc:08x}, "
            f"the directory says {entry.size} with {entry.crc:08x}",
            where=filename,
            next="download the wheel again",
        )
    return digest.digest()


def _inflated(data: Window, entry: Entry, offset: int, filename: str) -> Iterator[bytes]:
    """Yield the content of an entry in pieces, never more than its declared size plus one piece."""
    end = offset + entry.compressed
    if entry.method != DEFLATED:
        for position in range(offset, end, _PIECE):
            yield data[position : min(position + _PIECE, end)]
        return
    inflater = inflate.decompressobj(-15)
    left = entry.size
    position = offset
    pending = b""
    try:
        while not inflater.eof:
            if not pending:
                pending = data[position : min(position + _PIECE, end)]
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
    except inflate.InflateError as error:
        raise IntegrityError(f"{entry.name!r} cannot be inflated: {error}", where=filename) from error
    if left or not inflater.eof or inflater.unused_data or position != end or pending:
        raise IntegrityError(f"{entry.name!r} does not inflate to the {entry.size} bytes it declares", where=filename)


def _dist_info(entries: list[Entry], name: str, version: Version, filename: str) -> str:
    folders = {entry.name.split("/")[0] for entry in entries if entry.name.split("/")[0].endswith(".dist-info")}
    if len(folders) != 1:
        raise IntegrityError(f"it has {len(folders)} .dist-info folders: {sorted(folders)}", where=filename)
    info = folders.pop()
    stem, _, tail = info.removesuffix(".dist-info").rpartition("-")
    try:
        fits = canonicalize_name(stem) == name and Version(tail) == version
    except InvalidVersion:
        fits = False
    if not fits:
        raise IntegrityError(f"its metadata folder is {info!r}, which is another distribution", where=filename)
    return info


def _metadata(kept: dict[str, bytes], info: str, name: str, version: Version, filename: str) -> None:
    for needed in ("METADATA", "WHEEL", "RECORD"):
        if f"{info}/{needed}" not in kept:
            raise IntegrityError(f"it has no {info}/{needed}", where=filename)
    parser = email.parser.HeaderParser()
    metadata = parser.parsestr(kept[f"{info}/METADATA"].decode("utf-8", "replace"))
    found = (metadata["Name"] or "", metadata["Version"] or "")
    try:
        fits = canonicalize_name(found[0]) == name and Version(found[1]) == version
    except InvalidVersion:
        fits = False
    if not fits:
        raise IntegrityError(f"its METADATA says {found[0]} {found[1]}, its file name {name} {version}", where=filename)
    wheel = parser.parsestr(kept[f"{info}/WHEEL"].decode("utf-8", "replace"))
    if not (wheel["Wheel-Version"] or "").strip().startswith("1."):
        raise IntegrityError(f"Wheel-Version {wheel['Wheel-Version']!r} is not known", where=filename)
    if (wheel["Root-Is-Purelib"] or "").strip().lower() not in ("true", "false"):
        raise IntegrityError(f"Root-Is-Purelib is {wheel['Root-Is-Purelib']!r}", where=filename)


def _landing(entries: list[Entry], info: str, kept: dict[str, bytes], filename: str) -> None:
    """Refuse files that would land where a wheel has no business."""
    for entry in entries:
        parts = entry.name.rstrip("/").split("/")
        if parts[0].endswith(".data"):
            if parts[0] != info.removesuffix(".dist-info") + ".data":
                raise IntegrityError(f"{entry.name!r} is in another distribution's .data folder", where=filename)
            if len(parts) > 1 and parts[1] not in SCHEMES:
                raise IntegrityError(f"{parts[1]!r} is no scheme of .data", where=filename)
            if len(parts) == 2 and not entry.is_folder:
                raise IntegrityError(f"{entry.name!r} is a file where a scheme folder belongs", where=filename)
            if len(parts) > 3 and parts[1] == "scripts":
                raise IntegrityError(f"{entry.name!r}: a script must stand in scripts/ itself", where=filename)
            rest = parts[2:] if len(parts) > 1 and parts[1] in ("purelib", "platlib") else []
        else:
            rest = parts
        if rest and rest[0].partition(".")[0] in _CUSTOMIZE:
            raise IntegrityError(
                f"{entry.name!r} would run at every start of the interpreter and shadow Kaggle's own",
                where=filename,
                next="exclude this distribution",
            )
    _entry_points(kept.get(f"{info}/entry_points.txt"), filename)


def _entry_points(raw: bytes | None, filename: str) -> None:
    if raw is None:
        return
    points = configparser.ConfigParser(delimiters=("=",), interpolation=None, strict=False)
    points.optionxform = str  # type: ignore[assignment,method-assign]
    try:
        points.read_string(raw.decode("utf-8"))
    except (UnicodeDecodeError, configparser.Error) as error:
        raise IntegrityError(f"entry_points.txt cannot be read: {error}", where=filename) from error
    for group in ("console_scripts", "gui_scripts"):
        for script in points[group] if points.has_section(group) else ():
            if "/" in script or "\\" in script or script in (".", "..") or not script.isprintable():
                raise IntegrityError(f"the entry point {script!r} would be written elsewhere", where=filename)


@dataclass(frozen=True, slots=True)
class _Row:
    name: str
    algorithm: str
    digest: str
    size: str


def _rows(raw: bytes) -> tuple[dict[str, _Row], list[str]]:
    """Return the rows of RECORD by name, and what is wrong with its form."""
    found: dict[str, _Row] = {}
    problems = []
    try:
        for row in csv.reader(raw.decode("utf-8").splitlines()):
            if not row:
                continue
            if len(row) != 3:
                problems.append(f"a row has {len(row)} fields: {','.join(row)[:80]}")
                continue
            if row[0] in found:
                problems.append(f"{row[0]} stands twice")
            algorithm, _, digest = row[1].partition("=")
            found[row[0]] = _Row(row[0], algorithm, digest, row[2])
    except (UnicodeDecodeError, csv.Error) as error:
        problems.append(f"it cannot be read: {error}")
    return found, problems


def _differences(row: _Row, digest: bytes, size: int) -> list[str]:
    if row.algorithm not in _STRONG:
        return [f"{row.name} has no digest of sha256 or better"]
    if row.digest.rstrip("=") != base64.urlsafe_b64encode(digest).rstrip(b"=").decode():
        return [f"{row.name} does not have the recorded digest"]
    if row.size and row.size != str(size):
        return [f"{row.name} has {size} bytes, {row.size} are recorded"]
    return []


def pth_files(entries: Iterable[Entry]) -> tuple[str, ...]:
    """Return the ``.pth`` files that a wheel puts where the interpreter looks for them, sorted."""
    found = set()
    for entry in entries:
        parts = entry.name.split("/")
        if parts[0].endswith(".data") and len(parts) == 3 and parts[1] in ("purelib", "platlib"):
            parts = parts[2:]
        if len(parts) == 1 and parts[0].endswith(".pth"):
            found.add(parts[0])
    return tuple(sorted(found))
