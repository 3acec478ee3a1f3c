"""Who reached for the network in a rehearsal, put together from what its processes wrote down."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kpack.files import parsed
from kpack.rehearse import programs
from kpack.rehearse.frames import asker, chain_of, frames_of, line_of
from kpack.rehearse.model import Attempt
from kpack.rehearse.quiet import variable

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


@dataclass(slots=True)
class _Group:
    host: str
    port: int | None
    chain: tuple[str, ...]
    by: str
    line: str
    begun: float
    ended: float
    tries: int = 0


def rows_of(log: Path) -> tuple[dict[str, Any], ...]:
    """Return the rows of a log, without what a killed process could not finish or other code has written there."""
    if not log.exists():
        return ()
    found = []
    for line in log.read_text(encoding="utf-8", errors="replace").split("\n"):
        try:
            row = parsed(line)
        except ValueError:
            continue
        if isinstance(row, dict) and isinstance(row.get("kind"), str):
            found.append(row)
    return tuple(found)


def attempts(rows: Iterable[dict[str, Any]], own: Path, script: str = "") -> tuple[Attempt, ...]:
    """Return the attempts in the order of their first try, tries from one place put together.

    ``own`` is the folder of the rehearsal's own code, whose frames nobody wants to see; ``script`` the file name of
    the user's script.
    """
    rows = list(rows)
    ends = {row["id"]: float(row["at"]) for row in rows if row["kind"] == "end"}
    groups: dict[tuple[str, ...], _Group] = {}
    seen: set[str] = set()
    last_name: dict[str, str] = {}
    for row in rows:
        if row["kind"] != "network":
            continue
        frames = list(frames_of(row["stack"], own))
        main = list(frames_of(row.get("main", ()), own))
        chain = chain_of(frames)
        by = asker(chain, frames, row.get("thread"))
        line = line_of(frames, row["cells"], script) or line_of(main, row["cells"], script)
        host = str(row["host"])
        if row["event"].startswith("socket.get"):
            last_name[by] = host
        elif _is_address(host) and by in last_name:
            host = last_name[by]  # the address that the name of a moment ago stands for
        seen.add(host)
        began = float(row["at"])
        group = groups.setdefault((host, by, line), _Group(host, None, chain, by, line, began, began))
        group.ended = max(group.ended, ends.get(row["id"], began))
        group.port = group.port or row["port"]
        group.tries += 1
    found = [
        Attempt(
            host=group.host if group.port in (None, 443) else f"{group.host}:{group.port}",
            by=group.by,
            line=group.line,
            seconds=group.ended - group.begun,
            tries=group.tries,
            stops=variable(group.chain, group.host),
        )
        for group in groups.values()
    ]
    return (*found, *programs.attempts(rows, seen, own, script))


def _is_address(host: str) -> bool:
    return re.fullmatch(r"[0-9.]+|[0-9a-fA-F:]*:[0-9a-fA-F:.]*", host) is not None
