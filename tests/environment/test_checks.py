from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

import pytest
from packaging.utils import canonicalize_name

from kpack.environment import EnvironmentFileError, load
from kpack.environment.checks import check_base_names, check_local_files, check_lock_name
from kpack.errors import UsageError
from tests.environment.corpus import HEAD
from tests.support.wheels import make_wheel

if TYPE_CHECKING:
    from pathlib import Path


KNOWN = [canonicalize_name(name) for name in ("numpy", "tokenizers", "transformers")]


def check_paths(folder: Path, *entries: str) -> None:
    path = folder / "kaggle-env.toml"
    path.write_text(HEAD + "packages = [\n" + "".join(f'  "{entry}",\n' for entry in entries) + "]\n")
    check_local_files(load(path))


def test_folders_wheels_and_archives_that_are_there_pass(tmp_path: Path) -> None:
    for name, file in (("fork", "pyproject.toml"), ("old", "setup.py")):
        (tmp_path / name).mkdir()
        (tmp_path / name / file).touch()
    (tmp_path / "sdist-1.0.tar.gz").touch()
    wheel = make_wheel(tmp_path, "tiny")
    check_paths(tmp_path, "./fork", "./old/", "./sdist-1.0.tar.gz", f"./{wheel.name}", f"{tmp_path}/fork", "numpy")
    check_paths(tmp_path, f"tiny @ {wheel.as_uri()}")


@pytest.mark.parametrize("names", [("a.b.toml", "a-b.toml"), ("a-b.toml", "a.b.toml"), ("a.b-c.toml", "a-b.c.toml")])
def test_two_files_never_share_a_lock(tmp_path: Path, names: tuple[str, str]) -> None:
    mine, other = (tmp_path / name for name in names)
    mine.write_text(HEAD)
    (tmp_path / "a_b.toml").write_text(HEAD)
    (tmp_path / "a-b.txt").write_text(HEAD)
    check_lock_name(load(mine))
    other.write_text(HEAD)
    with pytest.raises(UsageError, match=f"{names[0]} and {names[1]} would share one lock") as caught:
        check_lock_name(load(mine))
    assert "a_b" in (caught.value.next or "")


needs_pipes = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")


@pytest.mark.parametrize(
    ("entry", "what"),
    [
        ("./nothere", "is not there"),
        ("x @ file:///nothere/x%20y.zip", "is not there"),
        ("./empty", "is no project"),
        ("./tiny.whl", "does not have the name of a wheel"),
        ("./tiny-1.0-py3-none-any.whl", "is no wheel: it is not a zip file"),
        ("./notes.txt", "is neither a folder, a wheel nor a source archive"),
        pytest.param("./pipe-1.0-py3-none-any.whl", "is no file", marks=needs_pipes),
        pytest.param("./pipe-1.0.tar.gz", "is no file", marks=needs_pipes),
    ],
)
def test_any_other_path_is_refused_with_its_line(tmp_path: Path, entry: str, what: str) -> None:
    (tmp_path / "empty").mkdir()
    if "pipe" in entry:
        os.mkfifo(tmp_path / entry)
    for name in ("tiny.whl", "tiny-1.0-py3-none-any.whl", "notes.txt"):
        (tmp_path / name).write_text("x")
    with pytest.raises(UsageError, match=what) as caught:
        check_paths(tmp_path, "numpy", entry)
    assert caught.value.where.endswith("kaggle-env.toml:5")
    assert f'packages[1]: "{entry}"' in caught.value.what


@pytest.mark.parametrize(
    ("version", "name", "right"),
    [
        ("0.6.0+cu101", "vision-0.6.0cu101-py3-none-any.whl", "vision-0.6.0+cu101-py3-none-any.whl"),
        ("0.6.0+cu101", "vision-0.6.0%2Bcu101-py3-none-any.whl", "vision-0.6.0+cu101-py3-none-any.whl"),
        ("1.0+1", "vision-1.01-py3-none-any.whl", "vision-1.0+1-py3-none-any.whl"),
        ("1.0", "vision-1.0-py3-none-any (1).whl", "vision-1.0-py3-none-any.whl"),
        ("1.0", "vision-1.0-x-py3-none-any.whl", "vision-1.0-py3-none-any.whl"),
        ("1.0", "vi__sion-1.0-2x-py3-none-any.whl", "vision-1.0-2x-py3-none-any.whl"),
    ],
)
def test_a_wheel_that_lost_its_name_is_told_what_its_metadata_says(
    tmp_path: Path, version: str, name: str, right: str
) -> None:
    make_wheel(tmp_path, "vision", version).rename(tmp_path / name)
    with pytest.raises(UsageError, match=re.escape(f"its METADATA says vision {version}")) as caught:
        check_paths(tmp_path, f"./{name}")
    assert caught.value.next == f'rename it to "{right}"'
    (tmp_path / name).rename(tmp_path / right)
    check_paths(tmp_path, f"./{right}")


