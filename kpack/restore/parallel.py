"""Threads that work through a list: most of a restore happens in calls that release the interpreter's lock."""

from __future__ import annotations

import os
import threading
from typing import Callable, Iterator, List, Optional, Sequence, TypeVar

T = TypeVar("T")


def cores() -> int:
    """Return how many processors this process may use."""
    try:
        return max(1, len(os.sched_getaffinity(0)))
    except AttributeError:
        return os.cpu_count() or 1


class Stop(Exception):
    """Raised by `Crew.check` in a worker when another one has failed."""


class Crew:
    """Threads that share one list of items and stop together at the first error."""

    def __init__(self, threads: int) -> None:
        self.threads = max(1, threads)
        self._stopping = threading.Event()
        self._error: Optional[BaseException] = None

    def check(self) -> None:
        """Leave the current item when another worker has failed. Raises Stop."""
        if self._stopping.is_set():
            raise Stop

    def run(self, items: Sequence[T], work: Callable[[T], None], tick: Optional[Callable[[], None]] = None) -> None:
        """Call ``work`` for every item, in order of start, and return when all are done.

        ``tick`` is called about ten times a second in the calling thread. Raises the first error of a worker, or
        what is raised in the calling thread (KeyboardInterrupt), after every worker has stopped.
        """
        waiting = iter(items)
        guard = threading.Lock()
        count = min(self.threads, len(items))
        if count <= 1 and tick is None:
            for item in items:
                work(item)
            return
        threads: List[threading.Thread] = [
            threading.Thread(target=self._loop, args=(waiting, guard, work), name="kpack", daemon=True)
            for _ in range(count)
        ]
        try:
            for thread in threads:
                thread.start()
            for thread in threads:
                while thread.is_alive():
                    thread.join(0.1)
                    if tick is not None:
                        tick()
        finally:
            self._stopping.set()
            for thread in threads:
                if thread.ident is not None:
                    thread.join()
        self._stopping.clear()
        if self._error is not None:
            error, self._error = self._error, None
            raise error

    def _loop(self, waiting: Iterator[T], guard: threading.Lock, work: Callable[[T], None]) -> None:
        while not self._stopping.is_set():
            with guard:
                try:
                    item = next(waiting)
                except StopIteration:
                    return
            try:
                work(item)
            except Stop:
                return
            except BaseException as error:  # noqa: BLE001 - handed to the calling thread
                with guard:
                    if self._error is None:
                        self._error = error
                self._stopping.set()
                return
