from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kpack.cli.build import build
from kpack.cli.restore import restore
from kpack.cli.verify import verify
from kpack.shortcut import Restoring, plain_restore

if TYPE_CHECKING:
    from pathlib import Path

WORDS = [
    "a.kpack.bin",
    "b",
    "0f" * 32,
    "0F" * 32,
    "",
    "-",
    "--",
    "--python",
    "--target",
    "--expect",
    "--dry-run",
    "--compile",
    "--allow-absolute",
    "--json",
    "--help",
    "--dry",
    "--target=t",
]


@given(st.lists(st.sampled_from(WORDS), max_size=6))
def test_what_is_plain_means_the_same_to_the_command_itself(words: list[str]) -> None:
    found = plain_restore(["restore", *words])
    if found is not None:
        with restore.make_context("restore", list(words)) as context:
            assert Restoring(**context.params) == found


def test_every_option_of_the_command_is_known_and_the_others_words_are_left_to_it() -> None:
    options = [item for item in restore.params if isinstance(item, click.Option) and not item.is_eager]
    assert len(options) == 7
    for option in options:
        word = "0f" * 32 if option.name == "expect" else "x"
        words = ["restore", "a.kpack.bin", option.opts[-1], *([] if option.is_flag else [word])]
        found = plain_restore(words)
        assert found is not None
        assert str(getattr(found, str(option.name))) == ("True" if option.is_flag else word)
    for words in (["build"], ["-q", "restore", "a"], ["restore"], ["restore", "a", "--help"], ["restore", "a", "b"]):
        assert plain_restore(words) is None


@pytest.mark.parametrize("as_json", [False, True])
def test_a_restore_that_fails_says_so_as_every_command_does(tmp_path: Path, *, as_json: bool) -> None:
    words = ["restore", "gone.kpack.bin", "--target", "t", *(["--json"] if as_json else [])]
    plain, whole = (
        subprocess.run(
            [sys.executable, "-c", f"from {module} import main; main()", *words],
            cwd=tmp_path,
            capture_output=True,
            check=False,
            env=os.environ,
        )
        for module in ("kpack.__main__", "kpack.cli")
    )
    assert (plain.returncode, plain.stdout, plain.stderr) == (whole.returncode, whole.stdout, whole.stderr)
    assert plain.returncode == 7
    assert b"there is no pack" in plain.stdout + plain.stderr
    assert not (tmp_path / "t").exists()


def test_a_plain_restore_imports_no_library_of_the_command_line() -> None:
    code = (
        "import sys, kpack.__main__, kpack.shortcut, kpack.pack; print(*{'click', 'inspect', 'rich'} & {*sys.modules})"
    )
    done = subprocess.run([sys.executable, "-S", "-c", code], capture_output=True, text=True, check=False)
    assert (done.stdout.strip(), done.stderr) == ("", "")


@pytest.mark.parametrize("word", ["0F" * 32, f" {'0f' * 32}"])
def test_an_id_is_taken_as_people_write_it(word: str) -> None:
    with restore.make_context("restore", ["a", "--expect", word]) as context:
        assert context.params["expect"] == "0f" * 32


@pytest.mark.parametrize("word", ["", "3f1c", "0g" * 32, f"sha256:{'0f' * 32}"])
def test_an_id_that_is_cut_short_or_none_is_a_usage_error(word: str) -> None:
    for command in (restore, build, verify):
        with pytest.raises(click.BadParameter, match=rf"has {len(word)} characters; the id of a pack has 64"):
            command.make_context("x", ["a", "--expect", word])
