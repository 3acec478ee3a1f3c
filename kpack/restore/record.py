"""RECORD: the list of installed files that other installers read."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
from operator import attrgetter
from typing import Dict, Iterable, List, NamedTuple, Tuple

from .errors import INTEGRITY, RestoreError
from .text import broken_lines


class RecordEntry(NamedTuple):
    """A row of RECORD; digest and size are empty for what is not recorded (RECORD itself, bytecode)."""

    path: str
    digest: str
    """``sha256=`` and the digest in URL-safe base64 without padding."""
    size: str
    """Bytes, in decimal."""


_row = tuple.__new__
"""`RecordEntry(...)` without the detour by keyword arguments, for tens of thousands of them."""


_path = attrgetter("path")
"""The path of a row; sorting by it takes a quarter of the time that comparing whole rows does."""


class Record(NamedTuple):
    """What a wheel's RECORD says, and what is wrong with its form."""

    rows: Dict[str, RecordEntry]
    faults: Tuple[str, ...]
    """What pip lets pass and a good RECORD does not have; ``lax-record`` lets it pass here."""
    notes: Tuple[str, ...]
    """What is odd and contradicts nothing."""


def read(raw: bytes, where: str) -> Record:
    """Return what the RECORD of a wheel says; faults of its form are told, not raised.

    Raises RestoreError (code 5) when pip cannot read it either.
    """
    found: Dict[str, RecordEntry] = {}
    faults: List[str] = []
    notes: List[str] = []
    try:
        text = raw.decode("utf-8")
        rows = _rows(text)
    except (UnicodeDecodeError, csv.Error) as error:
        raise RestoreError(
            INTEGRITY, "its RECORD cannot be read: {}".format(error), where=where, next="exclude this distribution"
        ) from error
    if broken_lines(text):
        faults.append("it has characters at which some readers break lines and others do not")
    for fields in rows:
        if not fields:
            continue
        if len(fields) != 3:
            faults.append("a row has {} fields: {:.80}".format(len(fields), ",".join(fields)))
        row = _row(RecordEntry, fields if len(fields) == 3 else (*fields, "", "")[:3])
        if row.path in found:
            (notes if found[row.path] == row else faults).append("{} stands twice".format(row.path))
        found[row.path] = row
    return Record(found, tuple(faults), tuple(notes))


def _rows(text: str) -> List[List[str]]:
    """Return the rows of CSV. Mostly nothing in it is quoted, and splitting takes a third of the time.

    Raises csv.Error.
    """
    lines = text.split("\n")
    if _quoted(text) or len(max(lines, key=len)) > csv.field_size_limit():
        return list(csv.reader(io.StringIO(text, newline="")))
    return [line.split(",") if line else [] for line in lines]


def _quoted(text: str) -> bool:
    """Tell whether there may be more to CSV than commas and line feeds."""
    return '"' in text or "\r" in text or "\0" in text


def parse(raw: bytes, where: str) -> Dict[str, RecordEntry]:
    """Return the rows of a RECORD by path.

    Raises RestoreError (code 5) when it is not the CSV of three columns that it must be.
    """
    try:
        rows = [row for row in _rows(raw.decode("utf-8")) if row]
    except (UnicodeDecodeError, csv.Error) as error:
        raise RestoreError(INTEGRITY, "RECORD cannot be read: {}".format(error), where=where) from error
    if any(len(row) != 3 for row in rows):
        raise RestoreError(INTEGRITY, "RECORD has a row that is not of three columns", where=where)
    return {row[0]: _row(RecordEntry, row) for row in rows}


def dumps(rows: Iterable[RecordEntry]) -> bytes:
    """Return the bytes of a RECORD, rows sorted by path."""
    listed = sorted(rows, key=_path)
    text = "".join(["%s,%s,%s\n" % row for row in listed])
    if _quoted(text) or text.count(",") != 2 * len(listed) or text.count("\n") != len(listed):
        stream = io.StringIO(newline="")
        csv.writer(stream, lineterminator="\n").writerows(listed)
        text = stream.getvalue()
    return text.encode("utf-8")


def digest(data: bytes) -> str:
    """Return ``sha256=…`` as RECORD spells it."""
    return spelled(hashlib.sha256(data).digest())


def digest_of(path: str) -> Tuple[str, int]:
    """Return the digest as RECORD spells it, and the size in bytes, of a file that is there."""
    hasher = hashlib.sha256()
    size = 0
    with open(path, "rb") as stream:
        for piece in iter(lambda: stream.read(1 << 20), b""):
            hasher.update(piece)
            size += len(piece)
    return spelled(hasher.digest()), size


def spelled(raw: bytes) -> str:
    """Return a SHA-256 as RECORD spells it."""
    return "sha256=" + base64.urlsafe_b64encode(raw).rstrip(b"=").decode("ascii")


def listed(raw: bytes, where: str) -> List[str]:
    """Return the paths of an installed RECORD, in order."""
    return list(parse(raw, where))
