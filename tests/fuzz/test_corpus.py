"""What the fuzzer begins with, and what it has found: each ends in success or in kpack's own error."""

from __future__ import annotations

import contextlib
import itertools
import random
from typing import TYPE_CHECKING

import pytest

from tests.fuzz.harnesses import ALL, ALLOWED
from tests.fuzz.run import CORPUS, kept
from tests.fuzz.tokens import changed
from tests.support import long

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


def several(name: str) -> int:
    """Return how many inputs are tried: some readers write files for each."""
    return (15 if name in {"environment", "wheel-files", "projects"} else 150) * (20 if long.ALL else 1)


@pytest.mark.parametrize("name", ALL)
def test_a_file_with_one_token_in_the_place_of_another_is_read_or_refused(name: str, tmp_path: Path) -> None:
    for folder in ("seeds", "work"):
        (tmp_path / folder).mkdir()
    files = changed(list(ALL[name].seeds(tmp_path / "seeds")), random.Random(name))
    for data in itertools.islice(files, several(name)):
        with contextlib.suppress(*ALLOWED):
            ALL[name].run(data, tmp_path / "work")


def test_every_kept_file_belongs_to_a_harness() -> None:
    assert {path.name for path in CORPUS.iterdir()} <= set(ALL)
