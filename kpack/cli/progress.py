"""Progress of long work: a rich bar on a terminal, one plain line now and then in a log."""

from __future__ import annotations

import contextlib
import threading
import time
from typing import TYPE_CHECKING, Protocol

from kpack.cli.session import SCREEN, human_size, live, plain, say

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from kpack.fetch import Download, Event
    from kpack.fetch.model import Listener
    from kpack.resolve.wire import Underway

_EVERY = 5.0
"""Seconds between two lines of a log."""


@contextlib.contextmanager
def counted(title: str, total: int) -> Iterator[Callable[[int], None]]:
    """Yield a function that is told of bytes done; ``total`` in bytes."""
    with _shown(title, total) as shown:
        yield shown.advance


@contextlib.contextmanager
def busy(title: str) -> Iterator[None]:
    """Show, once it takes longer, what is being waited for."""
    with _shown(title, 0):
        yield


@contextlib.contextmanager
def building(total: int) -> Iterator[tuple[Listener, Callable[[int], None]]]:
    """Yield a listener for a fetcher, and a function that is told of bytes packed; ``total`` are the bytes of both."""
    with _screen() as add:
        fetched, packed = add("fetching", total), add("packing", total)
        yield _Fetching(fetched, grows=False), packed.advance


@contextlib.contextmanager
def locking() -> Iterator[tuple[Callable[[str, Underway], None], Listener]]:
    """Yield who hears what the resolver says, and a listener for a fetcher of files that nobody knows yet."""
    with _shown("resolving", 0) as shown:

        def resolving(label: str, said: Underway) -> None:
            shown.retitle(f"{label}: {course(said)}")

        yield resolving, _Fetching(shown, grows=True)


def course(said: Underway) -> str:
    """Return how far a search is, for people."""
    what = "trying words that may help" if said.trying else "resolving"
    back = f", going back over {said.back} ({said.rejected} versions do not fit)" if said.back else ""
    asked = f", asking {said.building}" if said.building else ""
    return f"{what}, {said.known} known{back}{asked}, {said.requests} questions to the index"


class _Fetching:
    """Hears the events of fetches, from several threads.

    What is in the cache, or is there of an interrupted download, is taken off the bytes to come: it would make a rate
    that no network has.
    """

    def __init__(self, shown: _Shown, *, grows: bool) -> None:
        self.shown = shown
        self.grows = grows
        self.mutex = threading.Lock()
        self.received: dict[Download, int] = {}
        self.expected: dict[Download, int] = {}

    def __call__(self, event: Event) -> None:
        with self.mutex:
            self._hear(event)

    def _hear(self, event: Event) -> None:
        from kpack import fetch

        if isinstance(event, fetch.Announced):
            say(event.sentence)
            return
        if isinstance(event, fetch.Making):
            self.shown.retitle(event.title)
            return
        name = event.download.name
        match event:
            case fetch.Started(download=download):
                self.shown.retitle("fetching")
                self._expect(download, download.size)
                self._have(download, 0)
            case fetch.Resumed(download=download, received=received):
                say(f"{name}: going on after {human_size(received)}")
                self._skip(download, received)
            case fetch.Received(download=download, received=received, total=total):
                self._expect(download, total)
                self._have(download, received)
            case fetch.Cached(download=download, size=size):
                _each(f"{name}: in the cache ({human_size(size)})")
                self._skip(download, size)
            case fetch.Finished(download=download, size=size):
                _each(f"{name}: fetched ({human_size(size)})")
                self._expect(download, size)
                self._have(download, size)
            case fetch.Waiting():
                say(f"{name}: waiting for another kpack that fetches it")
            case fetch.Retrying(why=why):
                say(f"{name}: trying again: {why}")
            case fetch.PassedOver(why=why):
                say(f"{name}: asking the next mirror: {why}")

    def _expect(self, download: Download, size: int | None) -> None:
        if self.grows and size is not None:
            self.shown.grow(size - self.expected.get(download, 0))
            self.expected[download] = size

    def _skip(self, download: Download, size: int) -> None:
        if not self.grows or download in self.expected:
            self.shown.grow(self.received.get(download, 0) - size)
        self.received[download] = size

    def _have(self, download: Download, size: int) -> None:
        self.shown.advance(size - self.received.get(download, 0))
        self.received[download] = size


class _Shown(Protocol):
    """Something that shows how far bytes are."""

    def advance(self, count: int) -> None:
        """So many bytes more are done."""

    def grow(self, count: int) -> None:
        """So many bytes more are to be done."""

    def retitle(self, title: str) -> None:
        """Say what is being done."""


@contextlib.contextmanager
def _shown(title: str, total: int) -> Iterator[_Shown]:
    with _screen() as add:
        yield add(title, total)


@contextlib.contextmanager
def _screen() -> Iterator[Callable[[str, int], _Shown]]:
    """Yield what adds a task to what is shown."""
    if live():
        from kpack.cli.bars import bars

        with bars() as add:
            yield add
        return
    over = threading.Event()
    with contextlib.ExitStack() as speakers:
        speakers.callback(over.set)

        def log(title: str, total: int) -> _Log:
            made = _Log(title, total)
            speaker = threading.Thread(target=made.speak, args=[over], daemon=True)
            speaker.start()
            speakers.callback(speaker.join)
            speakers.callback(over.set)
            return made

        yield log


def _each(text: str) -> None:
    if SCREEN.volume > 0:
        say(text)


class _Log:
    """Says how far it is when it takes long, whether anything has happened or not."""

    def __init__(self, title: str, total: int) -> None:
        self.title, self.total, self.done = title, total, 0
        self.begun = time.monotonic()
        self.lock = threading.Lock()

    def advance(self, count: int) -> None:
        with self.lock:
            self.done += count

    def grow(self, count: int) -> None:
        with self.lock:
            self.total += count

    def retitle(self, title: str) -> None:
        with self.lock:
            self.title = title

    def speak(self, over: threading.Event) -> None:
        """Say a line every `_EVERY` seconds until it is ``over``."""
        while not over.wait(_EVERY):
            with self.lock:
                line = self.line()
            say(line)

    def line(self) -> str:
        """Return how far it is."""
        seconds = time.monotonic() - self.begun
        if self.done >= self.total:
            return f"{self.title} … ({seconds:.0f} s)"
        rate = self.done / seconds if seconds else 0
        left = f", {(self.total - self.done) / rate:.0f} s left" if self.total > self.done and rate else ""
        return f"{self.title}: {human_size(self.done)} of {human_size(self.total)}, {human_size(int(rate))}/s{left}"


@contextlib.contextmanager
def phases() -> Iterator[Callable[[str], None]]:
    """Yield a function that is told what is being done now: a line that changes, or in a log a line for each."""
    if not live():
        yield lambda text: say(f"{text} …")
        return
    from rich.console import Console
    from rich.text import Text

    with Console(stderr=True).status("") as status:
        yield lambda text: status.update(Text(plain(f"{text} …")))