def test_a_file_name_with_a_local_version_more_than_metadata_is_a_wheels(tmp_path: Path) -> None:
    make_wheel(tmp_path, "attn", "2.8").rename(tmp_path / "attn-2.8+cu12-py3-none-any.whl")
    check_paths(tmp_path, "./attn-2.8+cu12-py3-none-any.whl")


def check_indexes(folder: Path, *tables: str) -> None:
    path = folder / "kaggle-env.toml"
    text = "".join(f'[[indexes]]\nname = "i{number}"\n{table}\n' for number, table in enumerate(tables))
    path.write_text(HEAD + text)
    check_local_files(load(path))


def test_a_name_in_two_folders_or_in_a_folder_and_another_index_is_refused(tmp_path: Path) -> None:
    for folder in ("one", "two"):
        make_wheel(tmp_path / folder, "Tiny_x")
    check_indexes(tmp_path, 'url = "./one"')
    with pytest.raises(UsageError, match=r'"tiny-x" is in this folder, and belongs to indexes\[1\] as well'):
        check_indexes(tmp_path, 'url = "./one"', 'url = "./two"')
    with pytest.raises(UsageError, match=r"belongs to indexes\[1\]"):
        check_indexes(tmp_path, 'url = "./one"', 'url = "https://h/simple"\npackages = ["tiny-*"]')
    check_indexes(tmp_path, 'url = "./one"', 'url = "./two"\npackages = ["other"]', 'url = "./two"\npackages = ["o2"]')


def test_a_folder_that_is_not_there_or_holds_no_distribution_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match="there is nothing at"):
        check_indexes(tmp_path, 'url = "./nothere"')
    with pytest.raises(UsageError, match="no wheel and no sdist lies in"):
        check_indexes(tmp_path, 'url = "./empty"')
    make_wheel(tmp_path / "empty", "vision", "1+cu1").rename(tmp_path / "empty" / "vision-1cu1-py3-none-any.whl")
    with pytest.raises(UsageError, match=r"vision-1cu1-py3-none-any.whl.*METADATA says vision 1\+cu1"):
        check_indexes(tmp_path, 'url = "./empty"')


def check_names(folder: Path, text: str) -> None:
    path = folder / "kaggle-env.toml"
    path.write_text(text)
    check_base_names(load(path), KNOWN)


def test_names_that_a_base_has_pass(tmp_path: Path) -> None:
    keys = 'replace = ["Tokenizers"]\nallow-broken = ["transformers"]\nallow-preloaded = ["numpy"]\n'
    check_names(tmp_path, HEAD + keys)


@pytest.mark.parametrize("key", ["replace", "allow-broken", "allow-preloaded"])
def test_a_name_that_no_base_has_is_a_mistake(tmp_path: Path, key: str) -> None:
    with pytest.raises(EnvironmentFileError) as caught:
        check_names(tmp_path, HEAD + f'{key} = ["numpy", "tokeniser"]\n')
    assert caught.value.what == f'{key}[1]: "tokeniser" is not in the base kaggle-gpu-py312-2026-08'
    assert caught.value.next == 'did you mean "tokenizers"?'
    with pytest.raises(EnvironmentFileError) as caught:
        check_names(tmp_path, HEAD + f'{key} = ["zzz"]\n')
    assert "remove it" in caught.value.next


def test_names_that_need_not_be_in_a_base_pass(tmp_path: Path) -> None:
    check_names(tmp_path, HEAD + 'allow-source = ["zzz"]\nlax-record = ["zzz"]\n')


def test_without_a_base_there_is_nothing_to_compare_with(tmp_path: Path) -> None:
    check_names(tmp_path, 'name = "x"\npython = "3.12"\nallow-preloaded = ["zzz"]\n')
