"""The package index knows kpack as ``kaggle-kpack``; the distribution ``kpack`` there is somebody else's."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
import zipfile
from email import message_from_bytes
from pathlib import Path

import pytest
from pip._internal.models.index import PyPI

from kpack import DISTRIBUTION
from kpack.errors import installing, typed
from kpack.files import sha256_of
from tests.support.long import long_list

ROOT = Path(__file__).parents[1]
TEXTS = (
    *(path for folder in ("kpack", "examples", "benchmarks", "tests") for path in sorted((ROOT / folder).rglob("*"))),
    *sorted(ROOT.glob("*.md")),
    *sorted((ROOT / "schemas").glob("*.json")),
    ROOT / "Makefile",
    ROOT / "pyproject.toml",
    ROOT / ".ci" / "run",
)
TEXT_SUFFIXES = ("", ".py", ".md", ".json", ".toml", ".ipynb", ".txt", ".html", ".sh", ".yaml")
FOREIGN = re.compile(
    r"""
    \b (?: (?: pip3? | pipx | uv | conda | poetry | pdm ) \s+ (?: pip \s+ | tool \s+ )?
           (?: install | add | download | inject | upgrade | run ) \b | uvx \b ) [^\n`]*?
    (?<![\w./{-]) kpack (?= \[ | [=<>~!]= | ['"`]* (?: \s | $ ) )
  | (?<![\w./{-]) kpack \[ [a-z]+ \]
    """,
    re.VERBOSE | re.MULTILINE,
)
"""A command that installs the distribution ``kpack``, or that name with an extra."""


@pytest.mark.parametrize(
    "line",
    [
        "pip install {}",
        "pip install '{}[hf]'",
        "%pip install -q --upgrade {}==0.2",
        "uv add {}",
        "uvx {}",
        "uv run --with {} x",
        "pipx inject x {}",
        "{}[kaggle] is needed",
    ],
)
def test_the_search_finds_the_foreign_name(line: str) -> None:
    assert FOREIGN.search(line.format("kpack"))
    assert not FOREIGN.search(line.format(DISTRIBUTION))


def test_no_text_names_another_distribution() -> None:
    found = []
    for path in TEXTS:
        if path.is_file() and path != Path(__file__) and path.suffix in TEXT_SUFFIXES:
            text = path.read_text(encoding="utf-8", errors="replace")  # a kept input of a fuzzer is no text
            found += [f"{path.relative_to(ROOT)}: {match[0]}" for match in FOREIGN.finditer(text)]
    assert not found


def test_no_text_names_the_host_of_the_package_index() -> None:
    """Which one it is, pip knows; a test that asked it by name would ask it for real."""
    docs = [*(ROOT / "docs").rglob("*.md"), *(ROOT / "docs").rglob("*.py")]
    found = []
    for path in (*TEXTS, *docs):
        # by who tries an example where it lies
        made = path.name.startswith("pylock.") or "dist" in path.relative_to(ROOT).parts
        if path.is_file() and path.suffix in TEXT_SUFFIXES and not made:
            text = path.read_text(encoding="utf-8", errors="replace")
            found += [str(path.relative_to(ROOT)) for host in (PyPI.netloc, PyPI.file_storage_domain) if host in text]
    assert not found


def test_the_project_and_its_extras_bear_the_name() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["name"] == DISTRIBUTION
    assert {"hf", "kaggle"} <= project["optional-dependencies"].keys()
    assert project["scripts"] == {"kpack": "kpack.__main__:main"}


@pytest.mark.index
def test_the_wheel_bears_the_name_and_says_that_it_is_typed(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--retries=10", "-w", tmp_path, ROOT], check=True
    )
    (wheel,) = tmp_path.iterdir()
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        (metadata,) = (name for name in names if name.endswith(".dist-info/METADATA"))
        message = message_from_bytes(archive.read(metadata))
    assert message["Name"] == DISTRIBUTION
    assert {"hf", "kaggle"} <= set(message.get_all("Provides-Extra", []))
    assert message.get_all("Project-URL")
    assert "kpack/py.typed" in names
    assert {name.partition("/")[0] for name in names} == {"kpack", metadata.partition("/")[0]}


@pytest.mark.index
@long_list
def test_two_builds_from_two_folders_on_two_days_are_the_same_bytes(tmp_path: Path) -> None:
    """The sdist, and the wheel that is made of it: by the build backend that pyproject.toml names."""
    digests = []
    for name, moment in (("one", 1_700_000_000), ("other", 1_750_000_000)):
        tree = tmp_path / name / "kpack"
        files = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
        for file in filter(None, files.split("\0")):
            (tree / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / file, tree / file)
            os.utime(tree / file, (moment, moment))
        subprocess.run(
            [
                sys.executable,
                "-m",
                "pip",
                "install",
                "--quiet",
                "--retries=10",
                "--target",
                tmp_path / "tool",
                "hatchling",
            ],
            check=True,
        )
        environ = {**os.environ, "PYTHONPATH": str(tmp_path / "tool")}
        subprocess.run(
            [sys.executable, "-m", "hatchling", "build", "-d", tmp_path / name], cwd=tree, env=environ, check=True
        )
        digests.append({path.name: sha256_of(path) for path in (tmp_path / name).iterdir() if path.is_file()})
    assert len(digests[0]) == 2
    assert digests[0] == digests[1]


@pytest.mark.parametrize(
    ("mark", "extra", "newest"),
    [
        ("pyvenv.cfg", 'pip install "kaggle-kpack[hf]"', "pip install -U kaggle-kpack"),
        ("uv-receipt.toml", 'uv tool install "kaggle-kpack[hf]"', "uv tool upgrade kaggle-kpack"),
        ("pipx_metadata.json", 'pipx install --force "kaggle-kpack[hf]"', "pipx upgrade kaggle-kpack"),
    ],
)
def test_advice_to_install_reaches_where_kpack_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mark: str, extra: str, newest: str
) -> None:
    tmp_path.joinpath(mark).touch()
    monkeypatch.setattr("sys.prefix", str(tmp_path))
    assert (installing("hf"), installing()) == (extra, newest)


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        (["kpack", "lock"], "kpack lock"),
        (["kpack", "add", "jiwer>=3"], 'kpack add "jiwer>=3"'),
        (["a b", "c[d]"], '"a b" "c[d]"'),
        (["$(x)", "a'b", 'a"b'], "'$(x)' \"a'b\" 'a\"b'"),
        ([""], '""'),
    ],
)
def test_words_to_type_are_quoted_as_shells_of_linux_and_windows_know(words: list[str], wanted: str) -> None:
    assert typed(*words) == wanted
    assert shlex.split(wanted) == words
