"""Rich's bar for long work on a terminal: what is being done, for how long, and bytes where there are any to count."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.table import Column
from rich.text import Text

from kpack.cli.session import plain

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rich.console import RenderableType
    from rich.progress import Task, TaskID


SOON = 0.5
"""Seconds before a bar is drawn."""
_TITLE = 12
"""Columns that a title has at least, so that bars below each other begin at the same place."""


class _OfBytes(ProgressColumn):
    """Another column, shown once there are bytes to count."""

    def __init__(self, column: ProgressColumn) -> None:
        super().__init__()
        self.column = column

    def render(self, task: Task) -> RenderableType:
        return self.column(task) if task.total else Text()


class Bar:
    """One task on one line."""

    def __init__(self, progress: Progress, task: TaskID, total: int) -> None:
        self.progress, self.task, self.total = progress, task, total

    def advance(self, count: int) -> None:
        """So many bytes more are done."""
        self.progress.advance(self.task, count)

    def grow(self, count: int) -> None:
        """So many bytes more are to be done."""
        self.total += count
        self.progress.update(self.task, total=self.total or None)

    def retitle(self, title: str) -> None:
        """Say what is being done."""
        self.progress.update(self.task, description=plain(title))


@contextmanager
def bars() -> Iterator[Callable[[str, int], Bar]]:
    """Yield what adds a bar, by its title and its bytes (0: none yet); all are drawn together until the work is done.

    They are drawn when it takes longer: what is over in half a second needs none.
    """
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False, table_column=Column(min_width=_TITLE, no_wrap=True)),
        TimeElapsedColumn(),
        *map(_OfBytes, (BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())),
    )
    progress = Progress(*columns, console=Console(stderr=True), transient=True)
    over, turn = threading.Event(), threading.Lock()

    def draw() -> None:
        with turn:
            if not over.is_set():
                progress.start()

    timer = threading.Timer(SOON, draw)
    timer.daemon = True
    timer.start()
    try:
        yield lambda title, total: Bar(progress, progress.add_task(title, total=total or None), total)
    finally:
        timer.cancel()
        with turn:
            over.set()
            progress.stop()
