"""What one ELF file asks of the machine that loads it, read as the loader reads it.

After the System V gABI, chapters 4 and 5, and the LSB's symbol versioning: by program headers and the dynamic table,
never by sections, which a stripped file need not have. pyelftools reads the same and is what the tests compare with;
it takes eight times as long (5 ms a file, half of what it takes to inflate and hash one), which a build would feel.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

from kpack.native.devices import DeviceScan
from kpack.native.kept import Kept, MissingError, OnDemand, UnreadableError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from kpack.native.kept import Readable

MAGIC = b"\x7fELF"
HEAD = TAIL = 32 << 20
"""Bytes of a file's begin and end that are kept where it passes by once: of all but the largest that is everything.

The tables that tell lie at the begin, or at the end where patchelf wrote them anew."""
SOME = 2 << 20
"""The same where it can be read again."""
_NAMES = 1 << 16
"""Bytes before the table of sections that are kept for the names of these."""
_ROUNDS = 8
"""Times that one is read again."""

MACHINES = {3: "i386", 20: "ppc", 21: "ppc64", 22: "s390x", 40: "armv7l", 62: "x86_64", 183: "aarch64", 243: "riscv64"}
"""e_machine of processors; those of GPUs and other devices are left out, since no loader of the system reads them."""

_EXECUTABLE, _SHARED = 2, 3
_LOAD, _DYNAMIC, _INTERPRETER = 1, 2, 3
_NEEDED, _STRTAB, _STRSZ, _SONAME, _RPATH, _RUNPATH = 1, 5, 10, 14, 15, 29
_VERDEF, _VERDEFNUM, _VERNEED, _VERNEEDNUM = 0x6FFFFFFC, 0x6FFFFFFD, 0x6FFFFFFE, 0x6FFFFFFF
_WEAK = 2
_GPU_SECTION = b".nv_fatbin"
_BASE = 1
_MOST = 1 << 12
"""Entries of a table, at most: more are no honest file."""

COUNTED = ("GLIBC", "GLIBCXX", "CXXABI")
"""Sets of symbol versions of which each one includes those before it."""

_NUMBER = re.compile(r"[0-9]{1,4}(\.[0-9]{1,4})*", re.ASCII)

_TORCH_CHECK = b"_ZN3c106detail14torchCheckFailEPKcS2_jRK"
"""``c10::detail::torchCheckFail(char const*, char const*, unsigned, std::string const&)``: what nearly every extension
of torch imports, and where its name says which std::string it was built with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedObject:
    """A shared object or a program of a wheel."""

    path: str
    """In the wheel."""
    fault: str = ""
    """Why it could not be read, in a few words; everything else is empty then."""
    machine: str = ""
    """``x86_64``, ``aarch64``, …"""
    bits: int = 64
    program: bool = False
    """It asks for an interpreter, as programs do."""
    executable: bool = False
    """The wheel gives it an executable bit."""
    soname: str = ""
    needed: tuple[str, ...] = ()
    """Sonames of DT_NEEDED."""
    search: tuple[str, ...] = ()
    """Folders of DT_RUNPATH, else of DT_RPATH, as written."""
    versions: tuple[tuple[str, str], ...] = ()
    """Library and version of symbols (``libc.so.6``, ``GLIBC_2.38``) without which it does not load; of versions that
    are counted upwards the highest."""
    defines: tuple[str, ...] = ()
    """Versions of symbols that it has."""
    module: bool = False
    """It names an initialiser of a Python module."""
    devices: tuple[str, ...] = ()
    """GPU architectures that it has code for: ``sm_75``, ``compute_90``."""
    strings: str = ""
    """Of which std::string its calls of torch are: ``cxx11``, ``pre-cxx11``; empty without such calls."""
    whole: bool = True
    """False when no more than its name or its opening was read: what it has beside that nobody knows."""
    guessed: tuple[str, ...] = ()
    """Those of `needed` that stand among its names, which alone does not say that it needs them."""

    @property
    def unread(self) -> bool:
        """Whether no more than its name is known."""
        return not self.whole and not self.needed and not self.soname

    def with_names(self, names: bytes, versions: Iterable[tuple[str, str]]) -> SharedObject:
        """Return it with what its table of ``names``, and the symbol ``versions`` that it needs, tell."""
        return replace(self, versions=_highest(versions), module=b"\0PyInit_" in names, strings=_of_torch(names))


