"""A strict reader of a wheel's central directory.

It follows PKWARE's APPNOTE as far as wheels need it and refuses the rest: parsers that disagree about an archive
are how a file that nobody checked gets installed.
"""

from __future__ import annotations

import binascii
import re
import stat
import struct
from typing import Callable, Iterator, List, NamedTuple, Optional, Set, Tuple, Union

from .errors import INTEGRITY, RestoreError

STORED = 0
DEFLATED = 8

_EOCD = struct.Struct("<4s4H2LH")
_EOCD64 = struct.Struct("<4sQ2H2L4Q")
_LOCATOR = struct.Struct("<4sLQL")
_CENTRAL = struct.Struct("<4s4x2H4x3L4H2x2L")
_LOCAL = struct.Struct("<4s2B4HL2L2H")
_CENTRAL_SIZE = _CENTRAL.size
_ALLOWED_FLAGS = 0x0002 | 0x0004 | 0x0008 | 0x0800  # deflate level, data descriptor, UTF-8
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_PLAIN = bytes(char for char in range(0x20, 0x7F) if char not in b"\\:")
"""Characters that a plain path may have anywhere."""
_SUSPECT = (b"\n\n", b"\n/", b"\n.", b"//", b"/.")
"""What stands in lines of paths when one of them may not be in normal form."""
_TYPE = 0o170000
_MAX32 = 0xFFFFFFFF
_MAX16 = 0xFFFF
_TAIL = 1 << 16
"""Bytes after the directory's end record that some readers look through for it: the longest comment."""

NAME_LIMIT = 255
"""Bytes of a file's name that Linux takes."""
PATH_LIMIT = 1024
"""Bytes of a file's path within a wheel; the folder that it lands in comes before it, and Linux takes 4,096."""
DEPTH_LIMIT = 100
"""Folders that a path within a wheel may go through."""
_SHORT = 2 * DEPTH_LIMIT - 2
"""Bytes of a name that breaks none of these limits, whatever it is; a character has up to four."""
ENTRY_LIMIT = 500_000
"""Entries of a wheel."""
DIRECTORY_LIMIT = 128 << 20
"""Bytes of a wheel's central directory, which is read as a whole."""

_FIELD = 4
"""Bytes of an extra field before its content."""

LOCAL_HEADER = _LOCAL.size
"""Bytes of a local header before its name."""


class Entry(NamedTuple):
    """One entry of the central directory; sizes and offsets in bytes."""

    name: str
    """Decoded; folders end in ``/``."""
    raw_name: bytes
    method: int
    """`STORED` or `DEFLATED`."""
    flags: int
    crc: int
    compressed: int
    size: int
    offset: int
    """Of the local header from the start of the archive."""
    mode: int
    """Permission bits and file type as st_mode, wherever the archive was made; 0 when it has none."""

    @property
    def is_folder(self) -> bool:
        """Tell whether the entry is a folder."""
        return self.name.endswith("/")

    @property
    def executable(self) -> bool:
        """Tell whether any executable bit of a regular file is set: what pip goes by."""
        mode = self.mode
        return mode & 0o111 != 0 and mode & _TYPE == stat.S_IFREG


_entry = tuple.__new__
"""`Entry(...)` without the detour by keyword arguments, for tens of thousands of them."""


def _bad(what: str, where: str) -> RestoreError:
    return RestoreError(INTEGRITY, what, where=where, next="the wheel is damaged or made to mislead: do not use it")


def find_directory(
    size: int, pread: Callable[[int, int], bytes], where: str = "", odd: Optional[List[str]] = None
) -> int:
    """Return the offset of the central directory of an archive of `size` bytes.

    `pread(count, offset)` reads the archive; `odd` is as in `read_directory`. Raises RestoreError (code 5) unless the
    archive ends in exactly one end record (with its zip64 partner when needed), on one disk.
    """
    if size < _EOCD.size:
        raise _bad("{} bytes are too few for a wheel".format(size), where)
    start = max(0, size - _EOCD.size - _LOCATOR.size - _EOCD64.size)
    tail = pread(size - start, start)
    if tail[-_EOCD.size : -_EOCD.size + 4] != b"PK\5\6" or tail[-2:] != b"\0\0":
        start = max(0, start - _TAIL)
        tail = pread(size - start, start)
    return _end_record(tail, start, size, where, odd)[0]


