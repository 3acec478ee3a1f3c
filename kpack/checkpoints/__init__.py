"""Checkpoints: what a ``[[checkpoints]]`` table asks for, pinned to files with digests."""

from __future__ import annotations

import posixpath
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable

HUB_FOLDER = "huggingface/hub"
"""Where repositories without a ``path`` land below the restore directory, in the layout of the Hugging Face cache."""

KAGGLE_DIRECTORY = "/kaggle/tmp"
"""Where relative checkpoint paths start on Kaggle when ``[restore] directory`` is not set."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LockedCheckpoint:
    """One file that a restored environment has, pinned by its bytes.

    A repository (``hf://``, ``kaggle://``) becomes one of these for each of its files.
    """

    path: str
    """Where it lands: relative to the restore directory, absolute, or below ``~``."""
    urls: tuple[str, ...]
    """Where it is fetched, tried in order, without credentials: https, http, file (absolute, or ``file:`` and a path
    relative to kaggle-env.toml), data, ``hf://org/repo@<commit>/file``, ``kaggle://…`` with a version. A fragment of
    the last two keeps what was asked for, when that was not a commit or version."""
    sha256: str
    size: int
    """Bytes."""
    attached: str | None = None
    """Absolute path in the kernel where the file is mounted already: not packed, verified at restore."""
    note: str | None = None
    """A sentence for the user on how the pin came about; not part of the lock."""
    announced: bool = True
    """Its server said how long it is, or its digest was known; not part of the lock."""


def variables(checkpoints: Iterable[LockedCheckpoint]) -> dict[str, str]:
    """Return the environment variables that make a kernel find these checkpoints.

    ``{directory}`` in a value stands for the folder where relative checkpoint paths start, known at restore.
    """
    if any(checkpoint.path.startswith(f"{HUB_FOLDER}/") for checkpoint in checkpoints):
        return {"HF_HUB_CACHE": f"{{directory}}/{HUB_FOLDER}", "HF_HUB_OFFLINE": "1"}
    return {}


class Landable(Protocol):
    """What has a path in the lock or in a pack's manifest."""

    @property
    def path(self) -> str:
        """Where it lands: relative to the restore directory, absolute, or below ``~``."""


def landing(checkpoints: Iterable[Landable], directory: str | None) -> dict[str, str]:
    """Return where each checkpoint is on Kaggle after the restore, by its path in the lock.

    ``directory`` is that of ``[restore]``. What is below ``~`` stays so: whose home that is, only the kernel knows.
    """
    start = directory or KAGGLE_DIRECTORY
    return {
        item.path: item.path if item.path.startswith("~") else posixpath.join(start, item.path) for item in checkpoints
    }