class ElfReader:
    """Takes the bytes of one file as they come, keeps those that may tell, and has the answer at the end.

    ``again`` gives all pieces of the file once more, for what was not kept; with it much less is.
    """

    def __init__(
        self, path: str, *, executable: bool = False, again: Callable[[], Iterable[bytes]] | None = None
    ) -> None:
        self._path = path
        self._executable = executable
        self._again = again
        self._kept = Kept(*((HEAD, TAIL) if again is None else (SOME, SOME)), _asked_for)
        self._devices: DeviceScan | None = None
        self._foreign = False

    def feed(self, piece: bytes) -> None:
        """Take the next bytes."""
        if self._foreign or not piece:
            return
        kept = self._kept
        before = kept.whole
        small = kept.size < len(MAGIC)
        kept.add(piece)
        if small:
            self._foreign = not may_be_elf(kept.begin(len(MAGIC)))
        if self._devices is not None:
            self._devices.feed(piece)
        elif before and not kept.whole and kept.mentions(b"cuda"):
            # What lies in its middle will soon be gone. Where all is kept, the sections tell whether there is GPU code.
            self._devices = _scan(kept.pieces)

    def finish(self) -> SharedObject | None:
        """Return what the file asks for; None for one that no loader of the system takes: data, device code, ``.o``."""
        if self._foreign or self._kept.begin(len(MAGIC)) != MAGIC:
            return None
        for _ in range(_ROUNDS):
            try:
                return self._answer()
            except MissingError as missing:
                if self._again is None:
                    return SharedObject(path=self._path, fault=str(missing))
                self._kept.fetch(missing, self._again())
            except UnreadableError as error:
                return SharedObject(path=self._path, fault=str(error))
        return SharedObject(path=self._path, fault="its tables are strewn over a very large file")

    def _answer(self) -> SharedObject | None:
        found = _read(self._kept, self._path, executable=self._executable)
        try:
            told = found is not None and _GPU_SECTION in _section_names(self._kept)
        except MissingError:  # then what was found along the way counts, and nothing is read again for it
            told = self._devices is not None
        if found is None or not told:
            return found
        if self._devices is None and self._kept.whole:
            self._devices = _scan(self._kept.pieces)
        elif self._devices is None and self._again is not None:
            self._devices = _scan(self._again())
        return replace(found, devices=self._devices.names if self._devices is not None else ())


def may_be_elf(begin: bytes) -> bool:
    """Tell whether a file that begins with these bytes may be ELF: where there are too few of them to say, it may."""
    return begin.startswith(MAGIC) or MAGIC.startswith(begin)


def read(data: bytes, path: str, *, executable: bool = False) -> SharedObject | None:
    """Return what the file of ``data`` asks for, as `ElfReader.finish` does."""
    reader = ElfReader(path, executable=executable)
    reader.feed(data)
    return reader.finish()


def described(begin: bytes, path: str, *, executable: bool = False) -> SharedObject | None:
    """Return what the header at the ``begin`` of a file tells, its machine; None for a file that no loader takes."""
    try:
        if not begin.startswith(MAGIC):
            return None
        shape, (kind, machine, *_) = _header(OnDemand(lambda count, offset: begin[offset : offset + count], len(begin)))
    except UnreadableError:
        return None
    if kind not in (_EXECUTABLE, _SHARED) or machine not in MACHINES:
        return None
    return SharedObject(path=path, machine=MACHINES[machine], bits=shape.bits, executable=executable, whole=False)


def read_sparse(
    pread: Callable[[int, int], bytes], size: int, path: str, *, executable: bool = False
) -> SharedObject | None:
    """Return what a file of ``size`` bytes asks for, reading by ``pread(count, offset)`` no more than its tables."""
    try:
        kept = OnDemand(pread, size)
        if kept.at(0, len(MAGIC)) != MAGIC:
            return None
        found = _read(kept, path, executable=executable)
    except UnreadableError as error:
        return SharedObject(path=path, fault=str(error))
    return found and replace(found, whole=False)