def _record_offset(tail: bytes, where: str, odd: Optional[List[str]]) -> int:
    """Return where the end record begins in the end of an archive.

    Usually it is the end. A comment, or NUL bytes, may stand behind it where every reader still finds this one.
    """
    at = len(tail) - _EOCD.size
    if tail[at : at + 4] == b"PK\5\6" and tail[-2:] == b"\0\0":
        return at
    at = tail.rfind(b"PK\5\6", max(0, len(tail) - _EOCD.size - _TAIL))
    if at < 0 or at + _EOCD.size > len(tail):
        raise _bad("it is cut short or no zip archive: it has no end record", where)
    length = int.from_bytes(tail[at + _EOCD.size - 2 : at + _EOCD.size], "little")
    behind = tail[at + _EOCD.size :]
    if len(behind) == length:
        what = "an archive comment ({} bytes)".format(length)
    elif not length and not behind.strip(b"\0"):
        what = "{} NUL bytes after its end".format(len(behind))
    else:
        raise _bad("it has {} bytes after its end, its comment is of {}".format(len(behind), length), where)
    if tail.count(b"PK\5\6", max(0, at - _EOCD.size - _TAIL)) > 1 or b"PK\6\6" in behind or b"PK\6\7" in behind:
        raise _bad("it has {} and two end records: readers differ about which one counts".format(what), where)
    _allow(what, where, odd)
    return at


def _allow(what: str, where: str, odd: Optional[List[str]]) -> None:
    """Let pass what is odd and misleads nobody, where such things are let in."""
    if odd is None:
        raise RestoreError(
            INTEGRITY,
            "it has " + what,
            where=where,
            next="that misleads nobody: name the distribution in lax-archive of kaggle-env.toml to let it in",
        )
    if what not in odd:
        odd.append(what)


def _end_record(tail: bytes, start: int, size: int, where: str, odd: Optional[List[str]]) -> Tuple[int, int, int]:
    """Return (directory offset, directory size, entries) from the end of the archive."""
    if len(tail) < _EOCD.size or start + len(tail) != size:
        raise _bad("the archive is truncated", where)
    at = _record_offset(tail, where, odd)
    _, disk, first_disk, here, total, length, offset, _ = _EOCD.unpack_from(tail, at)
    end = start + at
    if at >= _LOCATOR.size and tail[at - _LOCATOR.size : at - _LOCATOR.size + 4] == b"PK\6\7":
        _, disk64, at64, disks = _LOCATOR.unpack_from(tail, at - _LOCATOR.size)
        if disk64 or disks != 1 or at64 != end - _LOCATOR.size - _EOCD64.size or at64 < start:
            raise _bad("the zip64 end record is not where it must be", where)
        record = _EOCD64.unpack_from(tail, at64 - start)
        magic, length64, _, _, disk64, first64, here64, total64, size64, offset64 = record
        if magic != b"PK\6\6" or length64 != _EOCD64.size - 12 or disk64 or first64:
            raise _bad("the zip64 end record is malformed", where)
        for narrow, wide, limit in (
            (here, here64, _MAX16),
            (total, total64, _MAX16),
            (length, size64, _MAX32),
            (offset, offset64, _MAX32),
        ):
            if narrow not in (wide, limit):
                raise _bad("the two end records of the archive disagree", where)
        here, total, length, offset, end = here64, total64, size64, offset64, at64
    if disk or first_disk or here != total:
        raise _bad("the archive is spread over several disks", where)
    if offset + length != end:
        raise _bad("the archive has bytes before or after what its directory describes", where)
    if total > ENTRY_LIMIT or length > DIRECTORY_LIMIT:
        raise _bad(
            "it has {} entries, their directory {} bytes; {} and {} are allowed".format(
                total, length, ENTRY_LIMIT, DIRECTORY_LIMIT
            ),
            where,
        )
    return offset, length, total


def read_directory(tail: bytes, start: int, where: str = "", odd: Optional[List[str]] = None) -> Tuple[Entry, ...]:
    """Return the entries of an archive, in the order of the directory.

    `tail` is everything from the central directory, which begins at offset `start`, to the end of the archive. What
    is odd about the archive and misleads no reader (a comment, NUL bytes at the end, a backslash in a name) is appended
    to `odd`; without such a list it is refused. Raises RestoreError (code 5) for names that are not plain relative
    paths, too long or there twice, links, devices, encryption, methods other than stored and deflated, fields that
    contradict each other.
    """
    offset, length, total = _end_record(tail, start, start + len(tail), where, odd)
    if offset != start:
        raise _bad("the directory begins at byte {}, not at {}".format(offset, start), where)
    if total * _CENTRAL.size > length:
        raise _bad("the directory is too short for {} entries".format(total), where)
    entries = tuple(_central(tail, total, length, start, where, odd))
    names = [entry.name for entry in entries]
    _check_names(names, where, odd)
    _no_clashes(names, where)
    return entries


