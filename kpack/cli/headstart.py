"""A resolver that starts before this process has loaded what it needs itself: both take about as long."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from kpack import places

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kpack.resolve.child import Workers


@contextmanager
def headstart(config: Path | None, *, renew: bool) -> Iterator[Workers | None]:
    """Yield a worker that is loading when the lock of ``config`` will hardly hold, else None.

    Whether it holds is told later, by what the file means; here the times of the two files must do. ``renew`` says
    that it will be written anew whatever it says. ``config`` is None for the nearest kaggle-env.toml.
    """
    path = config or places.nearest(Path.cwd())
    if path is None or not path.name or not (renew or _looks_stale(path)):
        yield None
        return
    from kpack.cache import Cache
    from kpack.resolve.process import StartedWorker

    with Cache().temporary() as scratch:
        begun = StartedWorker(scratch)
        try:
            from kpack.resolve.child import Workers  # takes its time, and the worker has begun
        except BaseException:  # Ctrl-C
            begun.end()
            raise
        with Workers(1, scratch=scratch, begun=begun) as workers:
            yield workers


def _looks_stale(config: Path) -> bool:
    try:
        written = config.stat().st_mtime_ns
    except OSError:
        return False  # whoever reads it says what is wrong with it
    try:
        return places.lock_beside(config).stat().st_mtime_ns <= written
    except OSError:
        return True
