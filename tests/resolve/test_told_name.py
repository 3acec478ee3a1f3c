"""The name that a project's texts give, before anything of it is run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from kpack.resolve.told_name import told_name

if TYPE_CHECKING:
    from pathlib import Path

TOLD = {
    "pyproject": {"pyproject.toml": '[project]\nname = "My_Own"\n', "setup.py": "setup(name='other')"},
    "poetry": {"pyproject.toml": '[tool.poetry]\nname = "my.own"\n'},
    "an sdist": {"pyproject.toml": "[build-system]\n", "PKG-INFO": "Metadata-Version: 2.1\nNAME: my-own\n\nName: no\n"},
    "setup.cfg": {"setup.cfg": "[metadata]\nname = my-own\n", "setup.py": "import setuptools; setuptools.setup()"},
    "setup.py": {"setup.py": "import setuptools\nsetuptools.setup(version='1', name='my-own')\n"},
    "a variable of setup.py": {"setup.py": "NAME = 'my-own'\nif True:\n    setup(name=NAME)\n"},
    "after a text that is none": {"pyproject.toml": "[project", "setup.cfg": "x", "setup.py": "setup(name='my-own')"},
}
SILENT = {
    "nothing": {},
    "no text": {"pyproject.toml": "[project]\nname = 3\n"},
    "no table": {"pyproject.toml": "project = 'x'\ntool = 1\n"},
    "worked out": {"setup.py": "setup(name='my' + '-own')\nsetup(**words)\nother(name='no')\nsetup(name=gone)\n"},
    "nested without end": {"setup.py": "(" * 5000, "pyproject.toml": "x = " + "[" * 5000},
}


def written(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (folder / name).write_text(text)
    return folder


@pytest.mark.parametrize("case", TOLD)
def test_the_first_text_that_gives_a_name_counts(tmp_path: Path, case: str) -> None:
    assert told_name(written(tmp_path, TOLD[case])) == "my-own"


@pytest.mark.parametrize("case", SILENT)
def test_what_is_not_said_in_plain_words_is_not_guessed(tmp_path: Path, case: str) -> None:
    assert told_name(written(tmp_path, SILENT[case])) is None


def test_what_is_no_file_or_larger_than_any_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").mkdir()
    (tmp_path / "setup.cfg").write_text("[metadata]\nname = a\n" + "#" * (1 << 20))
    (tmp_path / "setup.py").write_bytes(b"setup(name='\xff')")
    assert told_name(tmp_path) is None
