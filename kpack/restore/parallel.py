"""Threads that work through a list: most of a restore happens in calls that release the interpreter's lock."""

from __future__ import annotations

import os
import threading
from collections import deque
from typing import Callable, List, Sequence, TypeVar

T = TypeVar("T")


def cores() -> int:
    """Return how many processors this process may use."""
    try:
        return max(1, len(os.sched_getaffinity(0)))
    except AttributeError:
        return os.cpu_count() or 1


class Stop(Exception):
    """Raised in a worker that shall end because another one has failed."""


def each(items: Sequence[T], work: Callable[[T], None], *, threads: int) -> None:
    """Call ``work`` for every item, in order of start, in several threads, and return when all are done.

    Raises the first error of a worker, or what is raised in the calling thread (KeyboardInterrupt), after every
    worker has stopped.
    """
    waiting = deque(items)
    errors: List[BaseException] = []

    def loop() -> None:
        while not errors:
            try:
                item = waiting.popleft()
            except IndexError:
                return
            try:
                work(item)
            except BaseException as error:  # noqa: BLE001 - handed to the calling thread
                errors.append(error)

    crew = [threading.Thread(target=loop, name="kpack", daemon=True) for _ in range(min(threads, len(items)))]
    for thread in crew:
        thread.start()
    try:
        for thread in crew:
            thread.join()
    finally:
        waiting.clear()
        for thread in crew:
            thread.join()
    if errors:
        raise errors[0]
