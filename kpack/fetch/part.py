"""A file on its way into the cache: bytes on disk, and beside them the note from which a later run resumes."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

from kpack.claims import locked
from kpack.errors import MachineError, room_advice
from kpack.fetch.decision import resumable
from kpack.files import recalled, vacate
from kpack.urls import stable

if TYPE_CHECKING:
    import io
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from kpack.fetch.model import Download

SEGMENT = 32 << 20
"""Bytes of a range of a big file."""

_NOTE_EVERY = 1.0
"""Seconds between two notes of what is on disk."""


@dataclass(slots=True)
class Segment:
    """A range of the file; the bytes from ``start`` to ``position`` are on disk."""

    start: int
    position: int
    end: int | None
    """Offset after the last byte; None until the length is known."""

    @property
    def finished(self) -> bool:
        """Every byte of the range is on disk."""
        return self.position == self.end


@dataclass(slots=True)
class OnDisk:
    """What is known about the file at one URL, and which of its bytes are there."""

    url: str
    """SHA-256 of the URL: the note on disk holds no credentials."""
    validator: str | None = None
    total: int | None = None
    segments: list[Segment] = field(default_factory=lambda: [Segment(0, 0, None)])

    @property
    def received(self) -> int:
        """Bytes on disk."""
        return sum(segment.position - segment.start for segment in self.segments)

    @property
    def finished(self) -> bool:
        """Every byte is on disk."""
        return all(segment.finished for segment in self.segments)

    def split(self, total: int, first: int) -> None:
        """Cut a file of ``total`` bytes, of which the first ``first`` are already asked for, into segments."""
        self.total = total
        self.segments = [Segment(0, 0, min(first, total))]
        self.segments += [Segment(at, at, min(at + SEGMENT, total)) for at in range(first, total, SEGMENT)]


def digest_of_url(url: str) -> str:
    """Return the SHA-256 of a URL's text, its name on disk; signatures do not count, the file is the same."""
    return hashlib.sha256(stable(url).encode("utf-8", "surrogateescape")).hexdigest()


class Part:
    """An open partial file with its lock held; see `opened`."""

    def __init__(self, path: Path, stream: io.BufferedRandom) -> None:
        self.path = path
        self.stream = stream
        self.progress = OnDisk(url="")
        self.resumed = False
        """Some of the bytes are from an earlier run, or from before something went wrong."""
        self._note = path.with_suffix(".json")
        self._mutex = threading.Lock()
        self._noted = time.monotonic()
        self._has_note = False

    def begin(self, url: str, download: Download) -> None:
        """Take up the bytes that an earlier run got from ``url``, if its note fits; else start with none."""
        noted = self._read_note()
        self._has_note = noted is not None
        if noted is None or not resumable(noted, digest_of_url(url), download, os.fstat(self.stream.fileno()).st_size):
            self.restart(url)
            return
        self.progress = noted
        self.resumed = True

    def restart(self, url: str) -> None:
        """Forget every byte."""
        self.drop_note()
        self._writing(lambda: self.stream.truncate(0))
        self.progress = OnDisk(url=digest_of_url(url))
        self.resumed = False

    def writer(self, segment: Segment) -> _Writer:
        """Open the file for the bytes of one segment."""
        return _Writer(self, segment)

    def note(self, *, now: bool = False) -> None:
        """Write down what is on disk: at most once a second, unless ``now``."""
        with self._mutex:
            if not now and time.monotonic() - self._noted < _NOTE_EVERY:
                return
            self._noted = time.monotonic()
            progress = self.progress
            text = json.dumps(
                {
                    "url": progress.url,
                    "validator": progress.validator,
                    "total": progress.total,
                    "segments": [[item.start, item.position, item.end] for item in progress.segments],
                }
            )
            beside = self._note.with_suffix(".note")

            def write() -> None:
                vacate(self._note)
                vacate(beside)
                beside.write_text(text, encoding="utf-8")
                os.replace(beside, self._note)  # noqa: PTH105 - the atomic one on every system

            self._writing(write)
            self._has_note = True

    def drop_note(self) -> None:
        """Remove the note."""
        if self._has_note:
            self._note.unlink(missing_ok=True)
            self._has_note = False

    def remove(self) -> None:
        """Remove file and note."""
        self.drop_note()
        with contextlib.suppress(FileNotFoundError):
            self.path.unlink()

    def sha256(self) -> str:
        """Hash the bytes on disk, through the open file."""
        self.stream.seek(0)
        return hashlib.file_digest(self.stream, "sha256").hexdigest()

    def head(self, count: int) -> bytes:
        """Return the first ``count`` bytes on disk."""
        self.stream.seek(0)
        return self.stream.read(count)

    def _read_note(self) -> OnDisk | None:
        try:
            noted = recalled(self._note)
            segments = [_segment(*row) for row in noted["segments"]]
            progress = OnDisk(url=noted["url"], validator=noted["validator"], total=noted["total"], segments=segments)
            if type(noted["validator"]) not in (str, type(None)):
                return None
            at = 0
            for segment in segments:
                if not (
                    segment.start == at <= segment.position and (segment.end is None or segment.position <= segment.end)
                ):
                    return None
                at = segment.end if segment.end is not None else -1
        except (ValueError, KeyError, TypeError):  # none, half a note, or another version's: start anew
            return None
        return progress if segments and segments[-1].end == progress.total else None

    def _writing(self, action: Callable[[], object]) -> None:
        try:
            action()
        except OSError as error:
            raise cannot_write(error, self.path) from error


