"""Progress of long work: a rich bar on a terminal, one plain line now and then in a log."""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from typing import TYPE_CHECKING, Protocol

from kpack.cli.session import human_size, plain, say

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
def fetching(total: int) -> Iterator[Listener]:
    """Yield a listener for a `kpack.fetch.Fetcher`; ``total`` is the bytes to have, cached ones included."""
    with _shown("fetching", total) as shown:
        yield _Fetching(shown, grows=False)


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
    return f"{what}, {said.known} known{back}, {said.requests} questions to the index"


class _Fetching:
    """Hears the events of fetches, from several threads."""

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

        name = event.download.name
        match event:
            case fetch.Started(download=download):
                self._expect(download, download.size)
                self._have(download, 0)
            case fetch.Resumed(download=download, received=received):
                say(f"{name}: going on after {human_size(received)}")
                self._have(download, received)
            case fetch.Received(download=download, received=received, total=total):
                self._expect(download, total)
                self._have(download, received)
            case fetch.Cached(download=download, size=size) | fetch.Finished(download=download, size=size):
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
            self.shown.retitle("fetching")
            self.shown.grow(size - self.expected.get(download, 0))
            self.expected[download] = size

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
    if sys.stderr.isatty():
        from kpack.cli.bars import bar

        with bar(title, total) as shown:
            yield shown
        return
    log = _Log(title, total)
    over = threading.Event()
    speaker = threading.Thread(target=log.speak, args=[over], daemon=True)
    speaker.start()
    try:
        yield log
    finally:
        over.set()
        speaker.join()


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
        if not self.total:
            return f"{self.title} … ({seconds:.0f} s)"
        rate = self.done / seconds
        left = f", {(self.total - self.done) / rate:.0f} s left" if self.total > self.done and rate else ""
        return f"{self.title}: {human_size(self.done)} of {human_size(self.total)}, {human_size(int(rate))}/s{left}"


@contextlib.contextmanager
def phases() -> Iterator[Callable[[str], None]]:
    """Yield a function that is told what is being done now: a line that changes, or in a log a line for each."""
    if not sys.stderr.isatty():
        yield lambda text: say(f"{text} …")
        return
    from rich.console import Console
    from rich.text import Text

    with Console(stderr=True).status("") as status:
        yield lambda text: status.update(Text(plain(f"{text} …")))
