"""The tables that a person sees after ``kpack lock``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from kpack.cli.session import human_size, plain

if TYPE_CHECKING:
    from kpack.lock import Lock, LockedTarget


def print_lock(lock: Lock) -> None:
    """Print, for each target, what is packed, what comes from the base and what is held back."""
    console = Console(highlight=False, soft_wrap=True)
    for target in lock.targets:
        _packed(console, target)
        _base(console, target)
        for held in target.held_back:
            console.print(_text(f"  held back: {held.name} {held.version}, newest {held.newest}: {held.because}"))
        for name in target.dropped:
            console.print(_text(f"  left out by exclude: {name}"))
        for note in (*target.notes, *lock.notes):
            console.print(_text(f"  note: {note}"))
    for checkpoint in lock.checkpoints:
        how = f"attached at {checkpoint.attached}" if checkpoint.attached else human_size(checkpoint.size)
        console.print(_text(f"checkpoint {checkpoint.path}  {how}  sha256 {checkpoint.sha256[:12]}…"))


def _packed(console: Console, target: LockedTarget) -> None:
    total = sum(pin.wheel.size or 0 for pin in target.packed)
    console.print(
        _text(f"{target.label} (Python {target.python}): {len(target.packed)} packed, {human_size(total)}", "bold")
    )
    if not target.packed:
        return
    table = Table(box=None, pad_edge=False, padding=(0, 2), show_edge=False)
    for column in ("  packed", "version", "size", "needed by"):
        table.add_column(column, justify="right" if column == "size" else "left", overflow="fold")
    for pin in target.packed:
        version = f"{pin.version} (base: {pin.replaces})" if pin.replaces is not None else str(pin.version)
        if pin.source is not None:
            version += f" (built from {pin.source.kind})"
        asked = sorted({need.by or "you" for need in pin.needed_by}, key=lambda by: (by != "you", by))
        shown = ", ".join(asked[:3]) + (f" and {len(asked) - 3} more" if len(asked) > 3 else "")
        table.add_row(*(_text(cell) for cell in (f"  {pin.name}", version, human_size(pin.wheel.size or 0), shown)))
    console.print(table)


def _base(console: Console, target: LockedTarget) -> None:
    if target.leans:
        names = ", ".join(f"{use.name} {use.version}" for use in target.leans)
        console.print(_text(f"  from the base: {names}"))


def _text(text: str, style: str = "") -> Text:
    return Text(plain(text), style=style)
