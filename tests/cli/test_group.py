from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import click
import pytest

from kpack import cli
from tests.cli.run import kpack
from tests.support.index import IndexServer

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("words", [[], ["--help"]])
def test_the_group_lists_every_command(tmp_path: Path, words: list[str]) -> None:
    done = kpack(tmp_path, *words)
    for name in cli.COMMANDS:
        assert f"\n  {name} " in done.out + done.err


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_every_command_has_help_with_an_example_on_a_line_of_its_own(tmp_path: Path, name: str) -> None:
    done = kpack(tmp_path, name, "--help")
    assert done.code == 0
    assert "\\b" not in done.out
    assert any(line.strip().startswith(f"kpack {name}") for line in done.out.splitlines())


def test_a_misspelt_command_is_named_with_its_neighbour(tmp_path: Path) -> None:
    done = kpack(tmp_path, "lokc", "--json")
    assert done.code == 2
    assert "Did you mean 'kpack lock'?" in done.error["what"]


@pytest.mark.parametrize(("word", "meant"), [("instal", "add"), ("uninstal", "remove"), ("update", "lock --upgrade")])
def test_the_words_of_other_tools_lead_to_what_it_is_called_here(tmp_path: Path, word: str, meant: str) -> None:
    done = kpack(tmp_path, word, "--json")
    assert done.code == 2
    assert f"Did you mean 'kpack {meant}'?" in done.error["what"]


def test_config_may_stand_before_or_behind_the_command(tmp_path: Path) -> None:
    (tmp_path / "gpu.toml").write_text('name = "x"\npython = "3.12"\n')
    for words in (
        ["--config", "gpu.toml", "add", "a"],
        ["add", "b", "--config", "gpu.toml"],
        ["add", "--config=gpu.toml", "c"],
    ):
        assert kpack(tmp_path, *words).code == 0
    assert 'packages = ["a", "b", "c"]' in (tmp_path / "gpu.toml").read_text()


def test_a_terminal_that_lacks_letters_stops_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "é"
    folder.mkdir()
    (folder / "model.ckpt").write_bytes(b"x")
    (folder / "kaggle-env.toml").write_text(
        'name = "x"\npython = "3.12"\n[[checkpoints]]\nurl = "file:model.ckpt"\npath = "m"\n'
    )
    with IndexServer() as index:
        surroundings = {"KPACK_INDEX_URL": index.url, "KPACK_CACHE": str(tmp_path / "cache")}
        done = kpack(folder, "lock", PYTHONIOENCODING="ascii", **surroundings)
        assert done.code == 0, done.err
        assert "checkpoint m" in done.out
        assert kpack(folder, "lock", "--json", PYTHONIOENCODING="cp1252", **surroundings).json["changed"] is False


def test_a_fault_in_kpack_reaches_nobody_as_a_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    def fail(_: object) -> None:
        raise ValueError("not thought of")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("kpack.environment.find", fail)
    assert cli.run(["lock", "--check", "--json"]) == 7
    error = json.loads(capsys.readouterr().out)["error"]
    assert error["what"] == "a fault in kpack itself: ValueError: not thought of"
    assert "--debug" in error["next"]
    with pytest.raises(ValueError, match="not thought of"):
        cli.run(["--debug", "lock", "--check"])


def test_too_little_memory_is_no_fault_in_kpack(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    def fail(_: object) -> None:
        raise MemoryError

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("kpack.environment.find", fail)
    assert cli.run(["lock", "--check"]) == 7
    assert "kpack: there is not enough memory" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        ("help", "kpack --help"),
        ("help lock", "kpack lock --help"),
        ("version", "kpack --version"),
        ("line", "kpack bootstrap"),
        ("doctor", "kpack status"),
        ("cache clear", "kpack cache prune --all"),
        ("cache prun", "kpack cache prune"),
    ],
)
def test_a_word_that_could_have_been_guessed_leads_to_the_one_here(tmp_path: Path, words: str, meant: str) -> None:
    done = kpack(tmp_path, *words.split(), "--json")
    assert done.code == 2
    assert f"Did you mean '{meant}'?" in done.error["what"]


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        ("init nb.ipynb", "kpack init --from nb.ipynb takes over"),
        ("lock numpy", "kpack add numpy asks for it; kpack lock -P numpy lets go of its pin"),
        ("lock --upgrade numpy torch", "kpack add numpy asks for it; kpack lock -P numpy lets go of its pin"),
        ("probe gpu", "kpack probe --kaggle gpu runs it"),
        ("build gpu.toml", "kpack --config gpu.toml build takes another kaggle-env.toml"),
        ("build numpy", "see kpack build --help"),
    ],
)
def test_a_word_that_has_no_place_behind_a_command_is_told_its_own(tmp_path: Path, words: str, meant: str) -> None:
    done = kpack(tmp_path, *words.split(), "--json")
    assert done.code == 2
    assert done.error["next"].startswith(meant)
    assert done.error["next"].endswith(f"see kpack {words.split()[0]} --help")


def every_command() -> list[tuple[str, click.Command]]:
    found = []
    for name in cli.COMMANDS:
        command = cli.group.get_command(click.Context(cli.group), name)
        assert command is not None
        found.append((name, command))
        if isinstance(command, click.Group):
            found += [(f"{name} {below}", each) for below, each in command.commands.items()]
    return found


@pytest.mark.parametrize(("words", "command"), every_command())
def test_help_fits_a_terminal_of_eighty_columns_and_is_whole(words: str, command: click.Command) -> None:
    shown = command.get_help(click.Context(command, info_name=f"kpack {words}", terminal_width=80))
    assert [row for row in shown.splitlines() if len(row) > 80] == []
    assert "..." not in shown.partition("Commands:")[2]
    options = [each for each in command.params if isinstance(each, click.Option)]
    assert [each.name for each in options if not each.help] == []
    many = {each.name for each in options if each.multiple}
    assert {each.name for each in options if re.search("more than once|repeatable", each.help or "")} == many
