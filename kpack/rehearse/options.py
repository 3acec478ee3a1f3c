"""How to rehearse, as a frozen value."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

NEEDED = "needed"
"""The word that asks for all base packages that the packed ones need."""

WORKING = 20 * 10**9
"""Bytes of ``/kaggle/working`` on Kaggle."""

ALL_WALLS = ("network", "files", "processes")


@dataclass(frozen=True, slots=True, kw_only=True)
class RehearsalOptions:
    """How to rehearse."""

    base: str | None = None
    """The target of the pack; None takes the first whose Python is on this machine."""
    python: str | None = None
    """An interpreter of the target's series; None looks for one."""
    real: frozenset[str] = frozenset()
    """Base distributions to install really, or `NEEDED`."""
    notebook: Path | None = None
    script: Path | None = None
    dataset: str | None = None
    """``owner/slug`` that the pack is mounted as."""
    inputs: Mapping[str, Path] = field(default_factory=dict)
    """More to show below ``/kaggle/input``, by the path there."""
    working: int = WORKING
    """Bytes that ``/kaggle/working`` holds."""
    skip: frozenset[str] = frozenset()
    """Modules that are not imported."""
    keep: bool = False
    """Leave the folder of the rehearsal."""
    walls: tuple[str, ...] = ALL_WALLS
    """What may be tried to cut off; for machines where an attempt itself does harm."""
    indexes: tuple[tuple[str, str], ...] = ()
    """More indexes that real packages may come from: pip's option and its value."""
