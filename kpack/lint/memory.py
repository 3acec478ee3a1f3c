"""What parts of wheels told, remembered by digest: the next lock need not ask for them again."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from kpack.files import keep, recalled
from kpack.pack.admission import judge_digest, object_of, plain

if TYPE_CHECKING:
    from pathlib import Path

    from kpack.native.elf import SharedObject


class PartMemory:
    """Shared objects of wheels that were read in part, in ``folder`` under the wheels' digests.

    What came by Range cannot be held against a digest, so this is for a lock's words alone: a build reads
    what it packs.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def get(self, sha256: str) -> tuple[SharedObject, ...] | None:
        """Return what is known of a wheel; None for nothing."""
        try:
            return tuple(object_of(item) for item in recalled(self._place(sha256)))
        except (ValueError, KeyError, TypeError):
            return None

    def put(self, sha256: str, objects: tuple[SharedObject, ...]) -> None:
        """Remember what a wheel's parts told."""
        keep(self._place(sha256), json.dumps(objects, default=plain))

    def _place(self, sha256: str) -> Path:
        return self._folder / judge_digest() / sha256
