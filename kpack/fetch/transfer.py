"""Getting one file from one URL: in one stream or in ranges, resumed, tried again, never mixed from two versions."""

from __future__ import annotations

import hashlib
import random
import threading
import time
from concurrent.futures import Executor, wait
from typing import TYPE_CHECKING, TypeVar

from kpack.fetch.client import Body, Client, RangeTrouble, Refused, Transient
from kpack.fetch.content import Facts
from kpack.fetch.model import Received, Resumed, Retrying, Stopped
from kpack.fetch.part import SEGMENT, Part, Segment

if TYPE_CHECKING:
    from collections.abc import Callable

    from kpack.fetch.model import Download, Event

T = TypeVar("T")

_TELL_EVERY = 0.1
"""Seconds between two `Received` of a file."""

_LANES = 8
"""Ranges of one file that are fetched at once."""


class Changed(Exception):
    """The file at the URL is not the one whose first bytes are on disk."""


class Exhausted(Transient):
    """Patience has ended: nothing tries again."""


class WrongSize(Exception):
    """The server's file has another length than the lock says."""

    def __init__(self, found: int) -> None:
        super().__init__(found)
        self.found = found


class Transfer:
    """Brings the bytes of one URL into a `Part`.

    ``lanes`` runs the further ranges of a big file; ``tell`` takes events; ``stop`` calls it off.
    """

    def __init__(
        self,
        client: Client,
        download: Download,
        url: str,
        part: Part,
        *,
        lanes: Executor,
        tell: Callable[[Event], None],
        stop: threading.Event,
    ) -> None:
        self.client = client
        self.download = download
        self.url = url
        self.part = part
        self.lanes = lanes
        self.tell = tell
        self.stop = stop
        self._told = 0.0
        self._halted = threading.Event()
        """One range of this file failed: the others need not go on."""
        self._deadline = time.monotonic() + client.patience.total
        self.delimited = True
        """The server said where the body ends."""
        self.facts = Facts()
        """What the headers said of the content."""
        self.ranged = False
        """Bytes came in answers to a Range."""

    def run(self) -> tuple[str, int]:
        """Get every byte and return the SHA-256 and size of what is on disk.

        Raises:
            Transient: patience has ended.
            Refused: the URL does not give the file.
            WrongSize: the server has a file of another size.
            Stopped: called off.
            MachineError: the disk says no.

        """
        self.part.begin(self.url, self.download)
        if self.part.resumed:
            self.tell(Resumed(download=self.download, received=self.part.progress.received))
        for ranges in (True, True):
            try:
                return self._pass(ranges=ranges)
            except Changed:
                self.part.restart(self.url)
            except RangeTrouble:  # a server need not understand Range (RFC 9110, section 14.2)
                break
            except Transient as trouble:
                if trouble.status is None or not self.ranged or self.part.progress.received:
                    raise
                break  # some servers call a Range an error of their own
        return self.whole()

    def whole(self) -> tuple[str, int]:
        """Get every byte by one plain GET, as `run` does when ranges lead nowhere.

        Raises:
            Transient, Refused, WrongSize, Stopped, MachineError: as `run`.

        """
        self.part.restart(self.url)
        try:
            return self._pass(ranges=False)
        except Changed:
            raise Refused("the file keeps changing while it is read") from None

    def _may_mix(self) -> bool:
        """Tell whether bytes of two answers may be put together: something must notice if the file changed."""
        return self.part.progress.validator is not None or self.download.sha256 is not None

    def _pass(self, *, ranges: bool) -> tuple[str, int]:
        progress = self.part.progress
        digest: str | None = None
        self._halted.clear()
        if progress.received == 0:
            # Once the first bytes are there, trouble is left to the way that resumes.
            digest = self._patiently(
                lambda: self._first(ranges=ranges) if progress.received == 0 else None, lambda: progress.received
            )
        unfinished = [segment for segment in progress.segments if not segment.finished]
        if unfinished:
            digest = None
            self._all(unfinished, ranges=ranges)
        if self.download.size not in {None, progress.received}:
            raise WrongSize(progress.received)
        self._tell_received()
        return digest or self.part.sha256(), progress.received

    def _first(self, *, ranges: bool) -> str | None:
        """Send the request that shows what the server has and can; return the digest if it gave the whole file."""
        size, progress = self.download.size, self.part.progress
        ask = self.ranged = ranges and (size is None or size > SEGMENT)
        with self._open(first=0 if ask else None, last=SEGMENT - 1 if ask else None) as body:
            self.delimited, self.facts = body.delimited, body.facts
            if body.partial and body.start == -1 and body.total == 0:  # nothing to send: an empty file
                progress.total, progress.segments = 0, []
                return hashlib.sha256().hexdigest()
            if body.start != 0:
                raise RangeTrouble(f"bytes from {body.start} on where those from 0 on were asked for")
            if body.total is not None and size not in {None, body.total}:
                if ask:
                    raise RangeTrouble(f"a Range of {body.total} bytes, not {size}")
                raise WrongSize(body.total)
            progress.validator = body.validator
            if body.partial:
                if not self._may_mix() and body.length != body.total:
                    return self._first(ranges=False)
                assert body.total is not None
                assert body.length is not None
                progress.split(body.total, body.length)
            else:
                progress.total = body.total
                progress.segments = [Segment(0, 0, body.total)]
            others = progress.segments[1:]
            if not others:
                digest = self._receive(body, progress.segments[0], hashlib.sha256())
                if ask and not body.partial and body.length is None and progress.received == SEGMENT:
                    raise RangeTrouble("status 200 with what looks like the range alone")
                return digest
            self._all(others, ranges=True, alongside=lambda: self._begun(body, progress.segments[0]))
            return None

    def _begun(self, body: Body, segment: Segment) -> None:
        """Read an answer that is already there, and what it failed to bring."""
        try:
            self._receive(body, segment)
        except Exhausted:
            raise
        except Transient:
            self._complete(segment, ranges=True)

    def _complete(self, segment: Segment, *, ranges: bool) -> None:
        self._patiently(lambda: self._segment(segment, ranges=ranges), lambda: segment.position)

    def _all(self, segments: list[Segment], *, ranges: bool, alongside: Callable[[], object] | None = None) -> None:
        """Get all the segments, some at once; ``alongside`` is this thread's own work before it helps."""
        todo = list(reversed(segments))
        failures: list[BaseException] = []
        mutex = threading.Lock()

        def work(before: Callable[[], object] | None = None) -> None:
            try:
                if before is not None:
                    before()
                while True:
                    with mutex:
                        if not todo or self._halted.is_set():
                            return
                        segment = todo.pop()
                    self._complete(segment, ranges=ranges)
            except BaseException as error:  # noqa: BLE001 - raised below, in the thread that waits for all
                failures.append(error)
                self._halted.set()

        futures = [self.lanes.submit(work) for _ in range(min(_LANES, len(segments)) - (alongside is None))]
        try:
            work(alongside)
        finally:
            for future in futures:
                future.cancel()  # not begun yet, and nothing is left to do
            wait(futures)
            if not self.part.progress.finished and self.part.progress.received:
                self.part.note(now=True)
        causes = [error for error in failures if not isinstance(error, Stopped)]
        if failures:
            raise (causes or failures)[0]

    def _segment(self, segment: Segment, *, ranges: bool) -> None:
        """Get the rest of one segment; without ``ranges`` it is the whole file, from its first byte."""
        progress = self.part.progress
        last = None if segment.end is None else segment.end - 1
        first = segment.position if ranges and self._may_mix() else None
        self.ranged = self.ranged or bool(first)
        with self._open(first=first or None, last=last, validator=progress.validator) as body:
            if segment.start == 0:
                self.delimited, self.facts = body.delimited, body.facts
            if body.partial:
                self._check_range(body, segment)
            elif len(progress.segments) > 1:
                raise Changed
            else:  # the whole file again: it changed, or the server does not know ranges
                if body.total is not None and self.download.size not in {None, body.total}:
                    raise WrongSize(body.total)
                segment.position = 0
                segment.end = progress.total = body.total
                progress.validator = body.validator
            self._receive(body, segment)

    def _check_range(self, body: Body, segment: Segment) -> None:
        progress = self.part.progress
        if None not in {body.validator, progress.validator} and body.validator != progress.validator:
            raise Changed
        if progress.total is None and body.total is not None and segment.position <= body.total:
            segment.end = progress.total = body.total
        if body.start == -1 and segment.finished:
            return
        assert segment.end is not None
        if body.total != progress.total:
            raise Changed
        if body.start != segment.position or body.length is None or body.start + body.length > segment.end:
            raise RangeTrouble("a range that was not asked for")

    def _receive(self, body: Body, segment: Segment, hasher: hashlib._Hash | None = None) -> str | None:
        """Write a body's bytes into its segment; with a ``hasher`` return their digest."""
        limit = segment.end if segment.end is not None else self.download.size
        with self.part.writer(segment) as writer:
            if segment.position == 0 and segment.start == 0 and len(self.part.progress.segments) == 1:
                writer.rewind()
            for chunk in body.chunks():
                if limit is not None and segment.position + len(chunk) > limit:
                    raise WrongSize(segment.position + len(chunk))
                writer.write(chunk)
                if hasher is not None:
                    hasher.update(chunk)
                self._look_up()
        if segment.end is None:  # the server did not say how much would come; it has ended well
            if limit is not None and segment.position < limit:
                raise Transient(f"only {segment.position} of {limit} bytes came")
            segment.end = self.part.progress.total = segment.position
        elif not segment.finished:
            raise Transient(f"only {segment.position} of {segment.end} bytes came")
        return hasher.hexdigest() if hasher is not None else None

    def _look_up(self) -> None:
        """Between two chunks: stop if told so, tell how far it is."""
        if self.stop.is_set() or self._halted.is_set():
            raise Stopped
        now = time.monotonic()
        if now > self._deadline:
            raise Exhausted(f"it did not end within {self.client.patience.total:g} s")
        if now - self._told >= _TELL_EVERY:
            self._told = now
            self._tell_received()

    def _tell_received(self) -> None:
        progress = self.part.progress
        total = progress.total if progress.total is not None else self.download.size
        self.tell(Received(download=self.download, received=progress.received, total=total))

    def _open(self, *, first: int | None, last: int | None, validator: str | None = None) -> Body:
        headers = {name: value for url, name, value in self.download.headers if url == self.url}
        return self.client.open(self.url, headers=headers, first=first, last=last, validator=validator)

    def _patiently(self, action: Callable[[], T], position: Callable[[], int]) -> T:
        """Run ``action`` again after passing trouble, as long as patience lasts; bytes at a fair rate renew it."""
        patience = self.client.patience
        attempt = 0
        while True:
            before, begun = position(), time.monotonic()
            try:
                return action()
            except Exhausted:
                raise
            except Transient as trouble:
                gained, now = position() - before, time.monotonic()
                if self.stop.is_set() or self._halted.is_set():
                    raise Stopped from None  # the connection was broken from here
                attempt = 1 if gained > 0 and gained >= patience.slowest * (now - begun) else attempt + 1
                if attempt >= patience.attempts:
                    raise Exhausted(trouble.reason, status=trouble.status) from None
                if now > self._deadline:
                    raise Exhausted(f"it did not end within {patience.total:g} s: {trouble.reason}") from None
                limit = min(patience.backoff * 2 ** (attempt - 1), patience.longest_backoff)
                pause = trouble.retry_after if trouble.retry_after is not None else random.uniform(limit / 2, limit)
                self.tell(Retrying(download=self.download, why=trouble.reason))
                if self.stop.wait(pause) or self._halted.is_set():
                    raise Stopped from None
