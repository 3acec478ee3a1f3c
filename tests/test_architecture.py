"""ARCHITECTURE.md speaks of what is there: every file that it names, and every room."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.test_layers import ROOMS

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
NAMED = sorted(set(re.findall(r"`((?:kpack|tests|schemas|benchmarks|examples)/[A-Za-z0-9_./-]*)", TEXT)))
TABLE = dict(re.findall(r"^\| `kpack/([a-z_]+)(?:\.py|/)` \| .* \| (.*?) ?\|$", TEXT, re.MULTILINE))


@pytest.mark.parametrize("name", NAMED)
def test_every_file_and_folder_that_it_names_is_there(name: str) -> None:
    assert (ROOT / name).is_dir() if name.endswith("/") else (ROOT / name).is_file()


def test_it_names_many_files_and_each_room_once() -> None:
    assert len(NAMED) > 40
    assert TABLE.keys() == ROOMS.keys() - {"", "__main__"}


@pytest.mark.parametrize("room", sorted(TABLE))
def test_what_a_room_leans_on_is_what_the_test_of_the_layers_holds(room: str) -> None:
    said = TABLE[room]
    if said.startswith(("all but", "every room")):
        return
    assert {name.strip() for name in said.split(",")} - {"", "nothing of kpack"} == set(ROOMS[room].split())


def test_the_readme_and_the_guide_lead_to_it() -> None:
    for name in ("README.md", "CONTRIBUTING.md"):
        assert "ARCHITECTURE.md" in (ROOT / name).read_text(encoding="utf-8")
