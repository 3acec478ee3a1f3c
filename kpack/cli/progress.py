"""Progress of long work: a rich bar on a terminal, one plain line now and then in a log."""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from typing import TYPE_CHECKING

from kpack.cli.session import human_size, plain, say

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from kpack.fetch import Event

_EVERY = 10.0
"""Seconds between two lines of a log."""


@contextlib.contextmanager
def counted(title: str, total: int) -> Iterator[Callable[[int], None]]:
    """Yield a function that is told of bytes done; ``total`` in bytes."""
    if sys.stderr.isatty():
        with _bar(title, total) as advance:
            yield advance
    else:
        yield _Log(title, total).advance


@contextlib.contextmanager
def _bar(title: str, total: int) -> Iterator[Callable[[int], None]]:
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(title, total=total)
        yield lambda count: progress.advance(task, count)


class _Log:
    """Says how far it is when it takes long."""

    def __init__(self, title: str, total: int) -> None:
        self.title, self.total, self.done = title, total, 0
        self.begun = self.last = time.monotonic()
        self.lock = threading.Lock()

    def advance(self, count: int) -> None:
        with self.lock:
            self.done += count
            now = time.monotonic()
            if now - self.last < _EVERY:
                return
            self.last = now
            rate = self.done / (now - self.begun)
            left = f", {(self.total - self.done) / rate:.0f} s left" if self.total > self.done and rate else ""
            say(f"{self.title}: {human_size(self.done)} of {human_size(self.total)}, {human_size(int(rate))}/s{left}")


@contextlib.contextmanager
def fetching(total: int) -> Iterator[Callable[[Event], None]]:
    """Yield a listener for `kpack.fetch`; ``total`` is the bytes to have, cached ones included."""
    from kpack.fetch import EventKind

    with counted("fetching", total) as advance:
        received: dict[str, int] = {}

        def listen(event: Event) -> None:
            name = event.download.name
            size = event.received
            if event.kind is EventKind.CACHED:
                size = event.total or event.download.size or 0
            elif event.kind in (EventKind.RETRYING, EventKind.MIRROR, EventKind.WAITING):
                say(f"{name}: {event.kind.value}{': ' + event.note if event.note else ''}")
            advance(size - received.get(name, 0))
            received[name] = size

        yield listen


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
