"""Tiny ELF files by hand, so that no compiler is needed: a header, two segments, and the tables of a loader."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

X86_64, AARCH64, I386, CUDA = 62, 183, 3, 190

_LOAD, _DYNAMIC, _INTERP = 1, 2, 3


class _Names:
    def __init__(self) -> None:
        self.table = bytearray(b"\0")

    def __call__(self, name: str) -> int:
        at = len(self.table)
        self.table += name.encode() + b"\0"
        return at


def make_elf(
    *,
    needed: Sequence[str] = (),
    soname: str = "",
    runpath: str = "",
    rpath: str = "",
    versions: Mapping[str, Sequence[str]] | None = None,
    weak: Sequence[str] = (),
    defines: Sequence[str] = (),
    symbols: Sequence[str] = (),
    machine: int = X86_64,
    kind: int = 3,
    bits: int = 64,
    order: str = "<",
    program: bool = False,
    gap: int = 0,
    late: int = 0,
    gpu: bytes = b"",
    apart: bool = False,
) -> bytes:
    """Return an ELF file that a loader could follow to its tables; it has no sections.

    ``versions`` are symbol versions by library, those in ``weak`` marked so; ``symbols`` stand among its names. ``gap``
    bytes lie between its headers and its tables, ``late`` bytes between these and its dynamic table, the last one.
    ``apart`` has the versions lie as LLVM's linker writes them: the heads of all libraries first, then all lists.
    """
    names = _Names()
    word = "Q" if bits == 64 else "I"
    header = 64 if bits == 64 else 52
    each = 56 if bits == 64 else 32
    count = 2 + program
    start = header + count * each + gap
    tags = [(1, names(item)) for item in needed]
    tags += [(tag, names(text)) for tag, text in ((14, soname), (15, rpath), (29, runpath)) if text]
    for item in symbols:
        names(item)
    verneed, verdef, lists = b"", b"", b""
    for index, (library, wanted) in enumerate((versions or {}).items()):
        last = index + 1 == len(versions or {})
        size = 16 if apart else 16 + 16 * len(wanted)
        inner = 16 * (len(versions or {}) - index) + len(lists) if apart else 16
        verneed += struct.pack(f"{order}HHIII", 1, len(wanted), names(library), inner, 0 if last else size)
        for number, version in enumerate(wanted):
            flags, further = 2 if version in weak else 0, 0 if number + 1 == len(wanted) else 16
            entry = struct.pack(f"{order}IHHII", _hash(version), flags, 2, names(version), further)
            verneed, lists = (verneed, lists + entry) if apart else (verneed + entry, lists)
    verneed += lists
    for index, version in enumerate(("base", *defines) if defines else ()):
        following = 0 if index == len(defines) else 28
        verdef += struct.pack(f"{order}HHHHIII", 1, 0 if index else 1, index + 1, 1, 0, 20, following)
        verdef += struct.pack(f"{order}II", names(version), 0)
    strings = bytes(names.table)
    tables = {5: strings, 0x6FFFFFFE: verneed, 0x6FFFFFFC: verdef}
    body = b""
    for tag, table in tables.items():
        if table:
            tags.append((tag, start + len(body)))
            body += table
    tags += [(10, len(strings)), (0x6FFFFFFF, len(versions or {})), (0x6FFFFFFD, len(defines) + 1), (0, 0)]
    body += bytes(late)
    at = start + len(body)
    dynamic = b"".join(struct.pack(f"{order}{word}{word}", *pair) for pair in tags)
    total = at + len(dynamic)
    parts = [(_LOAD, 0, total), (_DYNAMIC, at, len(dynamic))] + [(_INTERP, 0, 1)] * program
    heads = b""
    for sort, offset, size in parts:
        fields = (sort, 4, offset, offset, offset, size, size, 8)
        heads += struct.pack(f"{order}IIQQQQQQ", *fields) if bits == 64 else b""
        fields = (sort, offset, offset, offset, size, size, 4, 4)
        heads += struct.pack(f"{order}IIIIIIII", *fields) if bits == 32 else b""
    ident = b"\x7fELF" + bytes([2 if bits == 64 else 1, 1 if order == "<" else 2, 1]) + bytes(9)
    labels = b"\0.nv_fatbin\0" if gpu else b""
    sections = (0, 0, 0)
    behind = b""
    if gpu:
        end = total + len(gpu) + len(labels)
        shape = f"{order}24xQQ24x" if bits == 64 else f"{order}16xII16x"
        named = struct.pack(shape, end - len(labels), len(labels))
        behind, sections = gpu + labels + bytes(len(named)) + named, (len(named), 2, 1)
    rest = struct.pack(
        f"{order}HHI{word}{word}{word}IHHHHHH",
        kind,
        machine,
        1,
        0,
        header,
        end if gpu else 0,
        0,
        header,
        each,
        count,
        *sections,
    )
    return ident + rest + heads + bytes(gap) + body + dynamic + behind


def _hash(name: str) -> int:
    """Return the hash that the entry of a needed version has."""
    found = 0
    for byte in name.encode():
        found = (found << 4) + byte
        found = (found ^ (found >> 28 << 4)) & 0x0FFFFFFF
    return found


def containers(*architectures: Sequence[tuple[int, int]], code: int = 100) -> bytes:
    """Return containers of GPU code as NVIDIA's compiler lays them out: kind (1 assembly, 2 code) and architecture."""
    found = b""
    for inside in architectures:
        heads = (struct.pack("<HHIQ12xI32x", kind, 0x101, 64, code, number) for kind, number in inside)
        entries = b"".join(head + bytes(code) for head in heads)
        found += struct.pack("<4sHHQ", b"\x50\xed\x55\xba", 1, 16, len(entries)) + entries
    return found
