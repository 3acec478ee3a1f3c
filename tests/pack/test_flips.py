"""A changed byte of every class of bytes of a pack; ``python -m tests.pack.flips`` tries thousands."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.pack import flips

if TYPE_CHECKING:
    from pathlib import Path


def test_a_changed_byte_is_refused_or_one_that_no_restore_reads(tmp_path: Path) -> None:
    scene = flips.Scene(tmp_path)
    outcome = flips.run(scene, 60, 0, by_line=0)
    assert outcome.problems == []
    assert {kind for kind, _ in outcome.counts} == set(scene.classes()) - {"the line"}
    assert {kind for kind, refused in outcome.counts if not refused} <= set(flips.HARMLESS)
