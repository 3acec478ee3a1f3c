"""From what the processes of a rehearsal wrote down to its outcome."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from kpack.rehearse import network, stubs
from kpack.rehearse.model import Imported, Rehearsal, Step

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from kpack.pack import ReadPack
    from kpack.rehearse.call import Found
    from kpack.rehearse.model import Walls
    from kpack.rehearse.modules import Module
    from kpack.rehearse.options import RehearsalOptions
    from kpack.rehearse.stage import Stage

_SHOWN = 12
"""Lines of a failed step that are shown."""
_READ = 1 << 16
"""Bytes of what a step printed that are looked at: its begin, or its end."""


def imports(stage: Stage, wanted: Sequence[Module], owners: Mapping[str, str]) -> tuple[Imported, ...]:
    """Return how the imports went, as far as they were tried; ``owners`` are the modules of stubs."""
    rows = {row["module"]: row for row in network.rows_of(stage.out) if row["kind"] == "import"}
    return tuple(
        Imported(
            module=module.name,
            distribution=module.distribution,
            ok=row["ok"],
            error=row["error"],
            stub=None if row["stub"] is None else stubs.owner_of(row["stub"], owners),
            seconds=row["seconds"],
        )
        for module in wanted
        if (row := rows.get(module.name)) is not None
    )


def outcome(
    stage: Stage,
    pack: ReadPack,
    options: RehearsalOptions,
    found: Found,
    tried: tuple[Imported, ...],
    *,
    where: str,
    target: str,
    python: str,
    walls: Walls | None,
    notes: Sequence[str],
) -> Rehearsal:
    """Put an outcome together."""
    rows = network.rows_of(stage.out)
    line = next((row for row in rows if row["kind"] == "line"), None)
    steps = []
    for name, done in found.done.items():
        ok = done["code"] == 0
        if name == "prepare" and ok:
            continue
        seconds = done["seconds"] if name != "line" or line is None else line["seconds"]
        error = None if ok else _error(stage.work / "out", name, done["code"])
        steps.append(Step(name=name, ok=ok, seconds=seconds, memory=done["memory"], error=error))
    warned = dict.fromkeys(
        f"{row['category']}: {row['message']} ({row['where']}:{row['line']})"
        for row in rows
        if row["kind"] == "warning"
    )
    script = options.script.name if options.script else ""
    kept = [f"left as it was: {stage.work}"] if options.keep else []
    return Rehearsal(
        pack=pack.path,
        id=pack.id,
        where=where,
        target=target,
        python=python,
        steps=tuple(steps),
        imports=tried,
        network=network.attempts(network.rows_of(stage.log), stage.kernel, script),
        warnings=tuple(warned),
        notes=(*notes, *kept),
        walls=walls,
        seconds=sum(done["seconds"] for done in found.done.values()),
        peak_disk=found.peak_disk,
        peak_memory=max((step.memory for step in steps), default=0),
        said=_text(stage.work / "out" / "line.out").partition("\n")[0],
    )


def _error(out: Path, name: str, code: int) -> str:
    result = out / f"{name}.result"
    if result.exists():
        return str(json.loads(result.read_text(encoding="utf-8"))["error"])
    rows = [row for row in _text(out / f"{name}.err", end=True).splitlines() if row.strip()]
    how = f"signal {-code}" if code < 0 else f"exit {code}"
    return "\n".join([*rows[-_SHOWN:], f"({how})"] if rows else [how])


def _text(path: Path, *, end: bool = False) -> str:
    """Return the begin, or the end, of what a step printed; empty when there is none."""
    if not path.exists():
        return ""
    with path.open("rb") as stream:
        stream.seek(max(0, path.stat().st_size - _READ) if end else 0)
        return stream.read(_READ).decode("utf-8", errors="replace")