def _asked_for(file: Readable) -> list[tuple[int, int]]:
    """Return begin and end of what will be asked for, as far as the begin of a file says.

    That is the dynamic table, and the table of sections with their names, which linkers write before it.
    """
    try:
        _, (_, _, _, _, _, table, _, _, _, _, each, count, _) = _header(file)
        dynamic = [(part.offset, part.offset + part.size) for part in _segments(file) if part.kind == _DYNAMIC]
    except UnreadableError:
        return []
    return [(table - _NAMES, table + each * count), *dynamic]


def _scan(pieces: Iterable[bytes]) -> DeviceScan:
    """Return the GPU architectures in all pieces of a file."""
    found = DeviceScan()
    for piece in pieces:
        found.feed(piece)
    return found


class _Shape(NamedTuple):
    """How a file of one class and byte order writes its tables."""

    bits: int
    order: str
    header: struct.Struct
    """From e_type on."""
    program: struct.Struct
    dynamic: struct.Struct
    section: struct.Struct
    """Offset and size alone."""


class _Segment(NamedTuple):
    kind: int
    offset: int
    address: int
    size: int


class _Strings:
    """A table of names that end with NUL."""

    def __init__(self, table: bytes) -> None:
        self.table = table

    def at(self, offset: int) -> str:
        end = self.table.find(b"\0", offset)
        if end < 0:
            raise UnreadableError("a name lies outside of its table of names")
        return self.table[offset:end].decode("utf-8", "backslashreplace")


class _Dynamic(NamedTuple):
    """The dynamic table and what is needed to follow it."""

    kept: Readable
    order: str
    segments: list[_Segment]
    tags: list[tuple[int, int]]
    first: dict[int, int]
    """The first value of each tag."""

    def offset(self, address: int) -> int:
        """Return where in the file lies what is loaded at ``address``."""
        for item in self.segments:
            if item.kind == _LOAD and item.address <= address < item.address + item.size:
                return item.offset + address - item.address
        raise UnreadableError("a table lies in no part that is loaded")

    def strings(self) -> _Strings:
        if _STRTAB not in self.first:
            return _Strings(b"")
        return _Strings(self.kept.at(self.offset(self.first[_STRTAB]), self.first.get(_STRSZ, 0)))


@cache
def _shape(bits: int, order: str) -> _Shape:
    wide, narrow = ("HHIQQQI6H", "IIQQQQQQ", "qQ", "24xQQ24x"), ("HHIIIII6H", "IIIIIIII", "iI", "16xII16x")
    return _Shape(bits, order, *(struct.Struct(order + fields) for fields in (wide if bits == 64 else narrow)))


def _header(kept: Readable) -> tuple[_Shape, tuple[int, ...]]:
    ident = kept.at(0, 16)
    if ident[4] not in (1, 2) or ident[5] not in (1, 2):
        raise UnreadableError("its header names no class or byte order")
    shape = _shape(64 if ident[4] == 2 else 32, "<" if ident[5] == 1 else ">")
    return shape, shape.header.unpack(kept.at(16, shape.header.size))


def _read(kept: Readable, path: str, *, executable: bool) -> SharedObject | None:
    shape, (kind, machine, *_) = _header(kept)
    if kind not in (_EXECUTABLE, _SHARED) or machine not in MACHINES:
        return None
    segments = _segments(kept)
    tags = [pair for item in segments if item.kind == _DYNAMIC for pair in _tags(kept, shape, item)]
    dynamic = _Dynamic(kept, shape.order, segments, tags, dict(reversed(tags)))
    strings = dynamic.strings()
    search = next((strings.at(dynamic.first[tag]) for tag in (_RUNPATH, _RPATH) if tag in dynamic.first), "")
    found = SharedObject(
        path=path,
        machine=MACHINES[machine],
        bits=shape.bits,
        program=any(item.kind == _INTERPRETER for item in segments),
        executable=executable,
        soname=strings.at(dynamic.first[_SONAME]) if _SONAME in dynamic.first else "",
        needed=tuple(dict.fromkeys(strings.at(value) for tag, value in tags if tag == _NEEDED)),
        search=tuple(filter(None, search.split(":"))),
        defines=tuple(_defined_versions(dynamic, strings)),
    )
    return found.with_names(strings.table, _needed_versions(dynamic, strings))