def _segment(start: object, position: object, end: object) -> Segment:
    if type(start) is not int or type(position) is not int or not (end is None or type(end) is int):
        raise TypeError("not the places of bytes")
    return Segment(start, position, end)


class _Writer:
    """Writes the bytes of one segment where they belong, and counts them only once they are written."""

    def __init__(self, part: Part, segment: Segment) -> None:
        self.part = part
        self.segment = segment
        # A handle of its own: threads write different places of the file at once.
        self.file: io.FileIO = part.path.open("r+b", buffering=0)
        self.file.seek(segment.position)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()

    def write(self, data: bytes) -> None:
        """Write all of ``data``."""
        view = memoryview(data)
        try:
            while view:
                view = view[self.file.write(view) :]
        except OSError as error:
            raise cannot_write(error, self.part.path) from error
        self.segment.position += len(data)
        self.part.note()

    def rewind(self) -> None:
        """Start the segment, which is the whole file, again."""
        self.file.seek(0)
        self.file.truncate(0)
        self.segment.position = 0


def cannot_write(error: OSError, path: Path) -> MachineError:
    """Return the error to raise when the disk says no."""
    room = f"{found}, or " if (found := room_advice(error)) else ""
    return MachineError(
        f"cannot write a download: {error.strerror or error}",
        where=str(path),
        next=f"{room}set KPACK_CACHE to a folder on another disk; what is there already is kept",
    )


@contextlib.contextmanager
def opened(folder: Path, key: str, on_wait: Callable[[], None]) -> Iterator[Part]:
    """Open the partial file called ``key`` in ``folder`` for this thread alone.

    ``on_wait`` is called before waiting for another process that has it. Where the file system knows no locks, the file
    is called otherwise, so that nobody else has it.
    """
    path = folder / f"{key}.part"
    private = folder / f"{key}.{os.getpid()}-{threading.get_ident()}.part"
    while True:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            vacate(path)
            stream = path.open("a+b")
        except OSError as error:
            raise cannot_write(error, path) from error
        with stream, locked(stream, on_wait) as mine:
            if not mine and path != private:
                with contextlib.suppress(OSError):
                    if not path.stat().st_size:
                        path.unlink()
                path = private
                continue
            # Whoever had the lock before may have moved the file into the cache: then it has another name now.
            try:
                same = os.path.samestat(path.stat(), os.fstat(stream.fileno()))
            except FileNotFoundError:
                same = False
            if same:
                yield Part(path, stream)
                return
