"""A repository behind a password: git gets it, and nothing that others may read has it."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest

from kpack.errors import NetworkError
from kpack.git import access
from kpack.source import tree
from tests.resolve.test_sources import project
from tests.support.guarded import guarded

if TYPE_CHECKING:
    from pathlib import Path

    from tests.resolve.scenario import Scenario

PASSWORD = 's3cret/$HOME "it\'s" ünder@:'
FILES = project("top", "1.0")
pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="needs git")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home whose git has a credential helper, which notes what it is asked; what git starts is in ``trace``."""
    helper = tmp_path / "helper"
    helper.write_text(f'#!/bin/sh\necho "$1" >> {tmp_path}/asked\ncat >> {tmp_path}/asked\necho password=pw\n')
    helper.chmod(0o755)
    (tmp_path / ".gitconfig").write_text(f"[credential]\n\thelper = {helper}\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("GIT_TRACE", str(tmp_path / "trace"))
    return tmp_path


def test_the_password_is_in_no_argument_and_in_no_file_of_the_clone(home: Path) -> None:
    with guarded(home / "served", FILES, "me", PASSWORD) as (place, commit):
        folder = tree.check_out(f"git+http://me:{quote(PASSWORD, safe='')}@{place}", commit, home / "out")
    assert (folder / "pyproject.toml").is_file()
    trace = (home / "trace").read_text()
    assert f"remote-http origin http://{place}" in trace
    assert "s3cret" not in trace
    assert not [file for file in folder.rglob("*") if file.is_file() and b"s3cret" in file.read_bytes()]
    assert not (home / "asked").exists()  # nor is it kept by a helper of the user's


def test_a_wrong_password_is_a_network_error_at_once(home: Path) -> None:
    with (
        guarded(home / "served", FILES, "me", PASSWORD) as (place, commit),
        pytest.raises(NetworkError, match="Authentication failed"),
    ):
        tree.check_out(f"git+http://me:wrong@{place}", commit, home / "out")


def test_a_user_alone_is_told_to_the_users_own_helpers(home: Path) -> None:
    with guarded(home / "served", FILES, "me", "pw") as (place, commit):
        tree.check_out(f"git+http://me@{place}", commit, home / "out")
    assert "username=me" in (home / "asked").read_text()
    assert "me@" not in (home / "trace").read_text()


def test_pip_gives_git_no_password_either(home: Path, scenario: Scenario) -> None:
    with guarded(home / "served", FILES, "me", PASSWORD) as (place, commit):
        answer = scenario.lock(f"top @ git+http://me:{quote(PASSWORD, safe='')}@{place}@main")
    (source,) = (item.source for item in answer.packed)
    assert source is not None
    assert (source.url, source.commit, source.revision) == (f"git+http://{place}", commit, "main")
    trace = (home / "trace").read_text()
    assert f"remote-http origin http://{place}" in trace
    assert "s3cret" not in trace


def test_other_urls_stay_as_they_are() -> None:
    for url in ("https://h/o/r", "ssh://git@h/o/r", "file:///r", "https://[::1]:8/a@b"):
        assert access(url, {}) == (url, (), {})
    assert access("https://token@h/r", {"GIT_CONFIG_COUNT": "two"}).variables["GIT_CONFIG_COUNT"] == "1"
    how = access("https://token@[::1]:8/a@b", {"GIT_CONFIG_COUNT": "2"})
    assert how.url == "https://[::1]:8/a@b"
    assert how.variables == {
        "GIT_CONFIG_COUNT": "3",
        "GIT_CONFIG_KEY_2": "credential.https://[::1]:8.username",
        "GIT_CONFIG_VALUE_2": "token",
    }
