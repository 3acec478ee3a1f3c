"""The state of an installation folder: a lock file, a journal while a restore runs, a mark when one is done.

A process may be killed between any two system calls. The journal is written whole before the first change and
names everything that the run may create or move; without the mark of the same run, everything it did is undone.
What is read here may have been written by anybody: see `foreign` and `journal`.
"""

from __future__ import annotations

import contextlib
import os
import re
import stat
import time
from json import dumps
from typing import TYPE_CHECKING, Any, Callable, Dict, Iterator, List, Mapping, NamedTuple, Optional

from . import foreign
from . import journal as journals
from .errors import MACHINE, RestoreError, machine_error
from .journal import Journal, Places
from .moves import make_folders, remove_empty

if TYPE_CHECKING:
    from .scheme import Scheme

FORMAT = 2
"""Version of the journal and the mark."""
_FIRST = 1
"""Those of this version (kpack 0.1) are read, too. Its marks say less of checkpoints, which are hashed then; its
journals leave no witness, so that nothing outside the scheme is taken back."""

_JOURNAL = "journal.json"
_LOCK = "lock"
_MARK = re.compile(r"mark-(?P<name>[A-Za-z0-9._-]{1,100})\.json\Z")
_INSTALLED: Mapping[str, type] = {"name": str, "version": str, "info": str}
_CHECKPOINT: Mapping[str, type] = {
    "path": str,
    "sha256": str,
    "size": int,
    "modified": int,
    "changed": int,
    "inode": int,
}


class Mark(NamedTuple):
    """What a finished run left behind."""

    run: str
    id: str
    name: str
    target: str
    installed: List[Dict[str, str]]
    """``name``, ``version`` and ``info``, the absolute metadata folder."""
    checkpoints: List[Dict[str, Any]]
    """``path``, ``sha256``, ``size`` in bytes, ``modified`` and ``changed`` in nanoseconds, ``inode``."""


