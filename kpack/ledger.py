"""What was done with a pack, remembered beside it: ``dist/<name>.ledger.json``, for ``kpack status``.

One JSON object, ``{"kpack-ledger": 1, "pushed": {...}, "rehearsed": {"local": {...}, "kaggle": {...}}}``. It is a
memory, not a proof: nothing but what ``kpack status`` says depends on it, and one that is not there or cannot be read
is an empty one.
"""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any, TypeVar

from kpack.files import keep, recalled
from kpack.pack.content import SUFFIX

if TYPE_CHECKING:
    from pathlib import Path

FORMAT = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Rehearsed:
    """A rehearsal that came to an end."""

    id: str
    """Of the pack."""
    where: str
    """``local``, ``container`` or ``kaggle``."""
    ok: bool
    at: str = ""
    """``2026-11-26T07:10:37Z``; set when it is written down."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pushed:
    """A push that came to an end."""

    id: str
    ref: str
    """``owner/slug``."""
    version: int
    mountable: bool
    at: str = ""


_T = TypeVar("_T", Rehearsed, Pushed)


def path_of(pack: Path) -> Path:
    """Return where the ledger of the pack at ``pack`` lies, whether or not it is there."""
    name = pack.name.removesuffix(SUFFIX).removesuffix(".kpack")
    return pack.with_name(f"{name}.ledger.json")


def rehearsals(pack: Path) -> tuple[Rehearsed, ...]:
    """Return the last rehearsal of each kind, the newest first."""
    rows = _read(path_of(pack)).get("rehearsed")
    found = [_entry(Rehearsed, row) for row in rows.values()] if isinstance(rows, dict) else []
    return tuple(sorted((item for item in found if item is not None), key=lambda item: item.at, reverse=True))


def pushed(pack: Path) -> Pushed | None:
    """Return the last push; None when there was none."""
    return _entry(Pushed, _read(path_of(pack)).get("pushed"))


def remember(pack: Path, done: Rehearsed | Pushed) -> None:
    """Write down what was done with ``pack``, in the place of the last one of its kind.

    Raises:
        MachineError: the folder of the pack cannot be written.

    """
    path = path_of(pack)
    content = {**_read(path), "kpack-ledger": FORMAT}
    row = {**asdict(done), "at": dt.datetime.now(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")}
    if isinstance(done, Pushed):
        content["pushed"] = row
    else:
        known = content.get("rehearsed")
        content["rehearsed"] = {**(known if isinstance(known, dict) else {}), done.where: row}
    keep(path, json.dumps(content, indent=1, sort_keys=True) + "\n")


def _entry(kind: type[_T], row: object) -> _T | None:
    """Return an entry; None for one that is not as it is written."""
    if not isinstance(row, dict):
        return None
    types = {"str": str, "bool": bool, "int": int}
    known: dict[str, Any] = {item.name: row.get(item.name) for item in fields(kind)}
    if any(type(known[item.name]) is not types[str(item.type)] for item in fields(kind)):
        return None
    return kind(**known)


def _read(path: Path) -> dict[str, Any]:
    try:
        content = recalled(path)
    except ValueError:
        return {}
    return content if isinstance(content, dict) and content.get("kpack-ledger") == FORMAT else {}
