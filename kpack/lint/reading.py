"""Native code of wheels that are not on this machine yet, read while a lock does something else.

What it costs is bounded, beside what a lock and a build take anyway. A small wheel is fetched whole into the cache,
where the build finds it and its verdict. Of a larger one parts are read, a tenth of it at most. Of a wheel without
native code, as its tags say, nothing is asked; of the largest ones the directory is, for some are tagged wrongly.
"""

from __future__ import annotations

import contextlib
import hashlib
import threading
import time
from concurrent.futures import wait
from functools import partial
from typing import TYPE_CHECKING, NamedTuple, Self

from packaging.utils import parse_wheel_filename

from kpack.errors import IntegrityError, KpackError
from kpack.fetch.model import Patience
from kpack.lint.memory import PartMemory
from kpack.lint.threads import Threads
from kpack.native import names
from kpack.pack.admission import Verdicts
from kpack.pack.content import WheelFile

if TYPE_CHECKING:
    from collections.abc import Iterable
    from concurrent.futures import Future

    from kpack.fetch import Fetcher
    from kpack.fetch.client import Client
    from kpack.native.elf import SharedObject
    from kpack.resolve.model import Wheel

SECONDS = 20.0
"""Until then wheels are read; the others are left to the build."""
SMALL = 4 << 20
"""Bytes of a wheel up to which it is fetched whole."""
SHARE = 10
"""Of a larger one, that part of its bytes is read: a tenth."""
LEAST, MOST = 512 << 10, 8 << 20
"""Bytes that this comes to at least and at most."""
TOTAL = 64 << 20
"""Bytes of all wheels together."""
PURE = 256 << 10
"""Bytes of a wheel without native code from which its directory is looked at."""
PURE_ONES = 24
"""That many of them, the largest."""
_THREADS = 16
"""Most of the time they wait for a server."""
_PATIENCE = Patience(connect=5, stall=10, attempts=1)


class _Task(NamedTuple):
    wheel: Wheel
    cost: int
    """Bytes that reading it may take."""
    whole: bool
    pure: bool
    """Its tags say that it has no native code."""


def machine_of(filename: str) -> str | None:
    """Return the machine that a wheel's tags name; None for a wheel without native code."""
    platforms = {tag.platform for tag in parse_wheel_filename(filename)[3]}
    if "any" in platforms:
        return None
    known = ("x86_64", "aarch64", "i686", "armv7l", "ppc64le", "s390x", "riscv64")
    return next((name for name in known if any(item.endswith(name) for item in platforms)), "")


