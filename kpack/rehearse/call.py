"""Calling the warden, and hearing what it says."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kpack.errors import MachineError
from kpack.rehearse.model import Walls

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

WARDEN = Path(__file__).with_name("warden.py")

_PHASES = {"line": "running the line, importing what is packed", "prepare": "laying out stubs", "release": "tidying up"}


@dataclass(slots=True)
class Found:
    """What the warden said."""

    walls: Walls | None = None
    done: dict[str, dict[str, Any]] = field(default_factory=dict)
    """``{"code", "seconds", "memory"}`` by step."""
    peak_disk: int = 0


def call(
    command: Sequence[str],
    spec: dict[str, Any],
    work: Path,
    *,
    on_phase: Callable[[str], None],
    on_stop: Callable[[], None] = lambda: None,
) -> Found:
    """Run the warden by ``command``, which is given the path of ``spec``, to its end; return what it found out.

    When this process is interrupted meanwhile, the warden and all that it started are killed; ``on_stop`` is called
    for what a signal does not reach.

    Raises:
        MachineError: the warden failed.

    """
    path, errors = work / "warden.json", work / "out" / "warden.err"
    path.write_text(json.dumps({**spec, "parent": os.getpid()}), encoding="utf-8")
    found = Found()
    with (
        errors.open("wb") as stderr,
        subprocess.Popen(
            [*command, str(path)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
            start_new_session=True,
        ) as child,
    ):
        assert child.stdout is not None
        try:
            for line in child.stdout:
                _hear(json.loads(line), found, on_phase)
        except BaseException:
            on_stop()
            child.kill()
            with contextlib.suppress(ValueError):  # a line that is cut short
                child.stdout.read()  # ends when the last process that the warden forked is gone
            raise
    if child.returncode or found.walls is None:
        rows = [row for row in errors.read_text(encoding="utf-8", errors="replace").splitlines() if row.strip()]
        raise MachineError(
            f"the rehearsal's own process failed: {rows[-1] if rows else f'exit {child.returncode}'}",
            next="run it again with --keep, and report what it left",
        )
    return found


def _hear(row: dict[str, Any], found: Found, on_phase: Callable[[str], None]) -> None:
    if row["kind"] == "walls":
        why = tuple(dict.fromkeys(row["why"]))
        found.walls = Walls(network=row["network"], files=row["files"], processes=row["processes"], why=why)
    elif row["kind"] == "step":
        on_phase(_PHASES.get(row["name"], f"running the {row['name']}"))
    elif row["kind"] == "done":
        found.done[row["name"]] = row
    elif row["kind"] == "disk":
        found.peak_disk = row["peak"]