def _central(tail: bytes, total: int, length: int, start: int, where: str, odd: Optional[List[str]]) -> Iterator[Entry]:
    """Yield the entries of a directory of ``length`` bytes."""
    unpack = _CENTRAL.unpack_from
    position = 0
    for _ in range(total):
        if position + _CENTRAL_SIZE > length:
            raise _bad("the directory ends in the middle of an entry", where)
        (magic, flags, method, crc, compressed, size, name_length, extra_length, comment_length, disk, external,
         offset) = unpack(tail, position)  # fmt: skip
        after = position + _CENTRAL_SIZE
        end = after + name_length + extra_length + comment_length
        if magic != b"PK\1\2" or end > length:
            raise _bad("the directory is malformed at byte {}".format(start + position), where)
        raw_name = tail[after : after + name_length]
        name = raw_name.decode("ascii") if raw_name.isascii() else _decoded(raw_name, flags, where, odd)
        if extra_length or size == _MAX32 or compressed == _MAX32 or offset == _MAX32:
            extra = tail[after + name_length : after + name_length + extra_length]
            size, compressed, offset = _zip64(extra, size, compressed, offset, where, name)
        mode = external >> 16
        folder = name[-1:] == "/"
        # A name that ends with a slash is a folder for every reader; some writers give all entries the mode of a file.
        if mode & _TYPE not in (0, stat.S_IFREG, stat.S_IFDIR if folder else stat.S_IFREG):
            raise _bad("{!r} is a link, a device or a folder in disguise".format(name), where)
        if flags & ~_ALLOWED_FLAGS or method not in (STORED, DEFLATED) or disk:
            raise _bad("{!r} uses a feature of zip that wheels have no need of".format(name), where)
        if (method == STORED and size != compressed) or (folder and size):
            raise _bad("{!r} has sizes that contradict each other".format(name), where)
        if offset + LOCAL_HEADER + name_length + compressed > start:
            raise _bad("{!r} reaches beyond the archive's data".format(name), where)
        position = end
        yield _entry(Entry, (name, raw_name, method, flags, crc, compressed, size, offset, mode))
    if position != length:
        raise _bad("the directory has {} bytes too many".format(length - position), where)


def _decoded(raw: bytes, flags: int, where: str, odd: Optional[List[str]]) -> str:
    """Return a name that is not ASCII: in UTF-8 with its flag, else in code page 437 (APPNOTE, appendix D)."""
    if flags & 0x0800:
        try:
            return raw.decode("utf-8")
        except UnicodeDecodeError as error:
            raise _bad("the entry name {!r:.300} is not in the encoding it claims".format(raw), where) from error
    name = raw.decode("cp437")
    try:
        said = raw.decode("utf-8")
    except UnicodeDecodeError:
        _allow("the name {!r:.300} in code page 437".format(name), where, odd)
        return name
    raise RestoreError(
        INTEGRITY,
        "the entry name {!r:.300} is in UTF-8 without saying so; pip takes it for {!r:.300}".format(said, name),
        where=where,
        next="ask its project for a wheel that sets the flag, or exclude this distribution",
    )


def _check_names(names: List[str], where: str, odd: Optional[List[str]]) -> None:
    # Most archives have plain names only, and that is seen of all of them at once, a name a line.
    text = "\n{}\n".format("\n".join(names)).encode("utf-8")
    plain = len(text.translate(None, _PLAIN)) == len(names) + 1 and not any(part in text for part in _SUSPECT)
    for name in () if plain else names:
        if _CONTROL.search(name) or name[1:2] == ":" or not _normal(name.replace("\\", "/")):
            raise _bad("the entry name {!r:.300} is not a plain relative path".format(name), where)
        if "\\" in name:  # as pip and uv write it on Linux; an import looks for a folder there
            _allow(
                "the name {!r:.300} with a backslash, which is a letter like others on Linux".format(name), where, odd
            )
    short = _SHORT if plain else _SHORT // 4
    for name in names:
        if len(name) > short:
            _check_length(name, where)


def _check_length(name: str, where: str) -> None:
    """Count in bytes, as file systems do."""
    path = name.rstrip("/").encode("utf-8")
    parts = path.split(b"/")
    longest = max(map(len, parts))
    if longest > NAME_LIMIT or len(path) > PATH_LIMIT or len(parts) > DEPTH_LIMIT:
        raise RestoreError(
            INTEGRITY,
            "the entry name {!r:.120}… has {} bytes, {} in one part, {} parts; {}, {} and {} are allowed".format(
                name, len(path), longest, len(parts), PATH_LIMIT, NAME_LIMIT, DEPTH_LIMIT
            ),
            where=where,
            next="exclude this distribution, or take another version or file of it",
        )


def _normal(name: str) -> bool:
    return all(part not in ("", ".", "..") for part in (name[:-1] if name.endswith("/") else name).split("/"))


