"""What the fuzzer begins with, and what it has found: each ends in success or in kpack's own error."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.fuzz.harnesses import ALL, ALLOWED
from tests.fuzz.run import CORPUS, kept

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("name", ALL)
def test_what_was_found_is_read_or_refused(name: str, tmp_path: Path) -> None:
    harness = ALL[name]
    for folder in ("seeds", "work"):
        (tmp_path / folder).mkdir()
    seeds = list(harness.seeds(tmp_path / "seeds"))
    assert seeds
    for data in [*seeds, *kept(name), b""]:
        try:
            harness.run(data, tmp_path / "work")
        except ALLOWED:
            assert data not in seeds or name == "environment", "a right file is refused"


def test_every_kept_file_belongs_to_a_harness() -> None:
    assert {path.name for path in CORPUS.iterdir()} <= set(ALL)
