"""Rich's bar for long work on a terminal: what is being done, for how long, and bytes where there are any to count."""

from __future__ import annotations

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
from rich.text import Text

from kpack.cli.session import plain

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import RenderableType
    from rich.progress import Task, TaskID


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
def bar(title: str, total: int) -> Iterator[Bar]:
    """Yield a bar that is there until the work is done; ``total`` in bytes, 0 for none yet."""
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        TimeElapsedColumn(),
        *map(_OfBytes, (BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        yield Bar(progress, progress.add_task(title, total=total or None), total)
