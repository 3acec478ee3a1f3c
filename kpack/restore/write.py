"""Writing: spans are read once, verified, and turned into files, each opened once and never over another one."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Dict, Iterable, Iterator, List, NamedTuple, Tuple

from .errors import INTEGRITY, RestoreError, machine_error
from .inflate import Inflater, Stream
from .moves import relocate
from .scripts import Rewriter
from .wheels import RECORD, SCRIPT, File, Job
from .wheelzip import DEFLATED, LOCAL_HEADER, Entry, data_offset

if TYPE_CHECKING:
    from .manifest import Member

_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
_DIRECT = 1 << 16
"""Compressed bytes up to which an entry is inflated in one call and written in one."""


class Modes(NamedTuple):
    """Permissions of new files, as pip sets them."""

    plain: int
    executable: int
    fix: bool
    """Whether the umask takes executable bits away that pip would set."""

    @classmethod
    def of_process(cls) -> Modes:
        """Return the modes under this process's umask."""
        umask = os.umask(0o022)
        os.umask(umask)
        executable = (0o777 & ~umask) | 0o111
        return cls(0o666, 0o777, executable != 0o777 & ~umask)


class Writer:
    """Turns jobs into files; one object for all threads.

    ``kept`` receives the content of RECORD files by path, ``rewritten`` the new RECORD digest and size of
    scripts whose interpreter line was changed, by path.
    """

    def __init__(self, inflater: Inflater, executable: str) -> None:
        self.parts: Dict[str, str] = {}
        """Where files of several spans wait until all of these are verified, by path."""
        self.kept: Dict[str, bytes] = {}
        self.rewritten: Dict[str, Tuple[str, str]] = {}
        self._inflater = inflater
        self.executable = executable
        self._modes = Modes.of_process()

    def work(self, job: Job, views: Iterator[memoryview]) -> None:
        """Write the files of a job from the verified bytes of its spans.

        Raises RestoreError: code 5 for a wheel that kpack would not have packed, 7 when the machine refuses.
        """
        if not job.files:
            return
        if len(job.spans) == 1:
            base = job.spans[0].offset
            for view in views:
                for file in job.files:
                    self._whole(file, view, file.entry.offset - base, job.member)
        else:
            self._chain(job, views)

    def _whole(self, file: File, view: memoryview, begin: int, member: Member) -> None:
        entry, path, kind = file
        begin += _data_offset(view, begin, entry, member)
        data = view[begin : begin + entry.compressed]
        if len(data) != entry.compressed:
            raise _across(entry, member)
        deflated = entry.method == DEFLATED
        if kind == SCRIPT:
            self._script(file, path, iter((data,)))
        elif kind == RECORD:
            self.kept[path] = self._inflater.whole(data, entry.size, entry.name) if deflated else bytes(data)
        elif deflated and entry.compressed > _DIRECT:
            self._streamed(file, iter((data,)))
        else:
            self._write(file, (self._inflater.whole(data, entry.size, entry.name) if deflated else data,))

    def _chain(self, job: Job, views: Iterator[memoryview]) -> None:
        """Write the one file of several spans, under a temporary name until all of them are verified."""
        if len(job.files) > 1:
            raise RestoreError(INTEGRITY, "a large entry shares its spans with others", where=job.member.path)
        file = job.files[0]
        part = file._replace(path=self.parts[file.path])
        if file.kind == RECORD:
            raise RestoreError(INTEGRITY, "a RECORD of this size", where=job.member.path)
        parts = _parts(job, file.entry, views)
        if file.kind == SCRIPT:
            self._script(part, file.path, parts)
        elif file.entry.method == DEFLATED:
            self._streamed(part, parts)
        else:
            self._write(part, parts)
        relocate(part.path, file.path)

    def _script(self, file: File, final: str, parts: Iterator[memoryview]) -> None:
        """Write a script with the interpreter's own first line; ``final`` is the path that it will have."""
        descriptor = self._create(file, executable=True)
        try:
            rewriter = Rewriter(self.executable, lambda piece: _all(descriptor, piece))
            if file.entry.method == DEFLATED:
                stream = Stream(self._inflater, file.entry.size, file.entry.name, rewriter.feed)
                for part in parts:
                    stream.feed(part)
                stream.finish()
            else:
                for part in parts:
                    rewriter.feed(part)
            changed = rewriter.finish()
        except OSError as error:
            raise machine_error(error, "write", file.path) from error
        finally:
            os.close(descriptor)
        if changed is not None:
            self.rewritten[final] = changed

    def _streamed(self, file: File, parts: Iterator[memoryview]) -> None:
        descriptor = self._create(file, executable=file.entry.executable)
        try:
            stream = Stream(self._inflater, file.entry.size, file.entry.name, lambda piece: _all(descriptor, piece))
            for part in parts:
                stream.feed(part)
            stream.finish()
        except OSError as error:
            raise machine_error(error, "write", file.path) from error
        finally:
            os.close(descriptor)

    def _create(self, file: File, *, executable: bool) -> int:
        modes = self._modes
        try:
            descriptor = os.open(file.path, _FLAGS, modes.executable if executable else modes.plain)
            if executable and modes.fix:
                os.fchmod(descriptor, os.fstat(descriptor).st_mode | 0o111)
        except OSError as error:
            raise machine_error(error, "write", file.path) from error
        return descriptor

    def _write(self, file: File, parts: Iterable[bytes | memoryview]) -> None:
        descriptor = self._create(file, executable=file.entry.executable)
        try:
            for part in parts:
                _all(descriptor, part)
        except OSError as error:
            raise machine_error(error, "write", file.path) from error
        finally:
            os.close(descriptor)


def _parts(job: Job, entry: Entry, views: Iterator[memoryview]) -> Iterator[memoryview]:
    """Yield the compressed bytes of the entry that fills the spans of a job."""
    left = entry.compressed
    first = True
    for view in views:
        begin = _data_offset(view, 0, entry, job.member) if first else 0
        first = False
        part = view[begin : begin + left]
        left -= len(part)
        yield part
        part.release()
    if left:
        raise _across(entry, job.member)


def in_parts(jobs: List[Job]) -> List[str]:
    """Return the paths of files that lie in several spans each."""
    return [file.path for job in jobs if len(job.spans) > 1 for file in job.files]


def _data_offset(view: memoryview, begin: int, entry: Entry, member: Member) -> int:
    """Return the bytes from a local header to the data behind it, after comparing it with the directory."""
    if begin < 0 or len(view) < begin + LOCAL_HEADER:
        raise _across(entry, member)
    return data_offset(view, entry, member.path, begin)


def _all(descriptor: int, data: bytes | memoryview) -> None:
    count = os.write(descriptor, data)
    if count != len(data):
        view = memoryview(data)
        while count < len(view):
            count += os.write(descriptor, view[count:])


def _across(entry: Entry, member: Member) -> RestoreError:
    return RestoreError(
        INTEGRITY,
        "{!r} does not lie within its spans".format(entry.name),
        where=member.path,
        next="the pack was not written by kpack: build it again",
    )
