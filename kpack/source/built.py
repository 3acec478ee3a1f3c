"""A wheel that was made from a source, and the memory of such wheels."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING

from kpack.errors import UsageError
from kpack.files import keep, recalled, sha256_of
from kpack.resolve.model import Source, Wheel

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from kpack.cache import Cache

FORMAT = 3
"""Of the notes on built wheels; another way of building or normalising is another format."""

_LOCKED = ("filename", "sha256", "size", "url", "index")
"""What is kept of a build requirement."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BuiltWheel:
    """A wheel that was made from a source, in the cache."""

    path: Path
    filename: str
    sha256: str
    size: int
    """Bytes."""
    source: Source
    """With everything filled in that a rebuild needs."""
    pure: bool
    requires_dist: tuple[str, ...]
    against: tuple[tuple[str, str], ...] = ()
    """Names and versions of the interpreter's packages that its build looked at; empty for one in isolation."""
    note: str | None = None
    """A sentence for the user: the build is not reproducible, and where."""

    @property
    def wheel(self) -> Wheel:
        """The wheel as a resolution has it."""
        return Wheel(filename=self.filename, sha256=self.sha256, size=self.size, url=None)


class Memory:
    """Which wheel a source gave, by all that can change its bytes."""

    def __init__(self, cache: Cache) -> None:
        self.cache = cache

    def keep(self, source: Source, circumstances: Sequence[object], built: BuiltWheel) -> None:
        """Remember a wheel; one of a source without a digest is not."""
        if source.sha256 is None and source.commit is None:
            return
        requires = [asdict(item) for item in built.source.build_requires]
        note = {
            "filename": built.filename,
            "sha256": built.sha256,
            "size": built.size,
            "requires_dist": built.requires_dist,
            "built_on": built.source.built_on,
            "against": built.against,
            "build_requires": [{key: item[key] for key in _LOCKED} for item in requires],
        }
        keep(self._place(source, circumstances), json.dumps(note))

    def find(self, source: Source, circumstances: Sequence[object]) -> BuiltWheel | None:
        """Return the wheel that was made of ``source`` under the same circumstances, if it is there and whole."""
        try:
            note = recalled(self._place(source, circumstances))
            requires = tuple(Wheel(**item) for item in note["build_requires"])
            path = self.cache.find(note["sha256"], note["size"])
            if path is None or sha256_of(path) != note["sha256"]:
                return None
            return BuiltWheel(
                path=path,
                filename=note["filename"],
                sha256=note["sha256"],
                size=note["size"],
                source=replace(source, build_requires=requires, built_on=note["built_on"]),
                pure=note["built_on"] is None,
                requires_dist=tuple(note["requires_dist"]),
                against=tuple((name, version) for name, version in note["against"]),
            )
        except (ValueError, KeyError, TypeError, UsageError):  # none, or another version's note: build again
            return None

    def _place(self, source: Source, circumstances: Sequence[object]) -> Path:
        key = json.dumps(
            [
                FORMAT,
                source.kind,
                source.url if source.kind == "vcs" else None,
                source.sha256,
                source.commit,
                source.subdirectory,
                *circumstances,
            ]
        )
        return self.cache.built_dir / f"{hashlib.sha256(key.encode()).hexdigest()}.json"
