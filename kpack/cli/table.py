"""The tables that a person sees after ``kpack lock``."""

from __future__ import annotations

import os
import sys
import textwrap
from typing import TYPE_CHECKING

from kpack.cli.session import SCREEN, colours, human_size, note, tell

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from kpack.lock import Lock, LockedTarget

_SHOWN = 12
"""Rows of what is held back; the rest is counted."""

_NAMED = 3
"""Who needs a package, by name; the rest is counted."""

_WIDTH = 120
"""Columns where there is no terminal to ask."""
_COLUMNS = ("  packed", "version", "size", "needed by")
_GAP = 4
"""Blanks between two columns."""


def print_lock(lock: Lock) -> None:
    """Print, for each target, what is packed, what comes from the base and what is held back."""
    for target in lock.targets:
        _packed(target)
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


def _packed(target: LockedTarget) -> None:
    total = sum(pin.wheel.size or 0 for pin in target.packed)
    title = f"{target.label} (Python {target.python}): {len(target.packed)} packed, {human_size(total)}"
    rows = []
    for pin in target.packed:
        version = f"{pin.version} (base: {pin.replaces})" if pin.replaces is not None else str(pin.version)
        if pin.source is not None:
            version += " (a given file)" if pin.source.kind == "wheel" else f" (built from {pin.source.kind})"
        asked = sorted({need.by or "you" for need in pin.needed_by}, key=lambda by: (by != "you", by))
        most = len(asked) if SCREEN.volume > 0 else _NAMED
        shown = ", ".join(asked[:most]) + (f" and {len(asked) - most} more" if len(asked) > most else "")
        rows.append((f"  {pin.name}", version, human_size(pin.wheel.size or 0), shown))
    styled = sys.stdout.isatty() or colours(sys.stdout) or "TTY_COMPATIBLE" in os.environ
    text = None if styled else written(title, rows)
    if text is not None:
        tell(text, wrap=False)
        return
    from kpack.cli import drawn

    drawn.draw(title, _COLUMNS, rows, width=None if sys.stdout.isatty() else _WIDTH)


def written(title: str, rows: Sequence[tuple[str, str, str, str]]) -> str | None:
    """Return what `kpack.cli.drawn` would draw where nothing is styled, without rich: that takes as long as a lock.

    None for what takes more than the last column to be folded at its blanks, or has more than the letters of ASCII.
    """
    if len(title) > _WIDTH or not _is_simple([title, *(cell for row in rows for cell in row)]):
        return None
    if not rows:
        return title
    table = [_COLUMNS, *rows]
    widths = [max(len(row[place]) for row in table) for place in range(len(_COLUMNS))]
    name, version, size, needed = widths
    excess = sum(widths) + _GAP * (len(widths) - 1) - _WIDTH
    if excess > 0:
        needed -= excess
        # A column that is as wide as the last one would be folded, too.
        if needed < max(name, version + _GAP // 2) or any(
            len(word) > needed for row in rows for word in row[3].split()
        ):
            return None
    lines, gap = [title], " " * _GAP
    for row in table:
        for number, part in enumerate(_folded(row[3], needed)):
            first, second, third = ("", "", "") if number else row[:3]
            cells = first.ljust(name), second.ljust(version), third.rjust(size), part
            lines.append(gap.join(cells).rstrip(" "))
    return "\n".join(lines)


def _folded(text: str, width: int) -> list[str]:
    return textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False) or [""]


def _is_simple(texts: Iterable[str]) -> bool:
    return all(text.isascii() and text.isprintable() for text in texts)


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
