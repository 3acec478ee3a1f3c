"""The tables that a person sees after ``kpack lock``."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from kpack.cli.session import SCREEN, human_size, note, plain, tell

if TYPE_CHECKING:
    from kpack.lock import Lock, LockedTarget

_SHOWN = 12
"""Rows of what is held back; the rest is counted."""

_NAMED = 3
"""Who needs a package, by name; the rest is counted."""

_WIDTH = 120
"""Columns where there is no terminal to ask."""


def print_lock(lock: Lock) -> None:
    """Print, for each target, what is packed, what comes from the base and what is held back."""
    console = Console(highlight=False, width=None if sys.stdout.isatty() else _WIDTH)
    for target in lock.targets:
        _packed(console, target)
        _base(target)
        _held_back(target)
        _system(target)
        for name in target.dropped:
            tell(f"  left out by exclude: {name}")
        for text in (*target.notes, *lock.notes):
            note(text)
    for checkpoint in lock.checkpoints:
        how = f"attached at {checkpoint.attached}" if checkpoint.attached else human_size(checkpoint.size)
        if not checkpoint.announced:
            how += ", if that is all: its server names no length"
        tell(f"checkpoint {checkpoint.path}  {how}  sha256 {checkpoint.sha256[:12]}…")


def _held_back(target: LockedTarget) -> None:
    """Print what is held back, what was asked for outright first."""
    asked = {pin.name for pin in target.packed if any(not need.by for need in pin.needed_by)}
    asked |= {use.name for use in target.leans if any(not need.by for need in use.needed_by)}
    order = sorted(target.held_back, key=lambda held: (held.name not in asked, held.name))
    shown = len(order) if SCREEN.volume > 0 else _SHOWN
    for held in order[:shown]:
        tell(f"  held back: {held.name} {held.version}, newest {held.newest}: {held.because}")
    if len(order) > shown:
        tell(f"  held back: {len(order) - shown} more; kpack -v lock lists all")


def _packed(console: Console, target: LockedTarget) -> None:
    total = sum(pin.wheel.size or 0 for pin in target.packed)
    console.print(
        _text(f"{target.label} (Python {target.python}): {len(target.packed)} packed, {human_size(total)}", "bold")
    )
    if not target.packed:
        return
    table = Table(box=None, pad_edge=False, padding=(0, 2), show_edge=False)
    for column in ("  packed", "version", "size", "needed by"):
        table.add_column(
            column, justify="right" if column == "size" else "left", no_wrap=column == "size", overflow="fold"
        )
    for pin in target.packed:
        version = f"{pin.version} (base: {pin.replaces})" if pin.replaces is not None else str(pin.version)
        if pin.source is not None:
            version += " (a given file)" if pin.source.kind == "wheel" else f" (built from {pin.source.kind})"
        asked = sorted({need.by or "you" for need in pin.needed_by}, key=lambda by: (by != "you", by))
        most = len(asked) if SCREEN.volume > 0 else _NAMED
        shown = ", ".join(asked[:most]) + (f" and {len(asked) - most} more" if len(asked) > most else "")
        table.add_row(*(_text(cell) for cell in (f"  {pin.name}", version, human_size(pin.wheel.size or 0), shown)))
    if console.is_terminal:
        console.print(table)
        return
    with console.capture() as printed:
        console.print(table)
    # rich fills the last column with blanks, which a log keeps.
    console.file.write("".join(f"{row.rstrip(' ')}\n" for row in printed.get().splitlines()))


def _base(target: LockedTarget) -> None:
    if target.leans:
        tell("  from the base: " + ", ".join(f"{use.name} {use.version}" for use in target.leans))


def _system(target: LockedTarget) -> None:
    packages = target.system.packages if target.system else ()
    if packages:
        names = ", ".join(f"{item.name} {item.version}" for item in packages[:_SHOWN])
        more = f" and {len(packages) - _SHOWN} more" if len(packages) > _SHOWN else ""
        size = human_size(sum(item.size for item in packages))
        tell(f"  system packages: {len(packages)}, {size}: {names}{more}")


def _text(text: str, style: str = "") -> Text:
    return Text(plain(text), style=style)
