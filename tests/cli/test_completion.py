"""Completion, asked as shells ask for it; and by the shells themselves, where they are."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import click
import pytest
from click.shell_completion import ShellComplete

from kpack.cli import COMMANDS, group
from kpack.cli.completion import VARIABLE
from tests.support.long import listed
from tests.support.terminal import ROOT

if TYPE_CHECKING:
    from pathlib import Path

TEXT = """
name = "demo"
python = "3.12"
packages = ["timm>=1", "tabpfn @ https://host/tabpfn.whl", "./fork"]
replace = ["tornado"]

[[checkpoints]]
url = "https://host/m.ckpt"
path = "checkpoints/m.ckpt"
"""

SHELLS = {
    "bash": 'eval "$(kpack completion bash)"; COMP_WORDS=(kpack {words}); COMP_CWORD={last}; _kpack_completion kpack;'
    ' printf "%s\\n" "${{COMPREPLY[@]}}"',
    # Without a terminal zsh completes nothing: its own functions stand in, and print what they are given.
    "zsh": "compdef() {{ }}; compadd() {{ print -l -- ${{(P)@[$#]}} }}; _describe() {{ print -l -- ${{(P)3}} }};"
    ' eval "$(kpack completion zsh)"; words=(kpack {words}); CURRENT={last}+1; _kpack_completion',
    "fish": 'kpack completion fish | source; complete -C "kpack {line}"',
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "kaggle-env.toml").write_text(TEXT)
    return tmp_path


def offered(*words: str, last: str = "") -> list[str]:
    found = ShellComplete(group, {}, "kpack", VARIABLE).get_completions(list(words), last)
    return [item.value for item in found]


def test_commands_and_options_are_offered() -> None:
    assert offered() == list(COMMANDS)
    assert offered(last="lo") == ["lock"]
    assert {"--check", "--strict", "--json", "--upgrade"} <= set(offered("lock", last="--"))


@pytest.mark.parametrize("words", [["init", "--base"], ["drift", "--base"]])
def test_images_are_offered(words: list[str]) -> None:
    assert "kaggle-gpu-py312-2026-08" in offered(*words, last="kaggle-gpu-py312")


def test_packages_of_the_file_and_its_lists_are_offered(folder: Path) -> None:
    assert offered("remove") == ["./fork", "tabpfn @ https://host/tabpfn.whl", "timm"]
    assert offered("remove", last="ti") == ["timm"]
    assert offered("remove", "--replace", last="to") == ["tornado"]
    assert offered("remove", "--checkpoint") == ["checkpoints/m.ckpt"]
    assert offered("why", last="ti") == ["timm"]
    assert offered("--config", "kaggle-env.toml", "why", last="ti") == ["timm"]


@pytest.mark.parametrize("text", ["name = ", 'packages = "timm"\n', 'packages = ["=="]\nbase = "none"\n', "\0"])
def test_a_file_with_mistakes_completes_to_less_and_says_nothing(
    folder: Path, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "kaggle-env.toml").write_text(text)
    (folder / "pylock.kaggle-env.toml").write_text("no lock")
    for words in (["remove"], ["why"], ["lock", "-P"], ["remove", "--index"]):
        offered(*words, last="t")
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("shell", listed(SHELLS, lambda shell: shell == "bash"))
def test_the_shell_itself_completes(folder: Path, shell: str) -> None:
    program = shutil.which(shell)
    if program is None:
        pytest.skip(f"{shell} is not installed here")
    bin_folder = folder / "bin"
    bin_folder.mkdir()
    place = bin_folder / "kpack"
    place.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m kpack "$@"\n')
    place.chmod(0o755)
    line = "remove ti"
    script = SHELLS[shell].format(words=line, last=2, line=line)
    environ = {**os.environ, "PATH": f"{bin_folder}{os.pathsep}{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
    quiet = {"bash": ["--norc"], "zsh": ["-f"], "fish": ["--no-config"]}[shell]
    done = subprocess.run(
        [program, *quiet, "-c", script],
        cwd=folder,
        env=environ,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.stdout.split() == ["timm"], done.stderr


def test_every_option_that_takes_a_name_of_an_image_completes_it() -> None:
    context = click.Context(group)
    for name in COMMANDS:
        command = group.get_command(context, name)
        assert command is not None
        for param in command.params:
            if "--base" in param.opts:
                assert param.shell_complete(context, "kaggle-gpu-py312-2026-08"), name
