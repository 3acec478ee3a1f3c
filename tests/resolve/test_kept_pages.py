"""Pages are kept as HTTP says: taken while fresh, asked for by their tag then, never where it forbids that."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

import pytest

from kpack.resolve.worker.files import RowPlaces
from kpack.resolve.worker.kept_pages import KeptPages
from kpack.resolve.worker.web import Response
from tests.resolve.scenario import packed

if TYPE_CHECKING:
    from pathlib import Path

    from tests.resolve.scenario import Scenario

URL = "http://127.0.0.1/simple/top/"
ROW = {"filename": "top-1.0-py3-none-any.whl", "url": "top.whl", "hashes": {"sha256": "0" * 64}, "yanked": False}


def kept(folder: Path, **headers: str) -> KeptPages:
    """Return the pages of a folder in which one is kept, if its headers allow that."""
    pages = KeptPages(str(folder))
    answer = Response(200, URL, "", b"", headers={name.replace("_", "-"): value for name, value in headers.items()})
    pages.remember(URL, answer, URL, RowPlaces.of([ROW]), [ROW])
    pages.write()
    return pages


def pages_asked(scenario: Scenario) -> list[str]:
    found = [path for path in scenario.index.requests if path.startswith("/simple/")]
    scenario.index.requests.clear()
    return found


def aged(scenario: Scenario, seconds: float) -> None:
    """Let time pass for what is kept."""
    assert scenario.cache is not None
    for path in (scenario.cache / "pages").rglob("*"):
        if path.is_file():
            os.utime(path, (time.time() - seconds, time.time() - seconds))


def test_fresh_page_is_not_asked_for(scenario: Scenario, tmp_path: Path) -> None:
    scenario.cache = tmp_path / "http"
    scenario.index.page_headers = {"Cache-Control": "max-age=600, public", "ETag": '"1"'}
    scenario.wheel("top", "1.0", "below")
    scenario.wheel("below", "2.0")
    first = scenario.lock("top")
    assert {"/simple/top/", "/simple/below/"} <= set(pages_asked(scenario))
    assert scenario.lock("top") == first
    assert not {"/simple/top/", "/simple/below/"} & set(pages_asked(scenario))


def test_old_page_is_asked_for_by_its_tag(scenario: Scenario, tmp_path: Path) -> None:
    scenario.cache = tmp_path / "http"
    scenario.index.page_headers = {"Cache-Control": "max-age=600", "ETag": '"1"'}
    scenario.wheel("top", "1.0")
    scenario.lock("top")
    scenario.wheel("top", "2.0")  # the tag stays: a server that says so is believed
    aged(scenario, 3600)
    assert packed(scenario.lock("top")) == {"top": "1.0"}
    pages_asked(scenario)
    assert packed(scenario.lock("top")) == {"top": "1.0"}
    assert "/simple/top/" not in pages_asked(scenario)  # 304 made it fresh
    scenario.index.page_headers["ETag"] = '"2"'
    aged(scenario, 3600)
    assert packed(scenario.lock("top")) == {"top": "2.0"}


def test_page_is_the_same_from_disk(tmp_path: Path) -> None:
    found = kept(tmp_path, cache_control="max-age=60").find(URL)
    assert found is not None
    assert (found.fresh, found.base, found.places, list(found.rows)) == (True, URL, RowPlaces.of([ROW]), [ROW])


@pytest.mark.parametrize(
    ("headers", "there", "fresh"),
    [
        ({}, False, False),
        ({"cache_control": "no-store", "etag": "x"}, False, False),
        ({"cache_control": "max-age=600, no-store"}, False, False),
        ({"etag": "x"}, True, False),
        ({"last_modified": "Thu, 01 Jan 2026 00:00:00 GMT"}, True, False),
        ({"cache_control": "no-cache, max-age=600", "etag": "x"}, True, False),
        ({"cache_control": "max-age=600"}, True, True),
        ({"cache_control": "max-age=600", "age": "600", "etag": "x"}, True, False),
        ({"cache_control": "s-max-age=600"}, False, False),
    ],
)
def test_what_is_kept_and_for_how_long(headers: dict[str, str], there: bool, fresh: bool, tmp_path: Path) -> None:
    found = kept(tmp_path, **headers).find(URL)
    assert (found is not None, found is not None and found.fresh) == (there, fresh)


def test_page_from_the_future_is_not_fresh(tmp_path: Path) -> None:
    pages = kept(tmp_path, cache_control="max-age=600")
    for path in tmp_path.rglob("*"):
        os.utime(path, (time.time() + 3600, time.time() + 3600))
    found = pages.find(URL)
    assert found is not None
    assert not found.fresh


@pytest.mark.parametrize("place", [0, 3, 4, 40, -1])
def test_damaged_page_is_no_page(place: int, tmp_path: Path) -> None:
    pages = kept(tmp_path, cache_control="max-age=600")
    (path,) = (path for path in tmp_path.rglob("*") if path.is_file())
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)
    assert pages.find(URL) is None
    path.write_bytes(b"")
    assert pages.find(URL) is None
