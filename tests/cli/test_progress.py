"""What is shown of long work is the sum of what its events say."""

from __future__ import annotations

import queue
import re
import typing

import pytest

from kpack.cli.progress import _Fetching, _Log, course, locking
from kpack.fetch import (
    Announced,
    Cached,
    Download,
    Event,
    Finished,
    Making,
    PassedOver,
    Received,
    Resumed,
    Retrying,
    Started,
    Waiting,
)
from kpack.resolve.wire import Underway

ONE = Download(name="one", urls=(), sha256=None)
TWO = Download(name="two", urls=(), sha256=None, size=50)
SAID = {Announced, Waiting, Resumed, Retrying, PassedOver}


class Shown:
    """Adds up what it is told."""

    def __init__(self) -> None:
        self.done = self.total = 0
        self.titles: list[str] = []

    def advance(self, count: int) -> None:
        self.done += count

    def grow(self, count: int) -> None:
        self.total += count

    def retitle(self, title: str) -> None:
        self.titles.append(title)


def test_bytes_add_up_over_resumed_and_repeated_downloads() -> None:
    shown = Shown()
    hear = _Fetching(shown, grows=True)
    events: tuple[Event, ...] = (
        Started(download=ONE),
        Received(download=ONE, received=60, total=100),
        Received(download=ONE, received=10, total=100),  # it had to come anew
        Cached(download=TWO, size=50),
        Finished(download=ONE, size=100),
    )
    for event in events:
        hear(event)
    assert (shown.done, shown.total) == (100, 100)


def test_what_is_there_already_counts_for_no_rate() -> None:
    shown = Shown()
    shown.total = 150
    hear = _Fetching(shown, grows=False)
    hear(Cached(download=TWO, size=50))
    assert (shown.done, shown.total) == (0, 100)
    hear(Started(download=ONE))
    hear(Resumed(download=ONE, received=60))
    assert (shown.done, shown.total) == (0, 40)
    hear(Received(download=ONE, received=80, total=100))
    assert (shown.done, shown.total) == (20, 40)
    hear(Finished(download=ONE, size=100))
    assert (shown.done, shown.total) == (40, 40)


@pytest.mark.parametrize("kind", typing.get_args(Event))
def test_every_kind_of_event_is_heard(kind: type, capsys: pytest.CaptureFixture[str]) -> None:
    facts = {
        "download": TWO,
        "size": 50,
        "received": 20,
        "total": 50,
        "why": "it broke",
        "sentence": "two: soon",
        "title": "x",
    }
    shown = Shown()
    _Fetching(shown, grows=True)(kind(**{name: facts[name] for name in kind.__dataclass_fields__}))  # type: ignore[attr-defined]
    assert (kind in SAID) == ("two: " in capsys.readouterr().err)
    assert shown.done or shown.total or kind in SAID | {Cached, Making}


def test_what_is_done_between_fetches_is_told_without_a_rate() -> None:
    log = _Log("resolving", 0)
    hear = _Fetching(log, grows=True)
    hear(Started(download=TWO))
    assert log.line().startswith("fetching: 0 B of 50 B")
    hear(Finished(download=TWO, size=50))
    hear(Making(title="building fork 1.0"))
    assert log.line() == "building fork 1.0 … (0 s)"
    hear(Started(download=ONE))
    assert log.line() == "fetching … (0 s)"


def test_lock_hears_resolver_and_downloads_alike() -> None:
    with locking() as (resolving, hear):
        resolving("python-3.12", Underway(requests=7))
        hear(Cached(download=TWO, size=50))


def test_backtracking_is_said_aloud() -> None:
    said = Underway(requests=40, known=12, back="numpy", rejected=5)
    assert (
        course(said) == "resolving, 12 known, going back over numpy (5 versions do not fit), 40 questions to the index"
    )
    assert course(Underway(requests=0, trying=True)).startswith("trying words")


def test_log_tells_rate_and_time_left() -> None:
    log = _Log("fetching", 100)
    log.begun -= 10
    log.advance(50)
    assert re.fullmatch("fetching: 50 B of 100 B, [0-9] B/s, [0-9]+ s left", log.line())
    assert _Log("resolving", 0).line() == "resolving … (0 s)"


def test_log_speaks_although_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    said: queue.SimpleQueue[str] = queue.SimpleQueue()
    monkeypatch.setattr("kpack.cli.progress._EVERY", 0.0)
    monkeypatch.setattr("kpack.cli.progress.say", said.put)
    with locking():
        assert said.get(timeout=60).startswith("resolving …")
