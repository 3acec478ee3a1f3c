"""RECORD: the list of installed files that other installers read."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
from typing import Dict, Iterable, List, NamedTuple, Tuple

from .errors import INTEGRITY, RestoreError


class Row(NamedTuple):
    """A row of RECORD; digest and size are empty for what is not recorded (RECORD itself, bytecode)."""

    path: str
    digest: str
    """``sha256=`` and the digest in URL-safe base64 without padding."""
    size: str
    """Bytes, in decimal."""


def parse(raw: bytes, where: str) -> Dict[str, Row]:
    """Return the rows of a RECORD by path.

    Raises RestoreError (code 5) when it is not the CSV of three columns that it must be.
    """
    try:
        rows = [row for row in csv.reader(io.StringIO(raw.decode("utf-8"), newline="")) if row]
    except (UnicodeDecodeError, csv.Error) as error:
        raise RestoreError(INTEGRITY, "RECORD cannot be read: {}".format(error), where=where) from error
    if any(len(row) != 3 for row in rows):
        raise RestoreError(INTEGRITY, "RECORD has a row that is not of three columns", where=where)
    return {row[0]: Row(row[0], row[1], row[2]) for row in rows}


def dumps(rows: Iterable[Row]) -> bytes:
    """Return the bytes of a RECORD, rows sorted by path."""
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerows(sorted(rows))
    return text.getvalue().encode("utf-8")


def digest(data: bytes) -> str:
    """Return ``sha256=…`` as RECORD spells it."""
    return _spelled(hashlib.sha256(data).digest())


def digest_of(path: str) -> Tuple[str, int]:
    """Return the digest as RECORD spells it, and the size in bytes, of a file that is there."""
    hasher = hashlib.sha256()
    size = 0
    with open(path, "rb") as stream:
        for piece in iter(lambda: stream.read(1 << 20), b""):
            hasher.update(piece)
            size += len(piece)
    return _spelled(hasher.digest()), size


def _spelled(raw: bytes) -> str:
    return "sha256=" + base64.urlsafe_b64encode(raw).rstrip(b"=").decode("ascii")


def listed(raw: bytes, where: str) -> List[str]:
    """Return the paths of an installed RECORD, in order."""
    return list(parse(raw, where))