def budget(filename: str, size: int) -> int:
    """Return how many bytes beside its directory to read of a wheel of ``size`` bytes.

    Of NVIDIA's own libraries the names are enough: they are what others ask for, and ask for each other alone.
    """
    return 0 if _by_name(filename) else max(LEAST, min(MOST, size // SHARE))


def _by_name(filename: str) -> bool:
    return filename.startswith("nvidia_")


def _tells_late(filename: str, objects: Iterable[SharedObject]) -> bool:
    """Tell whether none of a wheel's own files told anything, as where a tool has moved their tables to the end."""
    own = [item for item in objects if not names.is_copied(item.path)]
    return bool(own) and not _by_name(filename) and all(item.unread for item in own)


class WheelReading:
    """A context whose threads read wheels; leaving it ends them.

    ``found`` and ``unread`` are complete after `wait`. Wheels that are in the cache are the report's to read.
    """

    def __init__(self, fetcher: Fetcher, *, seconds: float = SECONDS) -> None:
        self.cache = fetcher.cache
        self.verdicts = Verdicts(fetcher.cache.root / "admitted")
        self.found: dict[str, tuple[SharedObject, ...]] = {}
        """By file name: all that look like shared objects."""
        self.unread: dict[str, str] = {}
        """Why a wheel was not read, by file name."""
        self.refused: set[str] = set()
        """Those of the cache that no build takes, by file name; the report that reads them finds it out."""
        self.bytes = 0
        """Bytes that were read of wheels which a build has to fetch all the same."""
        self._fetcher = fetcher
        self._memory = PartMemory(fetcher.cache.root / "native")
        self._seconds = seconds
        self._threads: Threads | None = None
        self._waiting: dict[_Task, Future[None]] = {}
        self._mutex = threading.Lock()
        self._client: Client | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def start(self, wheels: Iterable[Wheel]) -> None:
        """Begin to read what there is to read of ``wheels``."""
        wheels = tuple(dict.fromkeys(wheels))
        tasks = [task for wheel in wheels if (task := self._task(wheel)) is not None]
        pure = [task for task in tasks if task.pure]
        for task in sorted(pure, key=lambda item: -(item.wheel.size or 0))[PURE_ONES:]:
            tasks.remove(task)
        left, chosen = TOTAL, []
        for task in sorted(tasks, key=lambda item: (item.pure, item.cost, item.wheel.filename)):
            if task.cost <= left:
                left -= task.cost
                chosen.append(task)
            elif not task.pure:
                self.unread[task.wheel.filename] = "there are many wheels with native code"
        if chosen:
            from kpack.fetch.client import Client  # no lock needs it whose wheels are known

            self._until = time.monotonic() + self._seconds
            self._client = client = Client(connections=_THREADS, patience=_PATIENCE)
            self._threads = threads = Threads(_THREADS)
            self._waiting = {task: threads.submit(partial(self._work, task, client, threads)) for task in chosen}

    def _task(self, wheel: Wheel) -> _Task | None:
        """Return what there is to do for a wheel."""
        pure = machine_of(wheel.filename) is None
        if (pure and (wheel.size or 0) < PURE) or self.cache.find(wheel.sha256, wheel.size) is not None:
            return None
        if (known := self._memory.get(wheel.sha256)) is not None:
            self.found[wheel.filename] = known
            return None
        if self._fetcher.offline or wheel.url is None or not wheel.url.startswith(("https://", "http://")):
            why = "it is not asked for"
        elif wheel.size is None:
            why = "its index does not say how many bytes it has"
        elif pure or wheel.size > SMALL:
            return _Task(wheel, budget(wheel.filename, wheel.size), whole=False, pure=pure)
        else:
            return _Task(wheel, wheel.size, whole=True, pure=False)
        if not pure:
            self.unread[wheel.filename] = why
        return None

    @property
    def untold(self) -> dict[str, str]:
        """Why nothing is known of the native code of a wheel, by file name."""
        late = (name for name, objects in self.found.items() if _tells_late(name, objects))
        return {**self.unread, **dict.fromkeys(late, "its files tell at their end what they need")}

    def wait(self) -> None:
        """Let everything come to its end, of which there is one in time."""
        if self._waiting:
            done, _ = wait(self._waiting.values(), max(0.0, self._until - time.monotonic()))
            for future in done:
                future.result()  # nothing, unless something is wrong with kpack
        self._end()

    def _end(self) -> None:
        if self._client is None or self._threads is None:
            return
        over = [task for task, future in self._waiting.items() if not future.done()]
        self._client.interrupt()
        self._threads.end(1)  # one that waits for a connection ends with it, and is heard no more
        self._client.close()
        self._client = None
        with self._mutex:
            for task in over:
                self._leave(task, f"{self._seconds:g} seconds were over")

    def _work(self, task: _Task, client: Client, threads: Threads) -> None:
        from kpack.fetch.client import Refused, Transient
        from kpack.native.remote import UnreadError

        try:
            if task.whole:
                self._bring(task.wheel, client)
            else:
                self._read(task, client, threads)
        except (UnreadError, Transient, Refused, KpackError) as trouble:
            with self._mutex:
                self._leave(task, str(trouble))

    def _leave(self, task: _Task, why: str) -> None:
        """Remember why a wheel was not read, unless it was meanwhile, or there should be nothing to read."""
        if not task.pure and task.wheel.filename not in self.found:
            self.unread[task.wheel.filename] = why

    def _bring(self, wheel: Wheel, client: Client) -> None:
        """Fetch a small wheel into the cache, and judge it as a build will."""
        from kpack.native.remote import UnreadError

        assert wheel.url is not None
        data = bytearray()
        with client.open(self._fetcher.credentials.on(wheel.url)) as body:
            for chunk in body.chunks():
                data += chunk
                if len(data) > SMALL:
                    break
        if hashlib.sha256(data).hexdigest() != wheel.sha256:
            raise UnreadError("its server has another file")
        self.cache.add(bytes(data))
        path = self.cache.find(wheel.sha256)
        if path is not None:
            with contextlib.suppress(IntegrityError):  # the build says it
                self.verdicts(WheelFile(filename=wheel.filename, sha256=wheel.sha256, path=path))

    def _read(self, task: _Task, client: Client, threads: Threads) -> None:
        """Read parts of a larger wheel."""
        from kpack.native.remote import RemoteWheel

        wheel = task.wheel
        assert wheel.url is not None
        assert wheel.size is not None
        remote = RemoteWheel(client, self._fetcher.credentials.on(wheel.url), wheel.size, threads.each)
        try:
            objects = remote.objects(task.cost, machine_of(wheel.filename) or "")
        finally:
            with self._mutex:
                self.bytes += remote.received
        self._memory.put(wheel.sha256, objects)
        with self._mutex:
            self.found[wheel.filename] = objects