class State:
    """The folder ``.kpack`` of an installation folder."""

    def __init__(self, scheme: Scheme) -> None:
        self.folder = scheme.state
        self._places = Places(scheme)
        self._unproven: List[str] = []
        """Files that a journal of the first format names and that are not the scheme's."""

    @contextlib.contextmanager
    def locked(self, on_wait: Optional[Callable[[], None]] = None) -> Iterator[None]:
        """Hold the lock file; another restore into the same place is waited for.

        ``on_wait`` is called once when it has to wait. The folder and its parents are made, and removed again when
        the block raises and left nothing in them. Raises RestoreError (code 7) when they cannot be made.
        """
        made: List[str] = []
        path = os.path.join(self.folder, _LOCK)
        try:
            descriptor = self._acquire(path, made, on_wait)
        except OSError as error:
            remove_empty(made)
            raise machine_error(error, "write", str(error.filename or path)) from error
        try:
            yield
        except BaseException:
            if not self._names():
                with contextlib.suppress(OSError):
                    os.unlink(path)
                remove_empty(made)
            raise
        finally:
            os.close(descriptor)

    def _acquire(self, path: str, made: List[str], on_wait: Optional[Callable[[], None]]) -> int:
        import fcntl  # Windows, where packs are made and not restored, has none

        waited = False
        while True:
            refuse_planted(self.folder)
            make_folders(self.folder, made)
            flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
            try:
                descriptor = os.open(path, flags, 0o644)
            except FileNotFoundError:
                continue  # another run has just removed the empty folder
            try:
                _refuse_irregular(descriptor, path)
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if os.stat(path).st_ino == os.fstat(descriptor).st_ino:
                    return descriptor
            except BlockingIOError:
                if not waited and on_wait is not None:
                    on_wait()
                waited = True
                time.sleep(0.1)
            except FileNotFoundError:
                pass  # the run that held it has removed it
            except BaseException:
                os.close(descriptor)
                raise
            os.close(descriptor)

    def _names(self) -> List[str]:
        """Return what is in the folder beside the lock file."""
        try:
            return [name for name in os.listdir(self.folder) if name != _LOCK]
        except OSError:
            return []

    def journal(self) -> Optional[Journal]:
        """Return the journal of a run that did not finish, as far as it may be taken back here.

        Raises RestoreError (code 7) for one that no run into this place can have written.
        """
        raw = self._load(_JOURNAL, _FIRST)
        if raw is None:
            return None
        path = os.path.join(self.folder, _JOURNAL)
        first = raw.pop("format") == _FIRST
        try:
            journal = journals.loads(dict(raw, witnesses=raw.get("witnesses", [])) if first else raw)
        except ValueError as error:
            raise _unreadable(path, str(error)) from error
        if first:
            known = [(place, self._places.holds(place) or not os.path.lexists(place)) for place in journal.files]
            self._unproven = [place for place, holds in known if not holds]
            journal = journal._replace(files=[place for place, holds in known if holds])
        try:
            return journals.believed(journal, self._places)
        except ValueError as error:
            raise RestoreError(
                MACHINE,
                "it speaks of {!r}, where no restore into this place writes; nothing was touched".format(str(error)),
                where=path,
                next="if you did not interrupt a restore here, remove the file; else start from a fresh environment",
            ) from error

    def begin(self, journal: Journal) -> None:
        """Write the journal. Raises RestoreError (code 7) when that fails."""
        self._store(_JOURNAL, journal._asdict())

    def end(self, journal: Journal) -> None:
        """Remove what the run moved away, its staging folders, and the journal last."""
        journals.clear(journal)
        with contextlib.suppress(OSError):
            os.unlink(os.path.join(self.folder, _JOURNAL))

    def take_back(self, journal: Journal) -> List[str]:
        """Undo a run and forget it; return where what could not be moved back belongs.

        While there is such a thing, the journal and what waits aside stay: the next run tries once more.
        """
        lost = journals.undo(journal)
        if lost:
            with contextlib.suppress(RestoreError):
                self.begin(journal._replace(files=[], metadata=[], aside=list(reversed(lost))))
        else:
            self.end(journal)
        return [place for place, _ in lost]

    def recover(self) -> List[str]:
        """Clean up after a run that did not finish; return what there is to say about it.

        What cannot be moved back even now is kept in a folder of its own, so that restores go on.
        """
        journal = self.journal()
        if journal is None:
            return []
        notes = ["an earlier restore had not finished; it was cleaned up first"]
        if self._unproven:
            notes.append(
                "what it may have written elsewhere stays, as nothing shows that it did: "
                + ", ".join(self._unproven[:5])
            )
        mark = self.mark(journal.name)
        if mark is None or mark.run != journal.run:
            lost = journals.undo(journal)
            if lost:
                kept = os.path.join(self.folder, "kept-" + os.urandom(4).hex())
                try:
                    os.rename(os.path.join(self.folder, journals.ASIDE), kept)
                except OSError as error:
                    raise machine_error(error, "move to {}".format(kept), lost[0][1]) from error
                notes += [
                    "{} could not be put back; it is kept as {}/{}".format(place, kept, os.path.basename(away))
                    for place, away in lost
                ]
        self.end(journal)
        return notes

    def mark(self, name: str) -> Optional[Mark]:
        """Return the mark of the pack ``name``. Raises RestoreError (code 7) for one that kpack did not write."""
        raw = self._load(_mark_name(name), _FIRST)
        if raw is None:
            return None
        if raw.pop("format") == _FIRST:
            raw = _from_first(raw)
        try:
            return self._mark(raw, name)
        except ValueError as error:
            raise _unreadable(os.path.join(self.folder, _mark_name(name)), str(error)) from error

    def _mark(self, raw: Dict[str, Any], name: str) -> Mark:
        if set(raw) != set(Mark._fields):
            raise ValueError("it has other keys")
        if raw["name"] != name or not all(isinstance(raw[key], str) for key in ("run", "id", "target")):
            raise ValueError("it is the mark of another pack")
        for key, fields in (("installed", _INSTALLED), ("checkpoints", _CHECKPOINT)):
            rows = raw[key]
            if not isinstance(rows, list) or not all(_is_row(row, fields) for row in rows):
                raise ValueError("{} has other rows".format(key))
        for row in raw["installed"]:
            if os.path.dirname(row["info"]) not in self._places.libs or not row["info"].endswith(".dist-info"):
                raise ValueError("{!r} is not in this place".format(row["info"]))
        return Mark(**raw)

    def marks(self) -> List[Mark]:
        """Return the marks of all packs that were restored here."""
        matches = [_MARK.match(name) for name in sorted(self._names())]
        found = [self.mark(match["name"]) for match in matches if match]
        return [mark for mark in found if mark is not None]

    def finish(self, mark: Mark) -> None:
        """Write the mark: from here on the run counts. Raises RestoreError (code 7)."""
        self._store(_mark_name(mark.name), mark._asdict())

    def _load(self, name: str, oldest: int = FORMAT) -> Optional[Dict[str, Any]]:
        path = os.path.join(self.folder, name)
        refuse_planted(self.folder)
        try:
            raw = foreign.loads(foreign.read(path, foreign.STATE, follow=False))
        except FileNotFoundError:
            return None
        except foreign.Odd as error:
            raise _unreadable(path, str(error.strerror)) from error
        except OSError as error:
            raise machine_error(error, "read", path) from error
        except ValueError as error:
            raise _unreadable(path, str(error)) from error
        version = raw.get("format") if isinstance(raw, dict) else None
        if type(version) is not int or not oldest <= version <= FORMAT:
            raise _unreadable(path, "it has another format")
        found: Dict[str, Any] = raw
        return found

    def _store(self, name: str, raw: Dict[str, Any]) -> None:
        path = os.path.join(self.folder, name)
        data = dumps(dict(raw, format=FORMAT)).encode("utf-8")
        part = path + ".part"
        try:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(part)  # of a run that was killed, or planted; never written into
            descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
            with os.fdopen(descriptor, "wb") as stream:
                stream.write(data)
            os.replace(part, path)
        except OSError as error:
            with contextlib.suppress(OSError):
                os.unlink(part)
            raise machine_error(error, "write", path) from error


