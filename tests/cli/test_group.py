from __future__ import annotations

import json
from typing import TYPE_CHECKING

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
