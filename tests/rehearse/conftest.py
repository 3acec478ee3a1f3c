"""Packs to rehearse, and a rehearsal in one call."""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from kpack import pack as packs
from kpack.cache import Cache
from kpack.rehearse import Rehearsal, RehearsalOptions, rehearse
from tests.restore import kit
from tests.support.interpreters import found
from tests.support.wheels import make_wheel

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from kpack.base import BaseImage

SERIES = "3.12" if "3.12" in found() else [*found()][-1]


@dataclass
class Theatre:
    """Rehearses packs of tiny wheels below ``folder``."""

    folder: Path
    phases: list[str] = field(default_factory=list)

    def wheel(self, name: str, code: str = "") -> Path:
        return make_wheel(self.folder, name, files={f"{name.replace('-', '_')}.py": code})

    def pack(self, wheels: Sequence[Path], *, series: Sequence[str] = (SERIES,), **facts: Any) -> Path:
        return kit.make_pack(self.folder / "dist", wheels, series=series, **facts).path

    def left(self) -> list[Path]:
        """Return what rehearsals left behind."""
        places = [self.folder / "temporary", self.folder / "cache" / "tmp"]
        return [left for place in places if place.exists() for left in place.iterdir()]

    def play(self, pack: Path, *, base: BaseImage | None = None, **options: Any) -> Rehearsal:
        return rehearse(
            packs.read(pack),
            RehearsalOptions(**options),
            base_of=lambda _: base,
            cache=Cache(self.folder / "cache"),
            on_phase=self.phases.append,
        )


@pytest.fixture
def theatre(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Theatre:
    """A place for rehearsals, whose temporary folders lie in ``tmp_path / "temporary"``."""
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    return Theatre(tmp_path)


@pytest.fixture
def walled() -> None:
    """Skip where the machine lets nothing be cut off."""
    if os.geteuid() != 0:
        pytest.skip("needs root, who may make namespaces on every Linux")
