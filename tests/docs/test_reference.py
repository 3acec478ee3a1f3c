"""The pages of the reference say what the code says, all of it."""

from __future__ import annotations

import re

import pytest

from docs import generate
from kpack import library
from tests.docs.blocks import ROOT


@pytest.mark.parametrize("page", sorted(generate.pages()))
def test_a_page_of_the_reference_is_what_the_code_makes(page: str) -> None:
    """When it fails: ``python -m docs.generate``."""
    assert (generate.FOLDER / page).read_text(encoding="utf-8") == generate.pages()[page]


def test_every_variable_that_the_code_has_is_told_and_no_other() -> None:
    texts = (path.read_text(encoding="utf-8") for path in sorted((ROOT / "kpack").rglob("*.py")))
    there = {name for text in texts for name in re.findall(r"\bKPACK_[A-Z_]*[A-Z]\b", text)}
    assert there == generate.VARIABLES.keys()


def test_every_page_of_the_folder_but_three_is_made() -> None:
    by_hand = {"index.md", "python.md", "the-line.md"}
    assert {path.name for path in generate.FOLDER.iterdir()} == {*generate.pages(), *by_hand}


def test_the_page_for_python_shows_all_that_the_module_offers() -> None:
    text = (generate.FOLDER / "python.md").read_text(encoding="utf-8")
    shown = set(re.findall(r"^\.\. auto\w+:: kpack\.(\w+)$", text, re.MULTILINE))
    assert shown == set(library.__all__)
