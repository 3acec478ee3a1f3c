"""What is no lock of kpack's is refused, with the place and what to do."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from kpack.checkpoints import LockedCheckpoint
from kpack.errors import ExitCode, IntegrityError, KpackError, MachineError, UsageError
from kpack.lock import dumps, from_resolution, load, loads
from kpack.lock.write import DIGEST_LINE, digest_of
from kpack.resolve.model import Source
from tests.support.kernels import base, environment, pin, resolution, target, use

if TYPE_CHECKING:
    from pathlib import Path


def text() -> str:
    image = base({"torch": "2.10.0+cu128"})
    found = resolution(
        (target(image), [pin("lightning", "2.5")]), from_base=(use("torch", "2.10.0+cu128", ("lightning", "torch>=2")),)
    )
    return dumps(from_resolution(environment("lightning"), found, meaning="0" * 64))


def resealed(changed: str) -> str:
    """Give a changed lock the digest of its new text, as somebody would who knows how."""
    bare = DIGEST_LINE.sub("", changed, count=1)
    return bare.replace("\n[tool.kpack]\n", f'\n[tool.kpack]\ndigest = "{digest_of(bare)}"\n', 1)


def test_the_text_itself_is_taken() -> None:
    assert loads(text(), "pylock.x.toml").targets[0].packed[0].name == "lightning"
    assert resealed(text()) == text()


def test_a_value_changed_by_hand_is_noticed_by_the_digest() -> None:
    with pytest.raises(IntegrityError) as caught:
        loads(text().replace('because = "', 'because = "x').replace("size = ", "size = 1"), "pylock.x.toml")
    assert caught.value.where == "pylock.x.toml: tool.kpack.digest"
    assert "kpack lock" in caught.value.next


@pytest.mark.parametrize(
    ("old", "new", "place", "what"),
    [
        ("created-by", "flavour = 1\ncreated-by", "flavour", "unknown key"),
        ("[[packages]]", "[[packages]]\nrequires-python = '>=3'", "packages[0].requires-python", "unknown key"),
        ("format = 1", "format = 1\nmood = 'good'", "tool.kpack.mood", "unknown key"),
        ("[tool.kpack.requests]", "[tool.kpack.requests]\nx = 1", "tool.kpack.requests.x", "unknown key"),
        ('glibc = "2.35"', 'glibc = "2.35"\nlibc = "2"', "tool.kpack.targets[0].libc", "unknown key"),
        ('glibc = "2.35"', 'glibc = "old"', "tool.kpack.targets[0].glibc", "glibc"),
        ('python = "3.12"\n', "python = 3.12\n", "tool.kpack.targets[0].python", "a string is needed"),
        ('python = "3.12"\n', 'python = "3.13"\n', "tool.kpack.targets[0].marker", "python_version == '3.13'"),
        ('name = "tiny"', 'name = "../x"', "tool.kpack.name", "not a name"),
        ("meaning = ", "meaning_ = ", "tool.kpack.meaning", "missing"),
        ('wheel = "light', 'wheel = "heavy', "tool.kpack.targets[0].packages[0].wheel", "not among the wheels"),
        ('version = "2.10.0+cu128"', 'version = "two"', "tool.kpack.targets[0].leans[0].version", "not a version"),
        ("{ by = ", "{ bye = ", "needed-by[0].by", "missing"),
        ("sha256 = ", "md5 = ", "packages[0].wheels[0].hashes", "sha256"),
        ('sha256 = "', 'sha256 = "A', "packages[0].wheels[0].hashes.sha256", "64 lower-case"),
        ('sha256 = "', 'md5 = "00", sha256 = "', "packages[0].wheels[0].hashes", "nothing else"),
        ('url = "http', 'path = "../lightning-2.5-py3-none-any.whl", x = "', "wheels[0].path", "wheels/"),
        ("size = ", "size = -", "packages[0].wheels[0].size", "-"),
        ('name = "lightning"\nversion', 'name = "Lightning"\nversion', "packages[0].name", "not normalized"),
        ('version = "2.5"\nindex', 'version = "2.6"\nindex', "packages[0].wheels[0]", "PEP 751"),
        ('lock-version = "1.0"', 'lock-version = "x"', "lock-version", "PEP 751"),
    ],
)  # fmt: skip
def test_a_lock_that_kpack_would_not_write_is_refused_with_its_place(old: str, new: str, place: str, what: str) -> None:
    assert old in text()
    with pytest.raises(IntegrityError) as caught:
        loads(resealed(text().replace(old, new, 1)), "pylock.x.toml")
    assert caught.value.where.startswith("pylock.x.toml: ")
    assert caught.value.where.endswith(place)
    assert what in caught.value.what


def _checkpoint(path: str, url: str = "https://host.example/w", **facts: Any) -> LockedCheckpoint:
    return LockedCheckpoint(path=path, urls=(url,), sha256="1" * 64, size=1, **facts)


def _with(*checkpoints: LockedCheckpoint) -> str:
    return dumps(
        from_resolution(environment(), resolution((target(base({})), [])), meaning="0" * 64, checkpoints=checkpoints)
    )


@pytest.mark.parametrize("path", ["../w", "a/../../w", "/a/../w", "a//w", "./w", "", "a/", "a\\w", "a\nw", "~you/w"])
def test_a_checkpoint_lands_where_a_restore_would_put_it_or_the_lock_is_refused(path: str) -> None:
    with pytest.raises(IntegrityError) as caught:
        loads(_with(_checkpoint(path)), "pylock.x.toml")
    assert caught.value.where == "pylock.x.toml: tool.kpack.checkpoints[0].path"
    with pytest.raises(IntegrityError):
        loads(_with(_checkpoint("w", attached=path)), "pylock.x.toml")


@pytest.mark.parametrize("paths", [("a", "a/b"), ("a", "a/b/c"), ("/x", "/x/y"), ("~/a", "~/a/b")])
def test_no_checkpoint_needs_a_folder_where_another_is_a_file(paths: tuple[str, ...]) -> None:
    with pytest.raises(IntegrityError, match="needs a folder"):
        loads(_with(*map(_checkpoint, paths)), "pylock.x.toml")
    loads(_with(*(_checkpoint(f"{path}-{number}") for number, path in enumerate(paths))), "pylock.x.toml")


@pytest.mark.parametrize("url", ["ftp://host/w", "x", "", "hf://org/repo@main/../w", "hf://org/repo@..%2Fx/w"])
def test_a_checkpoint_comes_from_where_kpack_fetches(url: str) -> None:
    with pytest.raises(IntegrityError) as caught:
        loads(_with(_checkpoint("w", url)), "pylock.x.toml")
    assert caught.value.where == "pylock.x.toml: tool.kpack.checkpoints[0].urls"


@pytest.mark.parametrize("commit", [None, "main", "--upload-pack=x", "c" * 39, "C" * 40])
def test_a_repository_is_locked_by_its_commit(commit: str | None) -> None:
    source = Source(kind="vcs", url="git+https://host.example/r", commit=commit)
    made = pin("fork", "1.0")
    assert made.wheel is not None
    built = replace(made, source=source, wheel=replace(made.wheel, url=None, index=None, upload_time=None))
    found = resolution((target(base({})), [built]))
    with pytest.raises(IntegrityError) as caught:
        loads(dumps(from_resolution(environment("fork"), found, meaning="0" * 64)), "pylock.x.toml")
    assert caught.value.where.endswith("source.commit")


def test_a_wheel_that_no_target_takes_is_refused() -> None:
    extra = re.sub(r"(?ms)^\[\[packages\]\].*?(?=^\[)", lambda m: m[0] + m[0].replace("lightning", "thunder"), text())
    with pytest.raises(IntegrityError, match=r"no target takes thunder-2\.5"):
        loads(resealed(extra), "pylock.x.toml")


def test_a_lock_of_another_tool_is_not_taken_for_one_of_kpack() -> None:
    foreign = 'lock-version = "1.0"\ncreated-by = "uv"\npackages = []\n'
    with pytest.raises(UsageError, match=r"no \[tool.kpack\]") as caught:
        loads(foreign, "pylock.toml")
    assert "remove it, and run `kpack lock`" in caught.value.next  # which refuses it as long as it is there


@pytest.mark.parametrize(
    ("old", "new"), [("format = 1", "format = 2"), ('lock-version = "1.0"', 'lock-version = "2.0"')]
)
def test_a_lock_of_the_future_says_to_update(old: str, new: str) -> None:
    with pytest.raises(UsageError) as caught:
        loads(resealed(text().replace(old, new)), "pylock.toml")
    assert "update kpack" in caught.value.next


def test_toml_that_breaks_off_names_the_line() -> None:
    whole = text()
    with pytest.raises(IntegrityError) as caught:
        loads(whole[: whole.index("2.5") + 2], "pylock.toml")
    assert re.fullmatch(r"pylock\.toml:\d+", caught.value.where)
    assert "half written" in caught.value.what


def test_a_missing_or_unreadable_file_is_told_apart(tmp_path: Path) -> None:
    with pytest.raises(MachineError, match="there is no lock"):
        load(tmp_path / "pylock.toml")
    (tmp_path / "pylock.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(IntegrityError, match="not UTF-8: byte 0xff"):
        load(tmp_path / "pylock.toml")
    (tmp_path / "pylock.toml").write_text(text())
    assert dumps(load(tmp_path / "pylock.toml")) == text()


def test_a_merge_conflict_is_an_error_with_exit_code_5() -> None:
    conflicted = text().replace("[tool.kpack]", "<<<<<<< ours\n[tool.kpack]\n=======\n>>>>>>> theirs")
    with pytest.raises(KpackError) as caught:
        loads(conflicted, "pylock.toml")
    assert caught.value.exit_code is ExitCode.INTEGRITY