def _segments(kept: Readable) -> list[_Segment]:
    shape, (_, _, _, _, table, _, _, _, each, count, *_) = _header(kept)
    if count and each != shape.program.size:
        raise UnreadableError(f"its program headers have {each} bytes each")
    raw = kept.at(table, each * count)
    return [_segment(shape, raw[index * each : (index + 1) * each]) for index in range(count)]


def _section_names(kept: Readable) -> bytes:
    """Return the names of all sections, NUL between them; nothing where there are none to be read."""
    try:
        shape, (*_, table, _, _, _, _, each, count, index) = _header(kept)
        if not 0 < index < count or each != shape.section.size:
            return b""
        offset, size = shape.section.unpack(kept.at(table + index * each, each))
        return kept.at(offset, size)
    except MissingError:
        raise
    except UnreadableError:
        return b""


def _segment(shape: _Shape, raw: bytes) -> _Segment:
    fields = shape.program.unpack(raw)
    if shape.bits == 64:
        kind, _, offset, address, _, size, _, _ = fields
    else:
        kind, offset, address, _, size, _, _, _ = fields
    return _Segment(kind, offset, address, size)


def _tags(kept: Readable, shape: _Shape, segment: _Segment) -> Iterator[tuple[int, int]]:
    """Yield tag and value of the dynamic table up to its end."""
    size = min(segment.size, _MOST * shape.dynamic.size)
    for tag, value in shape.dynamic.iter_unpack(kept.at(segment.offset, size - size % shape.dynamic.size)):
        if tag == 0:
            return
        yield tag, value


def _needed_versions(dynamic: _Dynamic, strings: _Strings) -> Iterator[tuple[str, str]]:
    if _VERNEED not in dynamic.first:
        return
    at = dynamic.offset(dynamic.first[_VERNEED])
    entry, auxiliary = struct.Struct(f"{dynamic.order}HHIII"), struct.Struct(f"{dynamic.order}IHHII")
    left = _MOST
    for _ in range(min(dynamic.first.get(_VERNEEDNUM, 0), _MOST)):
        _, count, library, inner, following = entry.unpack(dynamic.kept.at(at, entry.size))
        inner += at
        for _ in range(min(count, left)):
            left -= 1
            _, flags, _, name, further = auxiliary.unpack(dynamic.kept.at(inner, auxiliary.size))
            if not flags & _WEAK:
                yield strings.at(library), strings.at(name)
            inner += further
        at += following


def _defined_versions(dynamic: _Dynamic, strings: _Strings) -> Iterator[str]:
    if _VERDEF not in dynamic.first:
        return
    at = dynamic.offset(dynamic.first[_VERDEF])
    entry, name = struct.Struct(f"{dynamic.order}HHHHIII"), struct.Struct(f"{dynamic.order}I")
    for _ in range(min(dynamic.first.get(_VERDEFNUM, 0), _MOST)):
        _, flags, _, count, _, inner, following = entry.unpack(dynamic.kept.at(at, entry.size))
        if count and not flags & _BASE:
            yield strings.at(*name.unpack(dynamic.kept.at(at + inner, name.size)))
        at += following


def _highest(versions: Iterable[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    kept: dict[tuple[str, str], tuple[list[int], str]] = {}
    for library, version in versions:
        name, _, number = version.rpartition("_")
        counted = name in COUNTED and _NUMBER.fullmatch(number)
        key, rank = (
            ((library, name), [int(part) for part in number.split(".")]) if counted else ((library, version), [])
        )
        kept[key] = max(kept.get(key, ([], "")), (rank, version))
    return tuple((library, version) for (library, _), (_, version) in kept.items())


def _of_torch(names: bytes) -> str:
    at = names.find(_TORCH_CHECK)
    if at < 0:
        return ""
    at += len(_TORCH_CHECK)
    return "pre-cxx11" if names[at : at + 2] == b"Ss" else "cxx11"
