"""Where the files of an environment lie: kaggle-env.toml in a folder or above it, the lock beside it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

FILE_NAME = "kaggle-env.toml"
"""The name that `nearest` looks for."""


def nearest(start: Path) -> Path | None:
    """Return the nearest ``kaggle-env.toml`` in ``start`` or a folder above it; None when there is none.

    One that is no file, or a link to nothing, is not passed over for another one: who reads it says what it is.
    """
    folder = start.absolute()
    return next((path for each in (folder, *folder.parents) if os.path.lexists(path := each / FILE_NAME)), None)


def lock_beside(config: Path) -> Path:
    """Return ``pylock.<stem>.toml`` beside ``config``; dots of the stem turn to ``-`` (PEP 751 allows none)."""
    return config.with_name(f"pylock.{config.stem.replace('.', '-')}.toml")
