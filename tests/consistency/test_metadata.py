"""Requires-Dist of base packages, from an index that has it in one way or another."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import pytest
from packaging.utils import canonicalize_name
from packaging.version import Version

from kpack.base import BaseDistribution
from kpack.environment.model import Index
from kpack.errors import NetworkError
from kpack.resolve.requires_dist import RequiresDist
from kpack.resolve.wire import IndexAddress
from tests.resolve.conftest import InProcess
from tests.support.index import IndexServer
from tests.support.wheels import make_wheel

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

TOKENIZERS = canonicalize_name("tokenizers")
REQUIRES = ("huggingface-hub<2.0,>=0.16.4", 'pytest; extra == "testing"')


@contextlib.contextmanager
def asking(cache: Path | None, *, index_url: str, indexes: Sequence[Index] = ()) -> Iterator[RequiresDist]:
    """Yield one that asks the worker, in this process."""
    more = [IndexAddress(url=index.url, packages=tuple(index.packages)) for index in indexes]
    yield RequiresDist(InProcess(1), cache, [IndexAddress(url=index_url), *more])  # type: ignore[arg-type]


@pytest.fixture
def index(tmp_path: Path) -> Iterator[IndexServer]:
    with IndexServer() as server:
        folder = tmp_path / "wheels"
        for tag in ("cp39-abi3-manylinux_2_17_x86_64", "cp39-abi3-win_amd64"):
            server.add(make_wheel(folder, "tokenizers", "0.22.1", requires=REQUIRES, tag=tag))
        server.add(make_wheel(folder, "tokenizers", "0.22.0", requires=("older",)))
        yield server


@pytest.mark.parametrize("html", [False, True])
@pytest.mark.parametrize("announced", [False, True])
def test_reads_the_metadata_file(index: IndexServer, tmp_path: Path, *, html: bool, announced: bool) -> None:
    index.html, index.announce_metadata = html, announced
    with asking(tmp_path / "cache", index_url=index.url) as requires:
        assert requires(TOKENIZERS, Version("0.22.1")) == REQUIRES
        assert requires(TOKENIZERS, Version("0.22.0")) == ("older",)


def test_reads_the_wheel_itself_by_range_where_there_is_no_metadata_file(index: IndexServer, tmp_path: Path) -> None:
    def no_metadata(handler: object) -> bool:
        if not handler.path.endswith(".metadata"):  # type: ignore[attr-defined]
            return False
        handler.answer(404, b"no such thing")  # type: ignore[attr-defined]
        return True

    index.intercept = no_metadata
    big = {"data.bin": bytes(range(256)) * 4096}
    index.add(make_wheel(tmp_path / "wheels", "big", "1", files=big, stored=True, requires=("y",)))
    with asking(tmp_path / "cache", index_url=index.url) as requires:
        assert requires(TOKENIZERS, Version("0.22.1")) == REQUIRES
        assert requires(canonicalize_name("big"), Version("1")) == ("y",)


def test_what_was_read_once_is_never_asked_for_again(index: IndexServer, tmp_path: Path) -> None:
    with asking(tmp_path / "cache", index_url=index.url) as requires:
        assert requires(TOKENIZERS, Version("0.22.1")) == REQUIRES
        asked = len(index.requests)
        assert requires(TOKENIZERS, Version("0.22.1")) == REQUIRES
    with asking(tmp_path / "cache", index_url=index.url) as again:
        assert again(TOKENIZERS, Version("0.22.1")) == REQUIRES
    assert len(index.requests) == asked


def test_a_damaged_cache_file_is_read_anew(index: IndexServer, tmp_path: Path) -> None:
    with asking(tmp_path / "cache", index_url=index.url) as requires:
        requires(TOKENIZERS, Version("0.22.1"))
    (kept,) = (tmp_path / "cache").rglob("*.json")
    kept.write_text('{"requires-dist": [')
    with asking(tmp_path / "cache", index_url=index.url) as again:
        assert again(TOKENIZERS, Version("0.22.1")) == REQUIRES


def test_a_local_version_is_answered_by_its_public_one(index: IndexServer, tmp_path: Path) -> None:
    with asking(tmp_path / "cache", index_url=index.url) as requires:
        assert requires(TOKENIZERS, Version("0.22.1+cu128")) == REQUIRES


def test_what_the_index_does_not_have_is_not_known(index: IndexServer, tmp_path: Path) -> None:
    with asking(tmp_path / "cache", index_url=index.url) as requires:
        assert requires(canonicalize_name("kaggle-only"), Version("1")) is None
        assert requires(TOKENIZERS, Version("9")) is None


def test_metadata_of_another_project_is_not_believed(index: IndexServer, tmp_path: Path) -> None:
    def swapped(handler: object) -> bool:
        if not handler.path.endswith(".metadata"):  # type: ignore[attr-defined]
            return False
        handler.answer(200, b"Metadata-Version: 2.1\nName: evil\nVersion: 0.22.1\n\n")  # type: ignore[attr-defined]
        return True

    index.announce_metadata = False
    index.intercept = swapped
    with asking(None, index_url=index.url) as requires:
        assert requires(TOKENIZERS, Version("0.22.1")) == REQUIRES


def test_an_index_that_is_down_is_an_error_and_not_an_answer(tmp_path: Path) -> None:
    with IndexServer() as server:
        url = server.url
    with (
        asking(tmp_path, index_url=url.replace("//", "//user:secret@")) as broken,
        pytest.raises(NetworkError) as caught,
    ):
        broken(TOKENIZERS, Version("1"))
    assert "secret" not in f"{caught.value} {caught.value.next}"


def test_a_name_is_looked_for_on_its_own_index_only(index: IndexServer, tmp_path: Path) -> None:
    with IndexServer() as private:
        private.add(make_wheel(tmp_path / "private", "corp-tokenizers", "1", requires=("secret-sauce",)))
        index.add(make_wheel(tmp_path / "planted", "corp-tokenizers", "1", requires=("evil",)))
        corp = Index(name="corp", url=private.url, packages=("corp-*",))
        with asking(tmp_path / "cache", index_url=index.url, indexes=[corp]) as requires:
            assert requires(canonicalize_name("corp-tokenizers"), Version("1")) == ("secret-sauce",)
            assert requires(TOKENIZERS, Version("0.22.1")) == REQUIRES
        assert "/simple/corp-tokenizers/" not in index.requests


def test_many_are_read_at_once_and_the_snapshot_comes_first(index: IndexServer, tmp_path: Path) -> None:
    items = [
        BaseDistribution(name=TOKENIZERS, version=Version("0.22.1")),
        BaseDistribution(name=canonicalize_name("known"), version=Version("1"), requires_dist=("a",)),
        BaseDistribution(name=canonicalize_name("lost"), version=Version("1")),
    ]
    with asking(tmp_path / "cache", index_url=index.url) as requires:
        assert requires.all_of(items) == {"tokenizers": REQUIRES, "known": ("a",)}
    assert not any("known" in path for path in index.requests)


@pytest.mark.parametrize("status", [401, 403, 500])
def test_a_refusal_is_an_error_and_is_not_kept_as_an_answer(index: IndexServer, tmp_path: Path, status: int) -> None:
    def refusing(handler: object) -> bool:
        handler.answer(status, b"")  # type: ignore[attr-defined]
        return True

    index.intercept = refusing
    with asking(tmp_path / "cache", index_url=index.url) as requires, pytest.raises(NetworkError, match=str(status)):
        requires(TOKENIZERS, Version("0.22.1"))
    index.intercept = None
    with asking(tmp_path / "cache", index_url=index.url) as requires:
        assert requires(TOKENIZERS, Version("0.22.1")) == REQUIRES


def test_a_wheel_that_cannot_be_read_today_is_read_another_day(index: IndexServer, tmp_path: Path) -> None:
    index.announce_metadata = False
    broken = True

    def cut(handler: object) -> bool:
        if handler.path.endswith(".metadata") or not handler.path.startswith("/files/") or not broken:  # type: ignore[attr-defined]
            if handler.path.endswith(".metadata"):  # type: ignore[attr-defined]
                handler.answer(404, b"")  # type: ignore[attr-defined]
            return handler.path.endswith(".metadata")  # type: ignore[attr-defined,no-any-return]
        handler.answer(200, b"PK")  # type: ignore[attr-defined]
        return True

    index.intercept = cut
    with asking(tmp_path / "cache", index_url=index.url) as requires:
        assert requires(TOKENIZERS, Version("0.22.1")) is None
    broken = False
    with asking(tmp_path / "cache", index_url=index.url) as requires:
        assert requires(TOKENIZERS, Version("0.22.1")) == REQUIRES


def test_credentials_of_the_index_are_sent(index: IndexServer, tmp_path: Path) -> None:
    index.auth = "Basic dTpwQHc="
    url = index.url.replace("//", "//u:p%40w@")
    with asking(tmp_path / "cache", index_url=url) as requires:
        assert requires(TOKENIZERS, Version("0.22.1")) == REQUIRES
