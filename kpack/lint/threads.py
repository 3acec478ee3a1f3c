"""Threads for what may be given up: they end with the process, whatever they wait for."""

from __future__ import annotations

import queue
import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

T = TypeVar("T")


class Threads:
    """``count`` of them; what is submitted first is begun first.

    `concurrent.futures.ThreadPoolExecutor` is not it: the interpreter waits for its threads before it ends.
    """

    def __init__(self, count: int) -> None:
        self._work: queue.SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None] = queue.SimpleQueue()
        self._threads = [threading.Thread(target=self._run, daemon=True) for _ in range(count)]
        for thread in self._threads:
            thread.start()

    def submit(self, call: Callable[[], T]) -> Future[T]:
        """Have ``call`` done; what it raises is the future's."""
        future: Future[T] = Future()
        self._work.put((future, call))
        return future

    def each(self, call: Callable[[T], object], items: Sequence[T]) -> None:
        """Have ``call`` done for every item, by threads that are idle and by this one, which may be one of them.

        Raises whatever one of them raises; those that nobody has begun are left then.
        """
        futures = [(item, self.submit(lambda item=item: call(item))) for item in items[1:]]  # type: ignore[misc]
        try:
            for item in items[:1]:
                call(item)
            for item, future in reversed(futures):
                if future.cancel():  # nobody has begun it
                    call(item)
                else:
                    future.result()
        finally:
            for _, future in futures:
                future.cancel()

    def end(self, seconds: float) -> None:
        """Begin nothing more; wait ``seconds`` for each thread, and leave those that take longer to themselves."""
        while True:
            try:
                waiting = self._work.get_nowait()
            except queue.Empty:
                break
            if waiting is not None:
                waiting[0].cancel()
        for _ in self._threads:
            self._work.put(None)
        for thread in self._threads:
            thread.join(seconds)

    def _run(self) -> None:
        while (waiting := self._work.get()) is not None:
            future, call = waiting
            if not future.set_running_or_notify_cancel():
                continue
            try:
                result = call()
            except BaseException as error:  # noqa: BLE001 - the future's
                future.set_exception(error)
            else:
                future.set_result(result)
