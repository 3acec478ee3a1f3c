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

    from rich.progress import Progress, TaskID

    from kpack.fetch import Download, Event
    from kpack.fetch.model import Listener
    from kpack.resolve.wire import Requested

_EVERY = 10.0
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
def locking() -> Iterator[tuple[Callable[[str, Requested], None], Listener]]:
    """Yield who hears what the resolver says, and a listener for a fetcher of files that nobody knows yet."""
    with _shown("resolving", 0) as shown:

        def resolving(label: str, said: Requested) -> None:
            shown.retitle(f"resolving for {label}, {said.count} questions to the index")

        yield resolving, _Fetching(shown, grows=True)


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


def _shown(title: str, total: int) -> contextlib.AbstractContextManager[_Shown]:
    return _bar(title, total) if sys.stderr.isatty() else contextlib.nullcontext(_Log(title, total))


@contextlib.contextmanager
def _bar(title: str, total: int) -> Iterator[_Shown]:
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    columns = (TextColumn("{task.description}", markup=False), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True), transient=True) as progress:
        yield _Bar(progress, progress.add_task(title, total=total or None), total)


class _Bar:
    """A bar of rich's."""

    def __init__(self, progress: Progress, task: TaskID, total: int) -> None:
        self.progress, self.task, self.total = progress, task, total

    def advance(self, count: int) -> None:
        self.progress.advance(self.task, count)

    def grow(self, count: int) -> None:
        self.total += count
        self.progress.update(self.task, total=self.total)

    def retitle(self, title: str) -> None:
        self.progress.update(self.task, description=plain(title))


class _Log:
    """Says how far it is when it takes long."""

    def __init__(self, title: str, total: int) -> None:
        self.title, self.total, self.done = title, total, 0
        self.begun = self.last = time.monotonic()
        self.lock = threading.Lock()

    def advance(self, count: int) -> None:
        with self.lock:
            self.done += count
            self._now_and_then()

    def grow(self, count: int) -> None:
        with self.lock:
            self.total += count

    def retitle(self, title: str) -> None:
        with self.lock:
            self.title = title
            self._now_and_then()

    def _now_and_then(self) -> None:
        now = time.monotonic()
        if now - self.last < _EVERY:
            return
        self.last = now
        if not self.total:
            say(f"{self.title} …")
            return
        rate = self.done / (now - self.begun)
        left = f", {(self.total - self.done) / rate:.0f} s left" if self.total > self.done and rate else ""
        say(f"{self.title}: {human_size(self.done)} of {human_size(self.total)}, {human_size(int(rate))}/s{left}")


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
