"""What is to be done for a file is decided from what is known."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from kpack.fetch import Download
from kpack.fetch.decision import Bring, Have, Refuse, TakeLocal, decide, resumable
from kpack.fetch.part import OnDisk, Segment

SHA = "a" * 64


def wanted(*urls: str, sha256: str | None = SHA, size: int | None = 100) -> Download:
    return Download(name="w", urls=urls, sha256=sha256, size=size)


@pytest.mark.parametrize("offline", [False, True])
def test_what_is_in_the_cache_is_taken_from_there(offline: bool) -> None:
    found = (Path("/cache/w"), 100)
    assert decide(wanted("https://host/w"), found, offline=offline) == Have(*found)
    assert decide(wanted(), found, offline=offline) == Have(*found)


@pytest.mark.parametrize("offline", [False, True])
@pytest.mark.parametrize("urls", [("file:///w",), ("data:,w", "file:///w"), ("ftp://host/w",), ()])
def test_without_a_url_on_the_network_no_part_is_kept(urls: tuple[str, ...], offline: bool) -> None:
    assert decide(wanted(*urls), None, offline=offline) == TakeLocal()


def test_offline_refuses_what_only_the_network_has_and_shows_no_secret() -> None:
    done = decide(wanted("https://me:pw@host/w?sig=s", "http://other/w"), None, offline=True)
    assert isinstance(done, Refuse)
    assert done.error.where == "w (https://host/w)"


def test_a_mirror_on_this_machine_is_tried_offline_too() -> None:
    assert decide(wanted("https://host/w", "file:///w"), None, offline=True) == Bring()
    assert decide(wanted("https://host/w"), None, offline=False) == Bring()


NOTED = OnDisk(url="key", validator='"1"', total=100, segments=[Segment(0, 40, 60), Segment(60, 60, 100)])


def test_bytes_of_an_earlier_run_are_taken_up() -> None:
    assert resumable(NOTED, "key", wanted(), 40)
    assert resumable(NOTED, "key", wanted(size=None), 40)
    assert resumable(NOTED, "key", wanted(sha256=None), 40)
    assert resumable(replace(NOTED, validator=None), "key", wanted(), 40)


@pytest.mark.parametrize(
    ("noted", "download", "length"),
    [
        (None, wanted(), 40),
        (replace(NOTED, url="another"), wanted(), 40),
        (NOTED, wanted(size=99), 40),
        (NOTED, wanted(), 39),
        (replace(NOTED, segments=[Segment(0, 0, 100)]), wanted(), 0),
        (replace(NOTED, validator=None), wanted(sha256=None), 40),
    ],
    ids=["no note", "another URL", "another size", "bytes lost", "no byte", "nothing would notice a change"],
)
def test_what_does_not_fit_is_fetched_anew(noted: OnDisk | None, download: Download, length: int) -> None:
    assert not resumable(noted, "key", download, length)
