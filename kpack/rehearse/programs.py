"""Attempts to reach the network by programs that a rehearsal's processes started: curl, git, another Python.

What a program asks the name server of the walls is seen, with its process; where there are no such walls (on Kaggle,
in a container) a program is told by the hosts that its command names.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from kpack.rehearse.frames import asker, chain_of, frames_of, line_of
from kpack.rehearse.model import Attempt
from kpack.rehearse.quiet import variable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

UNKNOWN = "a program or library that is not Python"
UNSEEN = "what other programs than Python reach for is told here only where their command names a host"
"""What a report says where no name server of the walls listens."""


@dataclass(slots=True)
class _Started:
    """A program, and who started it."""

    name: str
    hosts: tuple[str, ...]
    chain: tuple[str, ...]
    by: str
    line: str
    caller: int
    """The process that started it."""
    begun: float
    ended: float | None

    def may_have_asked(self, asking: Sequence[tuple[int, str]], at: float) -> bool:
        """Tell whether it was running then, below the process that started it."""
        return self.begun <= at <= (self.ended or at) and any(pid == self.caller for pid, _ in asking[1:])


@dataclass(slots=True)
class _Asked:
    """Questions for one name by one asker."""

    started: _Started | None
    by: str
    at: list[float] = field(default_factory=list)
    ended: float | None = None


def attempts(rows: Sequence[dict[str, Any]], seen: set[str], own: Path, script: str) -> Iterator[Attempt]:
    """Yield what others than a watched Python reached for; ``seen`` are the hosts that such a one asked for."""
    started = _started(rows, own, script)
    gone = {row["pid"]: float(row["at"]) for row in rows if row["kind"] == "gone"}
    groups: dict[tuple[str, str], _Asked] = {}
    for row in rows:
        if row["kind"] != "lookup" or row["host"] in seen:
            continue
        asking = [(int(pid), str(name)) for pid, name in row["asking"]]
        parent = next((started[pid] for pid, _ in asking if pid in started), None)
        if parent is None:
            unknown = (one for pid, one in started.items() if pid < 0)
            parent = next((one for one in unknown if one.may_have_asked(asking, float(row["at"]))), None)
        by = _words(asking, parent)
        group = groups.setdefault((row["host"], by), _Asked(parent, by))
        group.at.append(float(row["at"]))
        if asking and (parent is not None or not asking[0][1].startswith("python")):
            group.ended = gone.get(asking[0][0])
    for (host, _), group in groups.items():
        ended = group.started.ended if group.started and group.started.ended else group.ended
        yield Attempt(
            host=host,
            by=group.by,
            line=group.started.line if group.started else "",
            seconds=max(max(group.at), ended or 0.0) - min(group.at),
            tries=len(group.at),
            stops=variable(group.started.chain if group.started else (), host),
        )
    told = seen | {host for host, _ in groups}
    yield from _by_command([one for one in started.values() if not told & set(one.hosts)])


def _started(rows: Sequence[dict[str, Any]], own: Path, script: str) -> dict[int, _Started]:
    """Return the programs by process; one whose process is not known has a negative number of its own."""
    ends = {row["id"]: float(row["at"]) for row in rows if row["kind"] == "end"}
    pids = {row["id"]: int(row["pid"]) for row in rows if row["kind"] == "started"}
    found = {}
    for number, row in enumerate(rows, 1):
        if row["kind"] != "program":
            continue
        frames = list(frames_of(row["stack"], own))
        chain = chain_of(frames)
        # A process that becomes another program keeps its number.
        pid = pids.get(row["id"], int(row["pid"]) if row.get("becomes") else -number)
        found[pid] = _Started(
            name=str(row["program"]),
            hosts=tuple(row["hosts"]),
            chain=chain,
            by=asker(chain, frames, None),
            line=line_of(frames, row["cells"], script),
            caller=int(row["pid"]),
            begun=float(row["at"]),
            ended=ends.get(row["id"]),
        )
    return found


def _words(asking: Sequence[tuple[int, str]], parent: _Started | None) -> str:
    """Return who asked: the program, and the package or code that started it."""
    if not asking:
        return UNKNOWN
    name = asking[0][1]
    if parent is None:
        return f"native code in {name}" if name.startswith("python") else f"the program {name}"
    programs = name if name == parent.name else f"{parent.name} → {name}"
    return f"{parent.by} → the program {programs}"


def _by_command(started: Sequence[_Started]) -> Iterator[Attempt]:
    """Yield what programs were told to reach, where nobody saw them ask."""
    groups: dict[tuple[str, str, str], list[_Started]] = {}
    for one in started:
        for host in one.hosts:
            groups.setdefault((host, f"{one.by} → the program {one.name}", one.line), []).append(one)
    for (host, by, line), members in groups.items():
        yield Attempt(
            host=host,
            by=by,
            line=line,
            seconds=sum((one.ended or one.begun) - one.begun for one in members),
            tries=len(members),
            stops=variable(members[0].chain, host),
        )
