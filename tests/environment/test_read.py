from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from kpack.environment import EnvironmentFileError, find, load, parse
from kpack.errors import MachineError, UsageError
from tests.environment.corpus import CHECKPOINT, HEAD, INDEX, VALID, WRONG

if TYPE_CHECKING:
    from kpack.environment import Environment

FILE = Path("kaggle-env.toml")


def read(text: str) -> Environment:
    return parse(text, FILE)


def failure(text: str) -> EnvironmentFileError:
    with pytest.raises(EnvironmentFileError) as caught:
        read(text)
    return caught.value


@pytest.mark.parametrize("name", VALID)
def test_reads_a_valid_file(name: str) -> None:
    read(VALID[name])


@pytest.mark.parametrize("name", WRONG)
def test_names_line_key_values_and_the_way_out_of_one_mistake(name: str) -> None:
    wrong = WRONG[name]
    error = failure(wrong.text)
    assert len(error.mistakes) == 1, error.what
    where, key, what, advice = error.mistakes[0]
    assert where == f"kaggle-env.toml:{wrong.line}"
    assert key == wrong.key
    assert wrong.what in what
    assert wrong.next.lower() in advice.lower()
    assert "secret" not in str(error) + error.next
    assert error.where == where
    assert error.what == (f"{key}: {what}" if key else what)
    assert int(error.exit_code) == 2


def test_tells_all_mistakes_of_a_file_in_the_order_of_its_lines() -> None:
    error = failure('name = ""\nbase = "x"\nxclude = []\n\n[[checkpoints]]\nurl = "nope"\n\n[publish]\ndataset = 1\n')
    assert [(where, key) for where, key, _, _ in error.mistakes] == [
        ("kaggle-env.toml:1", "name"),
        ("kaggle-env.toml:3", "xclude"),
        ("kaggle-env.toml:5", "checkpoints[0]"),
        ("kaggle-env.toml:6", "checkpoints[0].url"),
        ("kaggle-env.toml:9", "publish.dataset"),
    ]
    assert error.what.startswith("5 mistakes\n")
    assert '  kaggle-env.toml:3: xclude: unknown key "xclude"' in error.what
    told = error.to_dict()
    assert told["code"] == 2
    assert isinstance(told["mistakes"], list)
    assert told["mistakes"][1]["next"] == 'did you mean "exclude"?'


@pytest.mark.parametrize(
    ("text", "advice"),
    [
        ('packages = ["jiwer" "rank-bm25"]', "write a comma between two values, and ] behind the last one"),
        ('packages = [\n  "jiwer"\n  "rank-bm25",\n]', "write a comma between two values, and ] behind the last one"),
        ("name = demo", "put a text in quotes"),
        ("restore = {link = True}", "true and false have small letters"),
        ('packages = ["C:\\data\\x.whl"]', "write / between the parts of a path"),
        ('name = "demo', "close the quote on the line where it opens"),
        ("name: demo", "write key = value"),
        ('name = "a" base = "b"', "write one key on a line"),
        ('name = "a', "close the quote"),
        ("name = 'a", "see toml.io"),
    ],
)
def test_says_what_to_write_where_the_syntax_is_wrong(text: str, advice: str) -> None:
    error = failure(f"{text}\n")
    assert "is not valid TOML" in error.what
    assert advice in error.next


def test_keeps_the_words_of_packages_and_reads_them_as_requirements() -> None:
    environment = read(VALID["requirements"])
    flash, rank, fork, _, folder, *_ = environment.packages
    assert flash.text == "lightning-flash[text]>=0.8"
    assert flash.requirement is not None
    assert flash.requirement.extras == {"text"}
    assert rank.requirement is not None
    assert str(rank.requirement.specifier) == "~=0.2"
    assert fork.requirement is not None
    assert fork.requirement.url is not None
    assert (folder.requirement, folder.path) == (None, "./fork")


def test_normalises_names_patterns_and_versions() -> None:
    environment = read(HEAD + 'exclude = ["NVIDIA_*", "Torch == 2.10.0+CU128"]\nreplace = ["Tokenizers_X"]\n')
    assert [(one.pattern, one.version) for one in environment.exclude] == [
        ("nvidia-*", None),
        ("torch", "2.10.0+cu128"),
    ]
    assert environment.replace == ("tokenizers-x",)
    assert read(HEAD + INDEX.replace("corp-*", "Corp_*")).indexes[0].packages == ("corp-*",)


def test_a_single_base_is_a_list_of_one() -> None:
    assert read(HEAD).bases == ("kaggle-gpu-py312-2026-08",)
    assert read(VALID["several_bases"]).bases == ("kaggle-cpu-py312-2026-08", "./kaggle.json")


@pytest.mark.parametrize(
    ("written", "moment"),
    [
        ("2026-11-01", datetime(2026, 11, 2, tzinfo=UTC)),
        ("2026-11-01T12:30:00Z", datetime(2026, 11, 1, 12, 30, tzinfo=UTC)),
        ("2026-11-01 12:30:00+02:00", datetime(2026, 11, 1, 10, 30, tzinfo=UTC)),
        ("2026-11-01T12:30:00", datetime(2026, 11, 1, 12, 30, tzinfo=UTC)),
    ],
)
def test_a_day_is_whole_and_a_moment_is_utc(written: str, moment: datetime) -> None:
    assert read(HEAD + f"exclude-newer = {written}\n").exclude_newer == moment


