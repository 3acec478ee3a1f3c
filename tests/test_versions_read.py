"""A number of more than 4,300 digits is a ValueError of Python's own: who catches `InvalidVersion` alone misses it."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from kpack.resolve.worker.files import read_name
from kpack.restore.versions import Version

ROOT = Path(__file__).parents[1]
NARROW = {"InvalidVersion", "InvalidSpecifier", "InvalidWheelFilename", "InvalidSdistFilename"}
LONG = "1" * 5000


def test_no_module_catches_only_what_packaging_raises() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in (ROOT / "kpack").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ExceptHandler) and node.type is not None
        if NARROW & {each.id for each in ast.walk(node.type) if isinstance(each, ast.Name)}
    ]
    assert found == []


@pytest.mark.parametrize("tag", [f"cp{LONG}-none-any", f"cp3{LONG}-abi3-any", f"cp312-cp312-manylinux_2_{LONG}_x86_64"])
def test_a_file_whose_name_no_file_can_have_is_not_on_a_page(tag: str) -> None:
    assert read_name("top", f"top-2.0-{tag}.whl") is None
    assert read_name("top", "top-2.0-cp312-cp312-manylinux_2_17_x86_64.whl") is not None


@pytest.mark.parametrize("text", [LONG, f"1.0+{LONG}", f"1.0rc{LONG}"])
def test_the_engine_takes_no_such_version(text: str) -> None:
    with pytest.raises(ValueError, match="not a version"):
        Version(text)
    assert Version(f"1.0+{LONG[:900]}") > Version("1.0")
