"""Verdicts on wheels, remembered by digest: the same bytes need not be judged twice by the same judge."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING

from packaging.version import InvalidVersion, Version

from kpack.files import write_text
from kpack.pack.wheel import Admitted, admit

if TYPE_CHECKING:
    from pathlib import Path

    from kpack.pack.content import WheelFile


@cache
def _judge() -> str:
    """Return a digest over the judge's own code, so that a changed judge forgets what it said before."""
    digest = hashlib.sha256()
    for package, name in (
        ("kpack.pack", "wheel.py"),
        ("kpack.restore", "wheelzip.py"),
        ("kpack.restore", "manifest.py"),
    ):
        digest.update(resources.files(package).joinpath(name).read_bytes())
    return digest.hexdigest()[:16]


class Verdicts:
    """What `admit` said about wheels, kept in ``folder`` under their digests.

    A verdict speaks for bytes of that SHA-256 only; the pack writer hashes what it copies, so a file that changed
    since is still found out. A wheel whose RECORD is wrong is judged anew each time.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __call__(self, wheel: WheelFile) -> Admitted:
        """Return the verdict on ``wheel``.

        Raises:
            IntegrityError: it may not enter a pack.

        """
        place = self.folder / _judge() / f"{wheel.sha256}-{hashlib.sha256(wheel.filename.encode()).hexdigest()[:16]}"
        known = _read(place)
        if known is not None:
            return known
        verdict = admit(wheel.path, wheel.filename, lax_record=wheel.lax_record)
        if not verdict.lax:
            write_text(place, json.dumps(asdict(verdict), default=str))
        return verdict


def _read(place: Path) -> Admitted | None:
    """Return a kept verdict, or None when there is none that can be read."""
    try:
        raw = json.loads(place.read_text(encoding="utf-8"))
        return Admitted(
            name=raw["name"],
            version=Version(raw["version"]),
            size=raw["size"],
            cuts=tuple(raw["cuts"]),
            unpacked=raw["unpacked"],
            files=raw["files"],
            lax=(),
        )
    except (OSError, ValueError, KeyError, TypeError, InvalidVersion):
        return None
