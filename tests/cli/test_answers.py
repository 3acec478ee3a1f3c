"""The JSON of every command: a schema for each, and each held against what is really printed."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click
import pytest

from kpack.cli import COMMANDS, group
from tests.support.answers import FOLDER, SUFFIX, checked, name_of
from tests.support.wheels import make_wheel

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.cli.conftest import Desk

ELSEWHERE = {
    "audit": "tests/test_audit.py",
    "notebook": "tests/publish/test_notebooks.py",
    "push": "tests/publish/test_push.py",
    "rehearse": "tests/rehearse/test_rehearse.py",
}
"""Commands whose objects other tests read, by `tests.support.answers` too: they need a Kaggle, a kernel, a service."""


def commands() -> Iterator[tuple[str, click.Command]]:
    """Yield every command, those of a group as ``cache-size``."""
    context = click.Context(group)
    for name in COMMANDS:
        command = group.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group):
            yield from ((f"{name}-{part}", found) for part, found in command.commands.items())
        else:
            yield name, command


WITH_JSON = {name for name, command in commands() if any("--json" in param.opts for param in command.params)}


def test_every_command_has_json_and_each_has_a_schema() -> None:
    assert {name for name, _ in commands()} == WITH_JSON
    assert {path.name.removesuffix(SUFFIX) for path in FOLDER.iterdir()} == WITH_JSON | {"error"}


@pytest.mark.parametrize("name", ELSEWHERE)
def test_what_other_tests_read_is_read_there(name: str) -> None:
    text = FOLDER.parents[1].joinpath(ELSEWHERE[name]).read_text(encoding="utf-8")
    assert "--json" in text
    assert "checked(" in text or ".json" in text


def test_what_every_command_prints_is_what_its_schema_says(desk: Desk) -> None:
    seen, wrong = set(), []

    def ask(*words: str, code: int = 0) -> None:
        text = desk(*words, "--json", code=code)
        try:
            value = checked(words, text)
        except AssertionError as error:
            wrong.append(str(error))
        else:
            seen.add("error" if "error" in value else name_of(words))

    desk.index.add(make_wheel(desk.folder / "served", "beta", "1.0"))
    (desk.folder / "w.bin").write_bytes(b"weights" * 100)
    (desk.folder / "n.py").write_text("import subprocess\nsubprocess.run(['pip', 'install', 'beta'])\nimport nosuch\n")
    ask("init", "--from", "n.py", "--python", "3.12")
    ask("verify", code=7)
    desk.wants(
        ("alpha", "1.0"),
        requires=["beta"],
        files={"alpha.py": "", "alpha.pth": "import alpha\n"},
        more='[[checkpoints]]\nurl = "file:w.bin"\npath = "w.bin"\n',
    )
    ask("add", "gamma")
    ask("remove", "gamma")
    ask("status", "--offline")
    ask("lock", "--check", code=1)
    ask("lock")
    ask("why", "beta")
    (desk.folder / "code.py").write_text("DONE = True\n")
    ask("record", "code.py", "--dry-run")
    ask("build")
    ask("status", "--offline")
    pack = "dist/tiny.kpack.bin"
    for words in (["verify"], ["inspect"], ["inspect", "--html", "pack.html"], ["bootstrap"], ["diff", pack]):
        ask(words[0], pack, *words[1:])
    assert "brought" in (desk.folder / "pack.html").read_text()
    ask("diff", "pylock.kaggle-env.toml", pack)
    ask("restore", pack, "--target", "env", "--dry-run")
    ask("drift", pack, "--base", "kaggle-cpu-py312-2026-08", code=1)
    ask("probe")
    ask("probe", "--list")
    ask("completion", "bash")
    for words in (["dir"], ["size"], ["prune"], ["verify"]):
        ask("cache", *words)
    assert not wrong
    assert seen == (WITH_JSON | {"error"}) - ELSEWHERE.keys()


def test_schemas_say_what_each_object_is() -> None:
    for path in sorted(FOLDER.iterdir()):
        schema = json.loads(path.read_text(encoding="utf-8"))
        assert schema["title"]
        assert schema["description"]
