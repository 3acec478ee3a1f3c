"""Somebody's Python text is read, whatever it is."""

from __future__ import annotations

import ast
import warnings
from typing import TYPE_CHECKING

import pytest

from kpack.resolve.told_name import told_name
from kpack.resolve.worker.recipe import Recipe
from kpack.source.imports import of
from kpack.syntax import parsed
from tests.source.conftest import sdist

if TYPE_CHECKING:
    from pathlib import Path

TOO_MUCH = {
    "minus signs": "-" * 100_000 + "1",
    "parentheses": "f(" * 5_000,
    "attributes": "x" + ".a" * 50_000,
    "a null byte": "x = '\0'",
    "no Python": "print 'x'",
}


@pytest.mark.parametrize("text", TOO_MUCH.values(), ids=TOO_MUCH)
def test_what_is_too_much_for_the_parser_is_no_python(text: str, tmp_path: Path) -> None:
    assert parsed(text) is None
    assert parsed(text.encode()) is None
    (tmp_path / "setup.py").write_text(text)
    assert told_name(tmp_path) is None
    assert of(tmp_path, name="x") == frozenset()
    with sdist(tmp_path / "x-1.0.tar.gz", {"setup.py": text}, top="x-1.0/").open("rb") as stream:
        assert Recipe.of(stream)._setup().body == []


def test_nothing_is_said_of_somebodys_escapes_and_a_cell_may_await() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        tree = parsed(r"x = '\d'; await y")
    assert tree is not None
    assert isinstance(tree.body[1], ast.Expr)
