"""Files that anybody may have written, fed to the commands that read them: a sentence with the place, never a fault."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest

from kpack import cli
from kpack.environment import errors
from kpack.environment.patterns import MOST_PATTERNS
from kpack.environment.toml import DEEPEST
from tests.support.wheels import make_wheel

if TYPE_CHECKING:
    from pathlib import Path

DIGITS = "9" * 5000
HEAD = 'name = "x"\npython = "3.12"\n'
DEEP = {
    "arrays": f"x = {'[' * 50_000}",
    "closed arrays": f"x = {'[' * 300}{']' * 300}",
    "inline tables": f"x = {'{a=' * 5000}",
    "dotted key": f"x{'.a' * 20_000} = 1",
    "header": f"[{'a.' * 20_000}a]",
}
TOML: dict[str, str | bytes] = {
    **DEEP,
    "integer": f"x = {DIGITS}",
    "hexadecimal": f"x = 0x{'f' * 5000}",
    "date": "x = 2026-13-45",
    "nul": 'x = "\0"',
    "control": "x = \x1b[31m",
    "lone surrogate": r'x = "\ud800"',
    "unclosed": f"x = '''{chr(34) * 1000}",
    "not utf-8": b"x = '\xff'",
    "utf-16": "x = 1".encode("utf-16"),
}
"""What no TOML file may hold."""

ENVIRONMENTS = {
    "nan": "name = nan",
    "infinity": "name = inf",
    "end of the calendar": f"{HEAD}exclude-newer = 9999-12-31T23:59:59-23:59",
    "start of the calendar": f"{HEAD}exclude-newer = 0001-01-01T00:00:00+23:59",
    "size": f"{HEAD}max-size = {'9' * 4000}",
    "size in words": f'{HEAD}max-size = "{DIGITS} GB"',
    "parentheses": f"{HEAD}packages = [\"a; {'(' * 1000}os_name == 'x'{')' * 1000}\"]",
    "marker": f"{HEAD}packages = [\"a; python_version ~= 'x'\"]",
    "marker of a lock file": f"{HEAD}packages = [\"a; 'x' in extras\"]",
    "marker of a wheel": f"{HEAD}packages = [\"a @ https://h/a-1-py3-none-any.whl ; python_version ~= 'x'\"]",
    "version": f'{HEAD}packages = ["a=={DIGITS}"]',
    "caret": f'{HEAD}packages = ["a^{DIGITS}"]',
    "pin": f'{HEAD}exclude = ["a=={DIGITS}"]',
    "wheel": f'{HEAD}packages = ["a @ https://h/a-{DIGITS}-py3-none-any.whl"]',
    "host": f'{HEAD}packages = ["a @ https://[::1"]',
    "port": f'{HEAD}packages = ["a @ https://h:{"9" * 3000}/x"]',
    "checkpoint host": f'{HEAD}[[checkpoints]]\nurl = "http://[::1"\npath = "x"',
    "nul in a path": f'{HEAD}packages = ["./a\\u0000b"]',
    "nul in a base": 'name = "x"\nbase = "./a\\u0000b"',
    "long base": f'name = "x"\nbase = "./{"a" * 5000}.json"',
    "long key": f"{HEAD}{'k' * 100_000} = 1",
    "many keys": HEAD + "".join(f"k{number} = 1\n" for number in range(3000)),
    "dots": f'{HEAD}allow-source = ["{"a." * 20_000}a"]',
    "spaces": f'{HEAD}packages = ["a{" " * 100_000}!"]',
    "too large": "#" * ((1 << 20) + 1),
}
LOCKS = {
    "lock format": "[tool.kpack]\nformat = true",
    "lock that is one number": "tool = 1",
    "tool that is an array": "[[tool]]",
    "empty": "",
    "too large": "#" * ((16 << 20) + 1),
}
JSON: dict[str, str | bytes] = {
    "empty": "",
    "nested": "[" * 100_000,
    "nested objects": '{"a":' * 100_000,
    "integer": f'{{"kpack-base": {DIGITS}, "cells": {DIGITS}}}',
    "infinity": '{"kpack-base": 1e999, "cells": -1e999}',
    "nan": '{"kpack-base": NaN, "cells": NaN}',
    "lone surrogate": r'{"kpack-base": 1, "\ud800": 1}',
    "no object": "[]",
    "nul": "\0",
    "not utf-8": b'{"\xff": 1}',
    "two marks": '\ufeff\ufeff{"kpack-base": 1}',
    "too large": " " * ((32 << 20) + 1),
}
"""What is neither a snapshot nor a notebook."""

LINES = {
    "version": f"a=={DIGITS}",
    "wheel": f"https://h/a-{DIGITS}-py3-none-any.whl",
    "build": f"https://h/a-1-{DIGITS}-py3-none-any.whl",
    "local wheel": f"./a-{DIGITS}-py3-none-any.whl",
    "sdist": f"./a-{DIGITS}.tar.gz",
    "control": "a\x1b[31m",
    "nul": "./a\0b",
    "long path": "./" + "a" * 5000,
    "parentheses": f"a; {'(' * 5000}",
    "many words": "a " * 20_000,
    "dots": "a." * 50_000,
    "quotes": "'" * 50_001,
    "braces": "{" * 50_000,
    "at": "git+https://h/" + "@" * 50_000,
    "device": "-r /dev/zero",
    "named nul": "-r a\0b",
    "home": "~nosuchuser/x",
}
"""What ``pip install`` may be followed by; nothing of it stops `kpack init`."""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KPACK_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("KPACK_INDEX_URL", "http://127.0.0.1:9/simple")
    (tmp_path / "kaggle-env.toml").write_text(HEAD)
    return tmp_path


def answers(capsys: pytest.CaptureFixture[str], words: str, *codes: int) -> str:
    """Run a command line in this process; return what it said."""
    code = cli.run(words.split())
    said = capsys.readouterr()
    told = said.out + said.err
    assert "a fault in kpack" not in told, told[:500]
    assert code in codes, told[:500]
    assert len(told) < 100_000
    return told


def place(path: Path, content: str | bytes) -> bytes:
    raw = content if isinstance(content, bytes) else content.encode()
    path.write_bytes(raw)
    return raw


@pytest.mark.parametrize("words", ["status --offline", "add other", "lock --check", "lock"])
@pytest.mark.parametrize("content", [pytest.param(text, id=name) for name, text in TOML.items()])
def test_what_is_no_toml_is_told_by_file_and_line(
    project: Path, capsys: pytest.CaptureFixture[str], content: str | bytes, words: str
) -> None:
    raw = place(project / "kaggle-env.toml", content)
    assert "kaggle-env.toml:1: " in answers(capsys, words, 2)
    assert (project / "kaggle-env.toml").read_bytes() == raw


@pytest.mark.parametrize("words", ["remove x", "why x", "build --offline", "drift --base kaggle-cpu-py312-2026-08"])
@pytest.mark.parametrize("name", ["arrays", "dotted key", "integer", "nul"])
def test_every_command_that_reads_the_file_tells_the_same(
    project: Path, capsys: pytest.CaptureFixture[str], name: str, words: str
) -> None:
    place(project / "kaggle-env.toml", TOML[name])
    assert "kaggle-env.toml:1: " in answers(capsys, words, 2)


@pytest.mark.parametrize("content", [pytest.param(text, id=name) for name, text in ENVIRONMENTS.items()])
def test_what_no_environment_can_mean_is_a_mistake(
    project: Path, capsys: pytest.CaptureFixture[str], content: str
) -> None:
    raw = place(project / "kaggle-env.toml", content)
    assert "kaggle-env.toml" in answers(capsys, "add other", 2) + answers(capsys, "lock --check", 2)
    assert (project / "kaggle-env.toml").read_bytes() == raw


@pytest.mark.parametrize("words", ["status --offline", "why x", "build --offline", "lock"])
@pytest.mark.parametrize("content", [pytest.param(text, id=name) for name, text in {**TOML, **LOCKS}.items()])
def test_what_is_no_lock_stays_as_it_is(
    project: Path, capsys: pytest.CaptureFixture[str], content: str | bytes, words: str
) -> None:
    raw = place(project / "pylock.kaggle-env.toml", content)
    told = answers(capsys, words, 0 if words.startswith("status") else 5, 2)
    assert "pylock.kaggle-env.toml" in told or "it cannot be read" in told
    assert (project / "pylock.kaggle-env.toml").read_bytes() == raw


@pytest.mark.parametrize("content", [pytest.param(text, id=name) for name, text in JSON.items()])
def test_what_is_no_snapshot_is_told_by_file(
    project: Path, capsys: pytest.CaptureFixture[str], content: str | bytes
) -> None:
    place(project / "image.json", content)
    place(project / "kaggle-env.toml", 'name = "x"\nbase = "./image.json"\n')
    assert "image.json" in answers(capsys, "lock", 2)


@pytest.mark.parametrize("content", [pytest.param(text, id=name) for name, text in JSON.items()])
def test_what_is_no_notebook_writes_no_file(
    project: Path, capsys: pytest.CaptureFixture[str], content: str | bytes
) -> None:
    before = (project / "kaggle-env.toml").read_bytes()
    place(project / "n.ipynb", content)
    assert "n.ipynb" in answers(capsys, "init --force --python 3.12 --name y --from-notebook n.ipynb", 2)
    assert (project / "kaggle-env.toml").read_bytes() == before


@pytest.mark.parametrize("line", [pytest.param(text, id=name) for name, text in LINES.items()])
def test_a_line_that_cannot_be_read_is_a_note(project: Path, capsys: pytest.CaptureFixture[str], line: str) -> None:
    place(project / "n.ipynb", json.dumps({"cells": [{"cell_type": "code", "source": f"!pip install {line}"}]}))
    answers(capsys, "init --force --python 3.12 --name y --from-notebook n.ipynb", 2 if "\0" in line else 0)
    place(project / "r.txt", line)
    answers(capsys, "init --force --python 3.12 --name y --from-requirements r.txt", 0, 2)
    answers(capsys, "lock --check", 1, 2)


@pytest.mark.parametrize("kind", ["pipe", "folder", "device"])
@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("kaggle-env.toml", "--config kaggle-env.toml lock"),
        ("pylock.kaggle-env.toml", "why x"),
        ("r.txt", "init --force --python 3.12 --from-requirements r.txt"),
        ("n.ipynb", "init --force --python 3.12 --from-notebook n.ipynb"),
        ("x.kpack.bin", "verify x.kpack.bin"),
        ("x.kpack.bin", "inspect x.kpack.bin"),
        ("x.kpack.bin", "bootstrap x.kpack.bin"),
    ],
)
def test_what_is_no_regular_file_is_not_waited_for(
    project: Path, capsys: pytest.CaptureFixture[str], name: str, words: str, kind: str
) -> None:
    path = project / name
    path.unlink(missing_ok=True)
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    else:
        path.symlink_to("/dev/zero")
    told = answers(capsys, words, 2, 5, 7)
    assert name in told or (kind == "device" and "/dev/zero" in told)


@pytest.mark.parametrize("words", ["lock", "build", "status --offline", "why x"])
@pytest.mark.parametrize("config", [".", "..", "/", ""])
def test_a_folder_is_no_kaggle_env_toml(
    project: Path, capsys: pytest.CaptureFixture[str], config: str, words: str
) -> None:
    assert cli.run(["--config", config, *words.split()]) == 2
    assert "is a folder, not a file" in capsys.readouterr().err


def test_what_is_odd_and_right_is_taken(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wheel = make_wheel(project, "tiny").name
    for text in (f"\ufeff{HEAD}", HEAD.replace("\n", "\r\n")):
        place(project / "kaggle-env.toml", text + f'packages = ["./{wheel}"]\n')
        answers(capsys, "lock", 0)


def test_reading_stops_at_a_hundred_mistakes(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place(project / "kaggle-env.toml", HEAD + "".join(f"k{number} = 1\n" for number in range(errors.MOST + 50)))
    assert f"{errors.MOST} mistakes or more" in answers(capsys, "lock", 2)


def test_patterns_have_a_stated_number(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    patterns = ", ".join(f'"a{number}*"' for number in range(MOST_PATTERNS + 1))
    place(project / "kaggle-env.toml", f"{HEAD}exclude = [{patterns}]")
    assert f"more than {MOST_PATTERNS} patterns" in answers(capsys, "lock", 2)
    table = f'[[indexes]]\nname = "i"\nurl = "https://h/simple"\npackages = [{patterns}]'
    place(project / "kaggle-env.toml", HEAD + table)
    assert f"more than {MOST_PATTERNS} patterns" in answers(capsys, "lock", 2)


def test_levels_have_a_stated_number(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place(project / "kaggle-env.toml", f"{HEAD}\nx{'.a' * DEEPEST} = 1")
    told = answers(capsys, "lock", 2)
    assert f"kaggle-env.toml:4: is nested more than {DEEPEST} levels deep" in told
