"""Who reached for the network in a rehearsal, put together from what its processes wrote down."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from kpack.rehearse.model import Attempt
from kpack.rehearse.quiet import variable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

_PLUMBING = frozenset({
    "aiohappyeyeballs", "aiohttp", "anyio", "backoff", "h11", "h2", "httpcore", "httpcore2", "httplib2", "httpx",
    "httpx2", "requests", "retrying", "sniffio", "tenacity", "trio", "urllib3", "websocket", "websockets",
})  # fmt: skip
"""Packages that carry other packages' requests."""


class Frame(NamedTuple):
    """One frame of a stack."""

    file: str
    line: int
    module: str

    @property
    def package(self) -> str:
        """The top-level package of a frame in site-packages; empty for the standard library and the user's code."""
        return self.module.partition(".")[0] if "-packages/" in self.file else ""

    @property
    def short(self) -> str:
        """``wandb/apis/public.py:40``."""
        return f"{self.file.rpartition('-packages/')[2]}:{self.line}"


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
    """Return the rows of a log; a last one that a killed process could not finish is left out."""
    if not log.exists():
        return ()
    found = []
    for line in log.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            found.append(json.loads(line))
        except ValueError:
            continue
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
        frames = list(_frames(row["stack"], own))
        main = list(_frames(row.get("main", ()), own))
        chain = _chain(frames)
        by = _by(chain, frames, row.get("thread"))
        line = _line(frames, row["cells"], script) or _line(main, row["cells"], script)
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
    return (*found, *_native(rows, seen))


def _native(rows: Sequence[dict[str, Any]], seen: set[str]) -> Iterator[Attempt]:
    """Yield the names that were asked for by code that is not Python's."""
    times: dict[str, list[float]] = {}
    for row in rows:
        if row["kind"] == "lookup" and row["host"] not in seen:
            times.setdefault(row["host"], []).append(float(row["at"]))
    for host, at in times.items():
        yield Attempt(
            host=host,
            by="a program or library that is not Python",
            line="",
            seconds=max(at) - min(at),
            tries=len(at),
            stops=variable((), host),
        )


def _frames(stack: Iterable[Any], own: Path) -> Iterator[Frame]:
    for file, line, module in stack:
        if not str(file).startswith(f"{own}/"):
            yield Frame(str(file), int(line), str(module))


def _chain(frames: Sequence[Frame]) -> tuple[str, ...]:
    """Return the packages of a stack from the outermost on, each once, without those that only carry requests."""
    named = [frame.package for frame in reversed(frames) if frame.package and frame.package not in _KERNEL]
    asking = [name for name in dict.fromkeys(named) if name not in _PLUMBING]
    return tuple(asking or dict.fromkeys(named))


_KERNEL = frozenset({"IPython", "ipykernel", "ipykernel_launcher", "tornado", "traitlets", "zmq"})


def _by(chain: Sequence[str], frames: Sequence[Frame], thread: str | None) -> str:
    if not chain:
        return f"a thread of its own, {thread}" if thread and not frames else "your code"
    place = next(frame for frame in frames if frame.package == chain[-1])
    return f"{' → '.join(chain)} ({place.short})"


def _line(frames: Sequence[Frame], cells: Mapping[str, int], script: str) -> str:
    for frame in reversed(frames):
        if frame.file.startswith("<import "):
            return frame.file[1:-1]
        if frame.file == "<the line>":
            return "the line"
        if frame.file in cells:
            return f"cell [{cells[frame.file]}], line {frame.line}"
        if script and Path(frame.file).name == script:
            return f"{script}, line {frame.line}"
    return ""


def _is_address(host: str) -> bool:
    return re.fullmatch(r"[0-9.]+|[0-9a-fA-F:]*:[0-9a-fA-F:.]*", host) is not None
