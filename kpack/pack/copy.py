"""Copy members to their places in a pack, several at once and big ones in parts, hashing what is copied."""

from __future__ import annotations

import contextlib
import hashlib
import json
from concurrent.futures import wait
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kpack.errors import IntegrityError, MachineError
from kpack.files import keep, open_regular, recalled
from kpack.positioned import pread, pwrite

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from concurrent.futures import Executor, Future
    from pathlib import Path

_PIECE = 1 << 20
"""Bytes read and written at a time: after each a thread waits for the lock of the interpreter."""
_TOGETHER = 4
"""Spans of a big member that one job copies."""


@dataclass(frozen=True, slots=True)
class MemberCopy:
    """A member to copy."""

    path: str
    """Its name in the pack."""
    source: Path | bytes
    size: int
    """Bytes."""
    ranges: Sequence[tuple[int, int]]
    """Begin and end of each span."""
    sha256: str | None
    """What it must have; None for what kpack makes itself."""
    position: int
    """Where its first byte goes."""


@dataclass(frozen=True, slots=True)
class CopiedDigests:
    """SHA-256 of a member that was copied, and of each of its spans."""

    sha256: str
    spans: tuple[str, ...]


class SpanMemory:
    """The span digests of big files, kept under their SHA-256 once a whole file was hashed along with its spans.

    With them a file that is packed again is verified span by span, in parallel, each byte hashed once.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def spans(self, sha256: str, ranges: Sequence[tuple[int, int]]) -> tuple[str, ...] | None:
        """Return the digests of exactly these spans, or None."""
        try:
            raw = recalled(self.folder / f"{sha256}.json")
            digests = tuple(str(digest) for digest in raw["digests"])
            known = raw["cuts"] == [begin for begin, _ in ranges] and raw["size"] == ranges[-1][1]
        except (ValueError, KeyError, TypeError):  # none, or not one that can be read
            return None
        return digests if known and len(digests) == len(ranges) else None

    def keep(self, digests: CopiedDigests, ranges: Sequence[tuple[int, int]]) -> None:
        """Remember the spans of a file whose SHA-256 was just found to be right."""
        note = {"cuts": [begin for begin, _ in ranges], "size": ranges[-1][1], "digests": digests.spans}
        keep(self.folder / f"{digests.sha256}.json", json.dumps(note))


def copy_all(
    descriptor: int,
    jobs: Sequence[MemberCopy],
    pool: Executor,
    *,
    memory: SpanMemory | None = None,
    on_bytes: Callable[[int], None] | None = None,
) -> dict[str, CopiedDigests]:
    """Copy every member into the open file and return their digests by path.

    Raises:
        IntegrityError: a file is not what its digest says.
        MachineError: a file is gone, or the pack cannot be written.

    """
    copies: list[tuple[MemberCopy, Callable[[], CopiedDigests]]] = []
    futures: list[Future[object]] = []
    with contextlib.ExitStack() as open_files:
        try:
            for job in sorted(jobs, key=lambda item: item.size, reverse=True):
                copy = _Copy(descriptor, job, on_bytes)
                if len(job.ranges) <= _TOGETHER or isinstance(job.source, bytes):
                    whole = pool.submit(copy.at_once)
                    futures.append(whole)  # type: ignore[arg-type]
                    copies.append((job, whole.result))
                    continue
                source = open_files.enter_context(_opened(job))
                known = memory.spans(job.sha256, job.ranges) if memory and job.sha256 else None
                parts = [pool.submit(copy.part, source, first) for first in range(0, len(job.ranges), _TOGETHER)]
                futures += parts  # type: ignore[arg-type]
                if known is None:
                    # Queued behind its parts, so that it never holds a worker that they wait for.
                    digest = pool.submit(copy.whole, parts)
                    futures.append(digest)  # type: ignore[arg-type]
                    copies.append((job, _joined(copy, parts, digest, memory)))
                else:
                    copies.append((job, _compared(copy, parts, known)))
            return {job.path: result() for job, result in copies}
        finally:
            for future in futures:
                future.cancel()
            wait(futures)


def _joined(
    copy: _Copy, parts: Sequence[Future[list[str]]], digest: Future[str], memory: SpanMemory | None
) -> Callable[[], CopiedDigests]:
    def result() -> CopiedDigests:
        found = CopiedDigests(digest.result(), tuple(span for part in parts for span in part.result()))
        copy.judge(found.sha256, copy.job.size)
        if memory is not None and copy.job.sha256 is not None:
            memory.keep(found, copy.job.ranges)
        return found

    return result


def _compared(copy: _Copy, parts: Sequence[Future[list[str]]], known: tuple[str, ...]) -> Callable[[], CopiedDigests]:
    def result() -> CopiedDigests:
        found = tuple(span for part in parts for span in part.result())
        assert copy.job.sha256 is not None
        if found != known:  # the file or the memory of it is damaged: the whole digest decides
            copy.judge(copy.whole(parts), copy.job.size)
        return CopiedDigests(copy.job.sha256, found)

    return result


@contextlib.contextmanager
def _opened(job: MemberCopy) -> Iterator[int]:
    assert not isinstance(job.source, bytes)
    try:
        stream = open_regular(job.source)
    except OSError as error:
        raise _unreadable(job, error) from error
    with stream:
        yield stream.fileno()


class _Copy:
    """One member on its way."""

    def __init__(self, descriptor: int, job: MemberCopy, on_bytes: Callable[[int], None] | None) -> None:
        self.descriptor = descriptor
        self.job = job
        self.on_bytes = on_bytes

    def at_once(self) -> CopiedDigests:
        """Copy all of it in this thread."""
        if isinstance(self.job.source, bytes):
            data = self.job.source
            return self._streamed(lambda begin, end: data[begin:end])
        with _opened(self.job) as source:
            return self._streamed(lambda begin, end: pread(source, end - begin, begin))

    def _streamed(self, read: Callable[[int, int], bytes]) -> CopiedDigests:
        whole, spans, written = hashlib.sha256(), [], 0
        for begin, end in self.job.ranges:
            span = hashlib.sha256() if begin else None  # the first one is how the whole begins
            for piece in self._pieces(read, begin, end):
                whole.update(piece)
                if span is not None:
                    span.update(piece)
                written += len(piece)
            spans.append((span or whole).hexdigest())
        written += len(read(self.job.size, self.job.size + 1))  # there must be no more
        self.judge(whole.hexdigest(), written)
        return CopiedDigests(whole.hexdigest(), tuple(spans))

    def part(self, source: int, first: int) -> list[str]:
        """Copy some spans, from the one with number ``first``, and return their digests."""
        spans = []
        for begin, end in self.job.ranges[first : first + _TOGETHER]:
            span = hashlib.sha256()
            for piece in self._pieces(lambda at, to: pread(source, to - at, at), begin, end):
                span.update(piece)
            spans.append(span.hexdigest())
        if first + _TOGETHER >= len(self.job.ranges) and pread(source, 1, self.job.size):
            raise self._wrong("more than it should have", self.job.size + 1)
        return spans

    def whole(self, parts: Sequence[Future[list[str]]]) -> str:
        """Hash what the parts wrote, each as soon as it is there."""
        digest = hashlib.sha256()
        for number, part in enumerate(parts):
            part.result()
            ranges = self.job.ranges[number * _TOGETHER : (number + 1) * _TOGETHER]
            at, end = ranges[0][0], ranges[-1][1]
            while at < end:
                piece = pread(self.descriptor, min(_PIECE, end - at), self.job.position + at)
                assert piece
                digest.update(piece)
                at += len(piece)
        return digest.hexdigest()

    def judge(self, found: str, written: int) -> None:
        """Compare with what the lock says."""
        if written != self.job.size or self.job.sha256 not in {None, found}:
            raise self._wrong(found, written)

    def _pieces(self, read: Callable[[int, int], bytes], begin: int, end: int) -> Iterator[bytes]:
        """Read, write and yield the bytes from ``begin`` to ``end``."""
        while begin < end:
            try:
                piece = read(begin, min(begin + _PIECE, end))
            except OSError as error:
                raise _unreadable(self.job, error) from error
            if not piece:
                raise self._wrong("cut short", begin)
            at, view = self.job.position + begin, memoryview(piece)
            while view:
                count = pwrite(self.descriptor, view, at)
                at, view = at + count, view[count:]
            begin += len(piece)
            if self.on_bytes is not None:
                self.on_bytes(len(piece))
            yield piece

    def _wrong(self, found: str, written: int) -> IntegrityError:
        return IntegrityError(
            f"the file has sha256 {found} ({written} bytes), the lock says {self.job.sha256} ({self.job.size} bytes)",
            where=self.job.path,
            next="remove it from the cache (kpack cache verify) and build again",
        )


def _unreadable(job: MemberCopy, error: OSError) -> MachineError:
    return MachineError(
        f"the file cannot be read: {error.strerror or error}", where=str(job.source), next="run kpack build again"
    )