def _zip64(extra: bytes, size: int, compressed: int, offset: int, where: str, name: str) -> Tuple[int, int, int]:
    """Return (size, compressed, offset) with the zip64 extra field applied."""
    wide = _extra(extra, where, name)
    needed = [value == _MAX32 for value in (size, compressed, offset)]
    if wide is None:
        if any(needed):
            raise _bad("{!r} lacks its zip64 sizes".format(name), where)
        return size, compressed, offset
    if len(wide) != 8 * sum(needed):
        raise _bad("{!r} has a zip64 field that does not fit its header".format(name), where)
    values = list(struct.unpack("<{}Q".format(len(wide) // 8), wide))
    found = [values.pop(0) if need else old for need, old in zip(needed, (size, compressed, offset))]
    return found[0], found[1], found[2]


def _extra(extra: bytes, where: str, name: str) -> Optional[bytes]:
    """Return the zip64 field of an entry's extra fields, after a look at all of them."""
    wide = None
    while len(extra) >= _FIELD:  # less is padding, as of zipalign, and every reader passes over it
        kind, length = struct.unpack_from("<2H", extra)
        data, rest = extra[_FIELD : _FIELD + length], extra[_FIELD + length :]
        renamed = kind == 0x7075 and data != _unicode_path(name)
        if len(data) != length or renamed or (kind == 1 and wide is not None):
            raise _bad("{!r} has an extra field that gives it another name or size".format(name), where)
        if kind == 1:
            wide = data
        extra = rest
    return wide


def _unicode_path(name: str) -> bytes:
    """Return what Info-ZIP's field of a name in UTF-8 holds for a name that is in UTF-8 already (APPNOTE 4.6.9)."""
    raw = name.encode("utf-8")
    return struct.pack("<BL", 1, binascii.crc32(raw)) + raw


def _no_clashes(names: List[str], where: str) -> None:
    files = set(names)
    if len(files) != len(names):
        seen: Set[str] = set()
        twice = next(name for name in names if name in seen or seen.add(name))  # type: ignore[func-returns-value]
        raise _bad("{!r} stands twice in the archive".format(twice), where)
    parents = {name.rpartition("/")[0] for name in names}
    folders = set(parents)  # those with an entry of their own, too: their names end in a slash
    while parents:
        parents = {name.rpartition("/")[0] for name in parents} - folders
        folders |= parents
    folders.discard("")
    both = files & folders
    if both:
        raise _bad("{!r} is a file and a folder".format(min(both)), where)


def data_offset(data: Union[bytes, memoryview], entry: Entry, where: str = "", begin: int = 0) -> int:
    """Return the bytes from an entry's local header to its data.

    The local header begins at `begin` of `data`, which must reach to the end of name and extra field. Raises
    RestoreError (code 5) when the local header does not say what the directory says.
    """
    if begin < 0 or len(data) < begin + LOCAL_HEADER:
        raise _bad("{!r} has no local header".format(entry.name), where)
    magic, _, _, flags, method, _, _, crc, compressed, size, name_length, extra_length = _LOCAL.unpack_from(data, begin)
    total: int = LOCAL_HEADER + name_length + extra_length
    name = begin + LOCAL_HEADER
    if (
        magic != b"PK\3\4"
        or flags != entry.flags
        or method != entry.method
        or data[name : name + name_length] != entry.raw_name
        or len(data) < begin + total
    ):
        raise _bad("the local header of {!r} contradicts the directory".format(entry.name), where)
    extra = bytes(data[name + name_length : begin + total]) if extra_length else b""
    if extra:
        _extra(extra, where, entry.name)
    if crc == entry.crc and compressed == entry.compressed and size == entry.size:
        return total
    if flags & 0x0008 and not crc and not compressed and not size:
        return total  # sizes follow the data in a descriptor
    size, compressed, _ = _local_zip64(extra, size, compressed, where, entry.name)
    if (crc, compressed, size) != (entry.crc, entry.compressed, entry.size):
        if flags & 0x0008 and (crc, compressed, size) == (0, 0, 0):
            return total
        raise _bad("the local header of {!r} contradicts the directory".format(entry.name), where)
    return total


def _local_zip64(extra: bytes, size: int, compressed: int, where: str, name: str) -> Tuple[int, int, int]:
    """Like `_zip64` for a local header, where both sizes stand in the field when it is there at all."""
    if size == _MAX32 and compressed == _MAX32:
        return _zip64(extra, size, compressed, 0, where, name)
    return size, compressed, 0


def descriptor_sizes(entry: Entry) -> Tuple[int, ...]:
    """Return the byte counts that may lie between an entry's data and what follows it."""
    return (12, 16, 20, 24) if entry.flags & 0x0008 else (0,)
