"""Reading ahead: spans are read and verified by several readers while others inflate and write them.

A network mount gives each handle its own bandwidth, so a source that leaves workers waiting gets more readers than
there are processors; a fast source is left with few. Memory is bounded by a fixed number of buffers.
"""

from __future__ import annotations

import contextlib
import mmap
import threading
from collections import deque
from typing import TYPE_CHECKING, Callable, Deque, Dict, Iterable, Iterator, List, Optional, Sequence, Set, Tuple

from .parallel import Stop, cores

if TYPE_CHECKING:
    from .checkpoints import CopyJob
    from .manifest import Member, Span
    from .pack import Pack
    from .wheels import Job

READERS = 16
"""Readers of a slow source, and buffers (of one span each) in all."""

EARLY = READERS * 3 // 4
"""Spans that are read before it is known what for: the other buffers are enough for those that are wanted first."""

SLOW = 400e6
"""Bytes per second of one reader below which another one is added."""

_Key = Tuple[str, int]


class Feed:
    """Works through jobs and copies with readers and workers; the first error stops all of them.

    `close` it: no thread of it outlives that.
    """

    def __init__(self, pack: Pack, *, workers: Optional[int] = None, readers: Optional[int] = None) -> None:
        self._pack = pack
        self._workers = workers or cores()
        self._fixed = readers
        """A fixed number of readers, for measurements; None adapts."""
        self._lock = threading.Lock()
        self._arrived = threading.Condition(self._lock)
        """Workers wait for it: their span was read."""
        self._wanted = threading.Condition(self._lock)
        """Readers wait for it: there is a buffer to read into, or nothing left to read."""
        self._spans: Deque[Tuple[Member, Span]] = deque()
        self._copies: Deque[CopyJob] = deque()
        self._buffers: List[mmap.mmap] = []
        self._made = 0
        self._held = 0
        """Spans that are being read or wait for their worker."""
        self._ready: Dict[_Key, Tuple[memoryview, mmap.mmap]] = {}
        self._threads: List[threading.Thread] = []
        self._readers = 0
        self._starving = 0
        """Workers that wait for a span."""
        self._stopped = False
        self._error: Optional[BaseException] = None
        self._largest = max((span.size for member in pack.manifest.members for span in member.spans), default=0)
        self._copy: Optional[Callable[[CopyJob, memoryview], None]] = None
        self._early: Set[_Key] = set()
        """Spans that `begin` lets be read; they are not counted as held."""
        self._unwanted: Set[_Key] = set()
        """Those of them that no job needs."""
        self.done = 0
        """Bytes read and verified."""

    def begin(self, members: Iterable[Member]) -> None:
        """Read some spans of the largest members, while another thread plans what to do with them.

        What is wrong with them is an error of `run`.
        """
        largest = sorted(members, key=lambda member: -member.size)
        # The last two are the directory and mostly the metadata, which planning reads.
        self._spans.extend([(member, span) for member in largest for span in member.spans[:-2]][:EARLY])
        self._early.update((member.path, span.offset) for member, span in self._spans)
        for _ in range(min(self._workers, len(self._spans))):
            self._add_reader()

    def run(
        self,
        jobs: Sequence[Job],
        copies: Sequence[CopyJob],
        work: Callable[[Job, Iterator[memoryview]], None],
        copy: Callable[[CopyJob, memoryview], None],
        tick: Optional[Callable[[], None]] = None,
    ) -> None:
        """Call ``work`` for every job with the verified bytes of its spans, and ``copy`` for every copy with its own.

        Jobs are begun in the order given. ``tick`` is called about ten times a second in the calling thread. Raises the
        first error, or what is raised in the calling thread (KeyboardInterrupt), after everything has stopped.
        """
        order = reading_order(jobs, self._workers)
        with self._lock:
            unread = {(member.path, span.offset) for member, span in self._spans}
            wanted = {(member.path, span.offset) for member, span in order}
            self._early -= unread
            self._unwanted = self._early - wanted
            for key in self._unwanted & self._ready.keys():
                view, buffer = self._ready.pop(key)
                view.release()
                self._buffers.append(buffer)
            self._spans = deque(item for item in order if (item[0].path, item[1].offset) not in self._early)
            self._copies.extend(copies)
            self._copy = copy
            readers = (self._fixed or self._workers) - self._readers
        waiting = deque(jobs)
        try:
            for _ in range(min(self._workers, len(jobs))):
                self._start(lambda: self._work(waiting, work))
            for _ in range(readers):
                self._add_reader()
            while any(thread.is_alive() for thread in self._threads):
                for thread in self._threads:
                    if thread.is_alive():
                        thread.join(0.1)
                        break
                if tick is not None:
                    tick()
        finally:
            self.close()
        if self._error is not None:
            raise self._error

    def close(self) -> None:
        """Stop every reader and worker, and return when they have ended."""
        self._stop(None)
        for thread in self._threads:
            thread.join()

    def _start(self, loop: Callable[[], None]) -> None:
        def guarded() -> None:
            try:
                loop()
            except Stop:
                pass
            except BaseException as error:  # noqa: BLE001 - handed to the calling thread
                self._stop(error)

        thread = threading.Thread(target=guarded, name="kpack", daemon=True)
        thread.start()
        self._threads.append(thread)

    def _stop(self, error: Optional[BaseException]) -> None:
        with self._lock:
            self._stopped = True
            if self._error is None:
                self._error = error
            self._arrived.notify_all()
            self._wanted.notify_all()

    def _work(self, waiting: Deque[Job], work: Callable[[Job, Iterator[memoryview]], None]) -> None:
        while not self._stopped:
            try:
                job = waiting.popleft()
            except IndexError:
                return
            views = self._views(job)
            work(job, views)
            for _ in views:  # spans without a file are verified all the same
                pass

    def _views(self, job: Job) -> Iterator[memoryview]:
        """Yield the bytes of a job's spans; each is valid until the next is asked for."""
        if job.known is not None:
            yield memoryview(job.known)
            return
        for span in job.spans:
            key = (job.member.path, span.offset)
            with self._lock:
                self._starving += 1
                while key not in self._ready:
                    if self._stopped:
                        raise Stop
                    self._arrived.wait()
                self._starving -= 1
                view, buffer = self._ready.pop(key)
            yield view
            view.release()
            with self._lock:
                self._held -= key not in self._early
                self._buffers.append(buffer)
                self._wanted.notify()

    def _add_reader(self) -> None:
        self._readers += 1
        self._start(self._read)

    def _read(self) -> None:
        while True:
            with self._lock:
                task = self._next()
                while task is None:
                    if self._stopped or not (self._spans or self._copies):
                        self._readers -= 1
                        return
                    self._wanted.wait()
                    task = self._next()
                if not (self._spans or self._copies):
                    self._wanted.notify_all()  # for the other readers there is nothing left to do
            buffer, member, span, item = task
            view, seconds = self._pack.read_into(member, span, memoryview(buffer))
            if item is not None:
                assert self._copy is not None
                self._copy(item, view)
            key = (member.path, span.offset)
            with self._lock:
                self.done += span.size
                if item is not None or key in self._unwanted:
                    view.release()
                    self._buffers.append(buffer)
                    self._wanted.notify()
                else:
                    self._ready[key] = (view, buffer)
                    self._arrived.notify_all()
                more = bool(
                    self._fixed is None
                    and self._readers < min(READERS, len(self._spans) + len(self._copies))
                    and seconds * SLOW > span.size
                    and (self._starving or self._copies)
                )
            if more:
                self._add_reader()

    def _next(self) -> Optional[Tuple[mmap.mmap, Member, Span, Optional[CopyJob]]]:
        """Return a buffer and what to read into it, or None when there is nothing, or no buffer, for it now."""
        if self._stopped or (self._made >= READERS and not self._buffers):
            return None
        ahead = min(READERS if not self._copies else READERS * 5 // 8, self._workers + 2 * self._readers)
        if self._spans:
            member, span = self._spans[0]
            early = (member.path, span.offset) in self._early
            if early or self._held < ahead:
                self._held += not early
                self._spans.popleft()
                return self._buffer(), member, span, None
        if self._copies:
            item = self._copies.popleft()
            if not self._copies:
                self._wanted.notify_all()  # more may be read ahead now
            return self._buffer(), item.member, item.span, item
        return None

    def _buffer(self) -> mmap.mmap:
        if self._buffers:
            return self._buffers.pop()
        self._made += 1
        return _memory(self._largest)


def _memory(size: int) -> mmap.mmap:
    """Return a buffer. A bytearray would first be filled with zeros, page by page, while no other thread can run."""
    memory = mmap.mmap(-1, max(1, size), flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    with contextlib.suppress(AttributeError, OSError):  # a kernel or Python without large pages
        memory.madvise(mmap.MADV_HUGEPAGE)
    return memory


def reading_order(jobs: Sequence[Job], workers: int) -> List[Tuple[Member, Span]]:
    """Return the spans in the order in which ``workers`` will want them.

    It plays the workers through, one span at a time each. So the span that is read first among those that are not
    used yet always belongs to a job that has begun, and waiting for a buffer cannot block them all.
    """
    waiting = deque(job for job in jobs if job.known is None)
    active: Deque[Deque[Tuple[Member, Span]]] = deque()
    found = []
    while waiting or active:
        while waiting and len(active) < workers:
            job = waiting.popleft()
            active.append(deque((job.member, span) for span in job.spans))
        first = active.popleft()
        found.append(first.popleft())
        if first:
            active.append(first)
    return found
