"""What the opening of an ELF file tells while its dynamic table, near the end, is out of reach.

A member of a wheel is compressed as a whole, so the dynamic table of a library of 300 MB costs 300 MB to read. Linkers
put the names and the needed symbol versions right behind the headers, though, and these tables can be recognised
without being led to them: every needed version carries the hash of its name (gABI, "Hash Table"; LSB, "Symbol
Versioning"), so a place where hash and name agree, again and again, is the table and no accident.
"""

from __future__ import annotations

import itertools
import re
import struct
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from kpack.native.elf import SharedObject, described
from kpack.native.names import is_cuda, is_torch

if TYPE_CHECKING:
    from collections.abc import Iterator

_ANCHORS = (b"GLIBC_", b"GLIBCXX_", b"CXXABI_", b"GCC_", b"libcudart.so", b"libcublas.so")
"""How versions begin of which a file that is for this sort of system needs one."""
_ANCHOR = re.compile(rb"\0([\w.]+)(?=\0)")
_TRIED = 8
"""That many are tried."""
_SONAME = re.compile(rb"(?<=\0)[A-Za-z0-9_][\w.+-]*\.so(?:\.[0-9][\w.]*)?(?=\0)")
_FOLDERS = re.compile(rb"(?<=\0)(?:/|\$ORIGIN|\$\{ORIGIN\})[^\0]*(?=\0)")
"""What DT_RUNPATH names, among the names."""
_TEXT = re.compile(rb"\0(?:[\x21-\x7e]+\0)+")
"""A table of names: no name in it is empty, apart from the first."""
_MOST = 1 << 12
_ENDS_IN_NAMES = re.compile(rb"[\x21-\x7e\0]{4096}\Z")


class _Version(NamedTuple):
    library: str
    name: str
    weak: bool


def read(begin: bytes, path: str, *, executable: bool = False) -> SharedObject | None:
    """Return what the first bytes of a file tell, `SharedObject.whole` being false; None where they tell nothing.

    Of the libraries that it needs those are certain of which it needs versions; the others (`SharedObject.guessed`)
    stand among its names, where a tool that edits files may have left one that is not needed any more.
    """
    shell = described(begin, path, executable=executable)
    if shell is None:
        return None
    order = ">" if begin[5:6] == b"\x02" else "<"
    for found in itertools.islice(_anchors(begin), _TRIED):
        for place in _places(begin, _hash(found[1]), order):
            start = found.start(1) - struct.unpack_from(f"{order}I", begin, place + 8)[0]
            names = _TEXT.match(begin, start) if start > 0 else None
            if names is None or not (versions := list(_table(begin, place, start, order))):
                continue
            return _told(shell, names[0], versions)
    return None


def breaks_off(begin: bytes) -> bool:
    """Tell whether the first bytes of a file end in a table of names, so that the ones behind it may tell more."""
    return _ENDS_IN_NAMES.search(begin, max(0, len(begin) - 4096)) is not None and any(begin[-4096:])


def _anchors(begin: bytes) -> Iterator[re.Match[bytes]]:
    """Yield where the name of a version stands, of each sort in turn: to look for plain words is ten times as fast."""
    for word in _ANCHORS:
        at = begin.find(b"\0" + word)
        while at >= 0:
            if (found := _ANCHOR.match(begin, at)) is not None:
                yield found
            at = begin.find(b"\0" + word, at + 1)


def _told(shell: SharedObject, names: bytes, versions: list[_Version]) -> SharedObject:
    certain = dict.fromkeys(item.library for item in versions)
    found = shell.with_names(names, [(item.library, item.name) for item in versions if not item.weak])
    file = shell.path.rpartition("/")[2].partition(".")[0]
    others = [name.decode() for name in dict.fromkeys(_SONAME.findall(names))]
    own = {name for name in others if _like(name.partition(".")[0], file)}
    guessed = tuple(
        name
        for name in others
        if name not in certain and name not in own and name.startswith(("lib", "ld-"))
        # One of a library's names is its own; where it is not to be told, few of them are to be believed.
        if found.module or own or is_torch(name) or is_cuda(name)
    )
    folders = (folder.decode() for text in _FOLDERS.findall(names) for folder in text.split(b":") if folder)
    return replace(found, needed=(*certain, *guessed), guessed=guessed, search=tuple(folders))


def _like(name: str, file: str) -> bool:
    """Tell whether one of two names begins with the other: ``libsndfile``, ``libsndfile_x86_64``."""
    return name.startswith(file) or file.startswith(name)


def _places(begin: bytes, wanted: int, order: str) -> Iterator[int]:
    """Yield where an entry for a version of that hash may begin."""
    raw = struct.pack(f"{order}I", wanted)
    at = begin.find(raw)
    while at >= 0:
        if at + 16 <= len(begin):
            yield at
        at = begin.find(raw, at + 1)


def _table(begin: bytes, place: int, names: int, order: str) -> Iterator[_Version]:
    """Yield the needed versions of the table in which an entry lies at ``place``; none where it is no table."""
    first = place
    while first >= 16 and (
        _entry(begin, first - 16, names, order) or _library(begin, first - 16, names, order) is not None
    ):
        first -= 16
    left = _MOST
    while left > 0:
        library = _library(begin, first, names, order)
        if library is None:
            return
        _, count, _, inner, following = struct.unpack_from(f"{order}HHIII", begin, first)
        left -= count
        for index in range(min(count, _MOST)):
            version = _entry(begin, first + inner + 16 * index, names, order)
            if version is None:
                return
            yield _Version(library, *version)
        if not following:
            return
        first += following


def _entry(begin: bytes, at: int, names: int, order: str) -> tuple[str, bool] | None:
    """Return name and weakness of the version for which there is an entry at ``at``; None when there is none."""
    if at + 16 > len(begin):
        return None
    wanted, flags, _, name, _ = struct.unpack_from(f"{order}IHHII", begin, at)
    text = _name(begin, names + name)
    return (text.decode(), bool(flags & 2)) if text and _hash(text) == wanted else None


def _library(begin: bytes, at: int, names: int, order: str) -> str | None:
    """Return the library of whose versions there is a list, where the head of such a list is at ``at``; else None.

    The list follows its head, as GNU's linkers write it, or all lists follow all heads, as LLVM's does.
    """
    if at + 16 > len(begin):
        return None
    version, count, name, inner, _ = struct.unpack_from(f"{order}HHIII", begin, at)
    if version != 1 or inner < 16 or inner % 16 or not count:
        return None
    text = _name(begin, names + name)
    return text.decode() if b".so" in text else None


def _name(begin: bytes, at: int) -> bytes:
    end = begin.find(b"\0", at, at + 256)
    text = begin[at:end] if end > 0 else b""
    return text if text.isascii() else b""


def _hash(name: bytes) -> int:
    """Return the hash of the gABI."""
    found = 0
    for byte in name:
        found = (found << 4) + byte
        high = found & 0xF0000000
        found = (found ^ (high >> 24)) & ~high & 0xFFFFFFFF
    return found