@pytest.mark.parametrize(
    ("written", "size"),
    [("7", 7), ('"10 GB"', 10**10), ('"1.5kB"', 1500), ('"2 GiB"', 2 << 30), ('"1 B"', 1), ('"0.3 MB"', 300_000)],
)
def test_reads_a_size_in_bytes_or_in_words(written: str, size: int) -> None:
    assert read(HEAD + f"max-size = {written}\n").max_size == size


@pytest.mark.parametrize(
    ("written", "path"), [("./a//b", "a/b"), ("//a/b", "/a/b"), ("~/a/./b", "~/a/b"), ("...", "...")]
)
def test_checkpoint_paths_have_one_spelling(written: str, path: str) -> None:
    assert read(HEAD + CHECKPOINT.replace('"x.ckpt"', f'"{written}"')).checkpoints[0].path == path


def test_a_file_that_begins_with_a_byte_order_mark_is_read(tmp_path: Path) -> None:
    path = tmp_path / "kaggle-env.toml"
    path.write_bytes(b"\xef\xbb\xbf" + HEAD.replace("\n", "\r\n").encode())
    assert load(path).name == "demo"


def test_the_lock_stands_beside_the_file_with_dots_of_its_stem_turned_to_dashes() -> None:
    environment = parse(HEAD, Path("sub/kaggle-env.v2.gpu.toml"))
    assert environment.lock_path == Path("sub/pylock.kaggle-env-v2-gpu.toml")


def test_refuses_a_file_name_that_cannot_become_part_of_a_lock_name() -> None:
    with pytest.raises(UsageError, match="becomes part of the lock's name"):
        parse(HEAD, Path("my env.toml"))


def test_refuses_a_lock_given_as_environment() -> None:
    with pytest.raises(UsageError, match="is a lock file"):
        read('lock-version = "1.0"\ncreated-by = "kpack"\npackages = []\n')


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ('name = "x"\nbase = \n', 2),
        ('name = "x"\nname = "y"\n', 2),
        ('name = "x"\nbase = "y', 2),
        ("name = 'x'\nbase = [1,\n", 3),
        ("\n\n[[a]\n", 3),
        ("name = 2026-13-01\n", 1),
    ],
)
def test_names_the_line_of_broken_toml(text: str, line: int) -> None:
    assert failure(text).where == f"kaggle-env.toml:{line}"


@pytest.mark.parametrize("text", ["a = " + "[" * 100_000, "a = " + "9" * 5000, "a = " + "{b=" * 5000])
def test_hostile_toml_is_an_error_like_any_other(text: str) -> None:
    assert "kaggle-env.toml" in failure(text).where


def test_says_where_the_file_is_not_utf_8(tmp_path: Path) -> None:
    path = tmp_path / "kaggle-env.toml"
    path.write_bytes(b'name = "x"\n# caf\xe9\n')
    with pytest.raises(UsageError, match="0xe9") as caught:
        load(path)
    assert caught.value.where == f"{path}:2"


def test_a_missing_file_and_a_folder_are_wrong_words(tmp_path: Path) -> None:
    for path, what in ((tmp_path / "no.toml", "no such file"), (tmp_path, "is a folder")):
        with pytest.raises(UsageError, match=what):
            load(path)


def test_a_file_that_may_not_be_read_is_the_machines_no(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **_named: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(MachineError, match="Permission denied"):
        load(tmp_path / "kaggle-env.toml")


def test_finds_the_nearest_file_upwards(tmp_path: Path) -> None:
    below = tmp_path / "a" / "b"
    below.mkdir(parents=True)
    (tmp_path / "kaggle-env.toml").touch()
    assert find(below) == tmp_path / "kaggle-env.toml"
    (tmp_path / "a" / "kaggle-env.toml").touch()
    assert find(below) == tmp_path / "a" / "kaggle-env.toml"


def test_says_what_to_do_when_no_file_is_found(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no kaggle-env\.toml here or in a folder above") as caught:
        find(tmp_path)
    assert "kpack init" in caught.value.next
    assert "--config" in caught.value.next


def test_paths_in_messages_are_relative_below_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(EnvironmentFileError) as caught:
        parse("", tmp_path / "sub" / "kaggle-env.toml")
    assert caught.value.mistakes[0][0] == os.path.join("sub", "kaggle-env.toml") + ":1"  # noqa: PTH118 - as the OS spells it


def test_index_urls_take_variables_from_the_environment_when_asked() -> None:
    index = read(HEAD + INDEX.replace("host", "me:${TOKEN}@host")).indexes[0]
    assert index.location(Path(), {"TOKEN": "s3cret"}) == "https://me:s3cret@host/simple"
    with pytest.raises(UsageError, match="needs the environment variable TOKEN, which is not set"):
        index.location(Path(), {})
