"""What a rehearsal found out, as frozen values."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """One top-level module of what is packed, and whether it can be imported after the line."""

    module: str
    distribution: str
    """The packed distribution that brings it."""
    ok: bool
    error: str | None = None
    """One line."""
    stub: str | None = None
    """The base distribution, only a stub in the rehearsal, that the failure comes from."""
    seconds: float = 0.0

    @property
    def failed(self) -> bool:
        """Whether it failed for another reason than a stub."""
        return not self.ok and self.stub is None


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One place in the code that reached for the network, however many times it tried."""

    host: str
    """Name or address, with the port where one is known."""
    by: str
    """The packages that led there, outermost first, and the line: ``trainer → wandb (wandb/apis/public.py:40)``."""
    line: str
    """The user's own line: ``cell 3, line 2``, ``import wandb``; empty when a thread of its own did it."""
    seconds: float
    """From the begin of the first try to the end of the last."""
    tries: int
    stops: tuple[str, str] | None = None
    """The variable for ``[restore] env``, and its value, that would have stopped it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One process of a rehearsal: ``line``, ``notebook`` or ``script``."""

    name: str
    ok: bool
    seconds: float
    memory: int
    """Peak bytes of its largest process."""
    error: str | None = None
    """What it said when it failed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Walls:
    """What was really cut off."""

    network: bool
    """By a namespace; otherwise sockets of Python were refused."""
    files: bool
    """``/kaggle`` is as Kaggle has it; otherwise KPACK_INPUT pointed at the pack."""
    processes: bool
    why: tuple[str, ...] = ()
    """What the machine said where it refused."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rehearsal:
    """The outcome."""

    pack: Path
    id: str
    where: str
    """``local``, ``container`` or ``kaggle``."""
    target: str
    """The base's name, or ``python-3.12``."""
    python: str
    """The full version of the interpreter that it ran in."""
    steps: tuple[Step, ...]
    imports: tuple[Imported, ...]
    network: tuple[Attempt, ...] = ()
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    walls: Walls | None = None
    seconds: float = 0.0
    """Of all steps together; making the environment is not part of it."""
    peak_disk: int = 0
    """Bytes written at most at one time, in the environment and below ``/kaggle``."""
    peak_memory: int = 0
    """Bytes of the largest process."""
    watched: bool = True
    """Imports, network, time and memory were looked at; a notebook of the user's on Kaggle tells only how it ended."""
    said: str = field(default="")
    """What the line printed."""

    @property
    def ok(self) -> bool:
        """Whether everything ran and nothing failed but what a stub stands for."""
        return bool(self.steps) and all(s.ok for s in self.steps) and not any(i.failed for i in self.imports)

    @property
    def unproven(self) -> tuple[Imported, ...]:
        """Modules that could not be imported because of a stub."""
        return tuple(item for item in self.imports if item.stub is not None and not item.ok)

    def to_dict(self) -> dict[str, Any]:
        """Return the object of ``kpack rehearse --json``."""
        return {
            "pack": str(self.pack),
            "id": self.id,
            "where": self.where,
            "target": self.target,
            "python": self.python,
            "ok": self.ok,
            "seconds": round(self.seconds, 3),
            "peak_disk": self.peak_disk,
            "peak_memory": self.peak_memory,
            "steps": [
                {
                    "name": step.name,
                    "ok": step.ok,
                    "seconds": round(step.seconds, 3),
                    "peak_memory": step.memory,
                    "error": step.error,
                }
                for step in self.steps
            ],
            "imports": [
                {
                    "module": item.module,
                    "distribution": item.distribution,
                    "ok": item.ok,
                    "error": item.error,
                    "stub": item.stub,
                    "seconds": round(item.seconds, 3),
                }
                for item in self.imports
            ],
            "network": [
                {
                    "host": item.host,
                    "by": item.by,
                    "line": item.line,
                    "seconds": round(item.seconds, 3),
                    "tries": item.tries,
                    "env": dict([item.stops]) if item.stops else {},
                }
                for item in self.network
            ],
            "warnings": list(self.warnings),
            "notes": list(self.notes),
            "walls": (
                {"network": self.walls.network, "files": self.walls.files, "processes": self.walls.processes}
                if self.walls
                else None
            ),
        }
