"""The JSON of every command: a schema for each, and each held against what is really printed."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click
import pytest

from kpack import cli
from kpack.cli import COMMANDS, group
from kpack.errors import MachineError
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


def no_clipboard(_: str) -> str:
    raise MachineError("there is no clipboard here")


def test_what_every_command_prints_is_what_its_schema_says(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kpack.cli.clipboard.copy", no_clipboard)
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
    ask("bootstrap", pack, "--copy", code=7)
    assert "exec(" in desk("bootstrap", pack, "--copy", code=7), "a person has the line, copied or not"
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


def objects(schema: dict[str, Any], place: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each object of a schema and where it is."""
    if schema.get("type") == "object":
        yield place, schema
    held = schema.get("additionalProperties")
    inside = [(f"{place}.{key}", value) for key, value in schema.get("properties", {}).items()]
    inside += [(place, one) for one in schema.get("anyOf", ())]
    inside += [(f"{place}[]", schema["items"])] if "items" in schema else []
    inside += [(f"{place}{{}}", held)] if isinstance(held, dict) else []
    for where, value in inside:
        yield from objects(value, where)


def test_schemas_are_closed_and_say_what_each_key_is() -> None:
    for path in sorted(FOLDER.iterdir()):
        schema = json.loads(path.read_text(encoding="utf-8"))
        assert schema["title"]
        assert schema["description"]
        for place, found in objects(schema, path.name.removesuffix(SUFFIX)):
            more = found.get("additionalProperties", True)
            assert more is False or isinstance(more, dict) or "description" in found, f"{place} takes any key"
            for key, value in found.get("properties", {}).items():
                assert value.get("description"), f"{place}.{key} is not described"


@pytest.mark.parametrize("name", sorted(WITH_JSON))
def test_usage_errors_are_objects_too(desk: Desk, name: str) -> None:
    command = name.split("-") if name.startswith("cache-") else [name]
    error = json.loads(desk(*command, "--nosuch", "--json", code=2))["error"]
    assert "--nosuch" in error["what"]
    assert f"kpack {' '.join(command)} --help" in error["next"]


def test_the_word_behind_two_dashes_is_no_option(desk: Desk) -> None:
    desk.wants(("alpha", "1.0"))
    assert cli.run(["add", "--", "--json"]) == 2
    said = desk.capture.readouterr()
    assert (said.out, "is not a requirement" in said.err) == ("", True)


@pytest.mark.parametrize("words", ["--working nan", "--working inf", "--working -1", "--wait nan", "--wait inf"])
def test_amounts_that_are_none_are_usage_errors(desk: Desk, words: str) -> None:
    assert "Invalid value" in json.loads(desk("rehearse", *words.split(), "--json", code=2))["error"]["what"]


def test_one_command_line_asks_for_one_answer(desk: Desk) -> None:
    for other in ("--json", "--html=page.html"):
        said = desk("inspect", "--format", "cyclonedx", other, code=2)
        assert "--format cyclonedx is an answer of its own" in said
    assert not (desk.folder / "page.html").exists()
