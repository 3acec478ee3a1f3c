"""Taplo, which editors check and complete TOML with, understands the file that ``kpack init`` writes.

Taplo comes from npm (its command line, and its language server as editors embed it); without npm nothing is proved.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.cli.run import kpack
from tests.support.long import long_list

PACKAGES = ("@taplo/cli@0.7.0", "@taplo/lsp@0.8.0")
CLIENT = Path(__file__).with_name("taplo.mjs")

pytestmark = [
    long_list,
    pytest.mark.index,
    pytest.mark.skipif(shutil.which("npm") is None, reason="npm, from which Taplo comes, is not on this machine"),
]


@pytest.fixture(scope="module")
def taplo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("taplo")
    install = ["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", str(folder), *PACKAGES]
    subprocess.run(install, check=True, capture_output=True, cwd=folder)
    return folder


@pytest.fixture
def file(tmp_path: Path) -> Path:
    assert kpack(tmp_path, "init").code == 0
    return tmp_path / "kaggle-env.toml"


def lint(taplo: Path, file: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [str(taplo / "node_modules" / ".bin" / "taplo"), "lint", "--colors", "never", *words, file.name]
    return subprocess.run(command, cwd=file.parent, capture_output=True, text=True, check=False)


def ask(taplo: Path, file: Path, text: str, *questions: str) -> list[Any]:
    """Append ``text`` to the file and ask; a question's line counts from the first line of ``text``."""
    before = file.read_text().count("\n")
    with file.open("a") as stream:
        stream.write(text)
    asked = []
    for question in questions:
        method, line, character = question.split(":")
        asked.append(f"{method}:{before + int(line)}:{character}")
    command = ["node", str(CLIENT), str(taplo), str(file), *asked]
    done = subprocess.run(command, cwd=file.parent, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    schema: str
    answers: list[Any]
    schema, *answers = json.loads(done.stdout)
    assert schema == (file.parent / ".kaggle-env.schema.json").as_uri()
    return answers


def test_lint_finds_the_schema_that_init_names_and_takes_what_init_wrote(taplo: Path, file: Path) -> None:
    done = lint(taplo, file)
    assert done.returncode == 0, done.stderr


def test_lint_refuses_a_misspelled_key_by_the_comment_and_by_the_option(taplo: Path, file: Path) -> None:
    text = file.read_text().replace("packages = [", "pakages = [", 1)
    file.write_text(text)
    by_comment = lint(taplo, file)
    file.write_text(text.partition("\n")[2])
    by_option = lint(taplo, file, "--schema", (file.parent / ".kaggle-env.schema.json").as_uri())
    for done in (by_comment, by_option):
        assert done.returncode == 1
        assert "'pakages' was unexpected" in done.stderr


def test_hover_shows_what_a_key_means_and_an_example(taplo: Path, file: Path) -> None:
    [key, nested] = ask(taplo, file, "replace = []\n[restore]\nenv = {}\n", "hover:0:2", "hover:2:1")
    assert "may bring in another version" in key["contents"]["value"]
    assert 'replace = ["tokenizers"]' in key["contents"]["value"]
    assert 'NLTK_DATA = "{directory}/nltk_data"' in nested["contents"]["value"]


def test_hover_speaks_of_lists_and_at_the_header_of_tables_and_at_their_values(taplo: Path, file: Path) -> None:
    """At a key within ``[[checkpoints]]`` Taplo has nothing to show, whatever the schema says: its issue 278."""
    text = 'exclude = ["numpy"]\n[[checkpoints]]\nurl = "https://host/a"\npath = "a"\n'
    [key, header, value] = ask(taplo, file, text, "hover:0:2", "hover:1:4", "hover:2:9")
    assert 'exclude = ["nvidia-*"' in key["contents"]["value"]
    assert "Model files that travel with the packages" in header["contents"]["value"]
    assert "Where the file is fetched" in value["contents"]["value"]


def test_completion_offers_keys_with_their_meaning_and_the_words_that_a_key_takes(taplo: Path, file: Path) -> None:
    text = 'accelerator = ""\n\n[[indexes]]\nformat = ""\n\n'
    keys, words, inner = ask(taplo, file, text, "completion:1:0", "completion:0:15", "completion:4:0")
    offered = {item["label"]: str(item.get("documentation")) for item in keys}
    assert {"exclude-newer", "allow-source", "python"} <= offered.keys()
    assert "exclude-newer = 2026-11-01" in offered["exclude-newer"]
    assert {'"T4"', '"P100"'} <= {item["label"] for item in words}
    assert {"url", "packages"} <= {item["label"] for item in inner}