def _from_first(raw: Dict[str, Any]) -> Dict[str, Any]:
    """Return a mark of the first format as one of today, whose checkpoints vouch for nothing."""
    rows = raw.get("checkpoints")
    if isinstance(rows, list) and all(isinstance(row, dict) for row in rows):
        raw["checkpoints"] = [dict(row, changed=0, inode=0) for row in rows]
    return raw


def refuse_planted(folder: str) -> None:
    """Refuse a ``.kpack`` that is anything but a folder. Raises RestoreError (code 7)."""
    try:
        status = os.lstat(folder)
    except OSError:
        return  # it is made, or the error told, where it is used
    if not stat.S_ISDIR(status.st_mode):
        raise _planted(folder, "a folder")


def _refuse_irregular(descriptor: int, path: str) -> None:
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        raise _planted(path, "a regular file")


def _is_row(row: Any, fields: Mapping[str, type]) -> bool:
    return isinstance(row, dict) and set(row) == set(fields) and all(type(row[key]) is fields[key] for key in fields)


def _planted(path: str, what: str) -> RestoreError:
    return RestoreError(
        MACHINE,
        "it is not {}, so it is not of kpack's making; nothing was touched".format(what),
        where=path,
        next="look at what it is, remove it, and restore again",
    )


def _unreadable(path: str, why: str) -> RestoreError:
    return RestoreError(
        MACHINE,
        "it is not what this kpack writes ({}); nothing was touched".format(why),
        where=path,
        next="another version of kpack wrote it, or something changed it: start from a fresh environment, or remove "
        "the file where no restore was interrupted",
    )


def _mark_name(name: str) -> str:
    return "mark-{}.json".format(name)
