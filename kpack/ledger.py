"""What was done with a pack, remembered beside it: ``dist/<name>.ledger.json``, for ``kpack status``.

One JSON object, ``{"kpack-ledger": 1, "rehearsed": {...}, "pushed": {...}}``. It is a memory, not a proof: nothing but
what ``kpack status`` says depends on it, and one that is not there or not readable is an empty one.
"""

from __future__ import annotations

import datetime as dt
import json
from typing import TYPE_CHECKING, Any

from kpack.files import write_text
from kpack.pack.content import SUFFIX

if TYPE_CHECKING:
    from pathlib import Path

FORMAT = 1


def path_of(pack: Path) -> Path:
    """Return where the ledger of the pack at ``pack`` lies, whether or not it is there."""
    name = pack.name.removesuffix(SUFFIX).removesuffix(".kpack")
    return pack.with_name(f"{name}.ledger.json")


def entry(pack: Path, kind: str) -> dict[str, Any] | None:
    """Return the last entry of a kind (``rehearsed``, ``pushed``) of a pack; None when there is none."""
    found = _read(path_of(pack)).get(kind)
    return found if isinstance(found, dict) else None


def note(pack: Path, kind: str, **facts: Any) -> None:
    """Remember ``facts`` as the last entry of a kind; ``at`` (UTC, to the second) is added.

    Raises:
        MachineError: the folder of the pack cannot be written.

    """
    path = path_of(pack)
    now = dt.datetime.now(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    content = {**_read(path), "kpack-ledger": FORMAT, kind: {**facts, "at": now}}
    write_text(path, json.dumps(content, indent=1, sort_keys=True) + "\n")


def _read(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) and content.get("kpack-ledger") == FORMAT else {}
