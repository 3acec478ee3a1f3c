"""What goes into a pack: the value that the writer lays out, free of clocks, paths and hosts."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from kpack.pack.wheel import STRICT, Lax

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from kpack.restore.manifest import PackedCheckpoint, PackTarget

SUFFIX = ".kpack.bin"
"""The suffix that Kaggle is known to leave alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WheelFile:
    """A wheel on this machine that is to be packed under its own name."""

    filename: str
    sha256: str
    path: Path
    lax: Lax = STRICT
    """What is let in by name in kaggle-env.toml."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BlobFile:
    """A checkpoint on this machine, packed once under its digest."""

    sha256: str
    size: int
    """Bytes."""
    path: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class DebFile:
    """A system package on this machine, packed under the name that archives give its file."""

    filename: str
    sha256: str
    size: int
    """Bytes."""
    path: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """Everything of a pack but the parts that the writer makes (bootstrap, manifest, engine)."""

    name: str
    lock_name: str
    """``pylock.<stem>.toml``."""
    lock_text: str
    """The lock with relative paths."""
    requirements: str
    """Hashed requirements.txt."""
    targets: tuple[PackTarget, ...]
    wheels: tuple[WheelFile, ...]
    blobs: tuple[BlobFile, ...] = ()
    checkpoints: tuple[PackedCheckpoint, ...] = ()
    directory: str | None = None
    env: Mapping[str, str] = field(default_factory=dict)
    link: bool = False
    debs: tuple[DebFile, ...] = ()
    apt: str | None = None
    """How system packages are installed, as kaggle-env.toml says it."""
