"""The state of an installation folder: a lock file, a journal while a restore runs, a mark when one is done.

A process may be killed between any two system calls. The journal is written whole before the first change and
names everything that the run may create or move; without the mark of the same run, everything it did is undone.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import time
from typing import Any, Callable, Dict, Iterator, List, NamedTuple, Optional, Tuple

from .errors import MACHINE, RestoreError, machine_error

FORMAT = 1
"""Version of the journal and the mark."""

_JOURNAL = "journal.json"
_LOCK = "lock"


class Journal(NamedTuple):
    """What a run may create or move; all paths absolute."""

    run: str
    """A random word, the same in the mark."""
    id: str
    """Pack id."""
    name: str
    """Name of the pack."""
    folders: List[str]
    """Folders that were not there, parents first."""
    files: List[str]
    """Files that were not there; temporary names too."""
    metadata: List[str]
    """Metadata folders that were not there."""
    aside: List[Tuple[str, str]]
    """What was there and is moved away: (its place, where it waits)."""
    staging: List[str]
    """Folders of kpack's own that are emptied at the end."""
    emptied: List[str]
    """Folders of what is replaced, parents first, that are removed at the end where nothing is left in them."""


class Mark(NamedTuple):
    """What a finished run left behind."""

    run: str
    id: str
    name: str
    target: str
    installed: List[Dict[str, str]]
    """``name``, ``version`` and ``info``, the absolute metadata folder."""
    checkpoints: List[Dict[str, Any]]
    """``path``, ``sha256``, ``size`` in bytes and ``modified`` in nanoseconds."""


class State:
    """The folder ``.kpack`` of an installation folder."""

    def __init__(self, folder: str) -> None:
        self.folder = folder

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
        waited = False
        while True:
            make_folders(self.folder, made)
            try:
                descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
            except FileNotFoundError:
                continue  # another run has just removed the empty folder
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(descriptor)
                if not waited and on_wait is not None:
                    on_wait()
                waited = True
                time.sleep(0.1)
                continue
            with contextlib.suppress(OSError):
                if os.stat(path).st_ino == os.fstat(descriptor).st_ino:
                    return descriptor
            os.close(descriptor)

    def _names(self) -> List[str]:
        """Return what is in the folder beside the lock file."""
        try:
            return [name for name in os.listdir(self.folder) if name != _LOCK]
        except OSError:
            return []

    def journal(self) -> Optional[Journal]:
        """Return the journal of a run that did not finish."""
        raw = self._load(_JOURNAL)
        try:
            return None if raw is None else Journal(**raw)
        except TypeError as error:
            raise self._unreadable(os.path.join(self.folder, _JOURNAL)) from error

    def begin(self, journal: Journal) -> None:
        """Write the journal. Raises RestoreError (code 7) when that fails."""
        self._store(_JOURNAL, journal._asdict())

    def end(self, journal: Journal) -> None:
        """Remove what the run moved away, its staging folders, and the journal last."""
        for _, away in journal.aside:
            _remove(away)
        for folder in journal.staging:
            shutil.rmtree(folder, ignore_errors=True)
            remove_empty([os.path.dirname(folder)])
        remove_empty(journal.emptied)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(os.path.join(self.folder, _JOURNAL))

    def mark(self, name: str) -> Optional[Mark]:
        """Return the mark of the pack ``name``."""
        raw = self._load(_mark_name(name))
        try:
            return None if raw is None else Mark(**raw)
        except TypeError as error:
            raise self._unreadable(os.path.join(self.folder, _mark_name(name))) from error

    def marks(self) -> List[Mark]:
        """Return the marks of all packs that were restored here."""
        names = [name for name in self._names() if name.startswith("mark-") and name.endswith(".json")]
        found = [self.mark(name[len("mark-") : -len(".json")]) for name in sorted(names)]
        return [mark for mark in found if mark is not None]

    def finish(self, mark: Mark) -> None:
        """Write the mark: from here on the run counts. Raises RestoreError (code 7)."""
        self._store(_mark_name(mark.name), mark._asdict())

    def forget(self, name: str) -> None:
        """Remove the mark of the pack ``name``."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(os.path.join(self.folder, _mark_name(name)))

    def recover(self) -> bool:
        """Clean up after a run that did not finish; tell whether there was one."""
        journal = self.journal()
        if journal is None:
            return False
        mark = self.mark(journal.name)
        if mark is None or mark.run != journal.run:
            undo(journal)
        self.end(journal)
        return True

    def _load(self, name: str) -> Optional[Dict[str, Any]]:
        path = os.path.join(self.folder, name)
        try:
            with open(path, "rb") as stream:
                raw = json.loads(stream.read().decode("utf-8"))
        except FileNotFoundError:
            return None
        except OSError as error:
            raise machine_error(error, "read", path) from error
        except ValueError as error:
            raise self._unreadable(path) from error
        if not isinstance(raw, dict) or raw.pop("format", None) != FORMAT:
            raise self._unreadable(path)
        return raw

    def _unreadable(self, path: str) -> RestoreError:
        return RestoreError(
            MACHINE,
            "it is not what this kpack writes",
            where=path,
            next="another version of kpack wrote it, or something changed it: start from a fresh environment",
        )

    def _store(self, name: str, raw: Dict[str, Any]) -> None:
        path = os.path.join(self.folder, name)
        data = json.dumps(dict(raw, format=FORMAT)).encode("utf-8")
        try:
            with open(path + ".part", "wb") as stream:
                stream.write(data)
            os.replace(path + ".part", path)
        except OSError as error:
            with contextlib.suppress(OSError):
                os.unlink(path + ".part")
            raise machine_error(error, "write", path) from error


def undo(journal: Journal) -> None:
    """Take back what a run did; what it had not done yet is left as it is. May be repeated.

    Raises RestoreError (code 7) when something that was moved away cannot be moved back.
    """
    foreign = _foreign(journal)
    for path in journal.files:
        if path not in foreign:
            with contextlib.suppress(FileNotFoundError, NotADirectoryError, IsADirectoryError, PermissionError):
                os.unlink(path)
    for path in journal.metadata:
        if path not in foreign:
            shutil.rmtree(path, ignore_errors=True)
    for place, away in reversed(journal.aside):
        if os.path.lexists(away):
            _remove(place)
            try:
                os.makedirs(os.path.dirname(place), exist_ok=True)
                os.rename(away, place)
            except OSError as error:
                raise machine_error(error, "move back {}".format(away), place) from error
    for folder in reversed(journal.folders):
        shutil.rmtree(os.path.join(folder, "__pycache__"), ignore_errors=True)
        remove_empty([folder])


def _foreign(journal: Journal) -> Dict[str, bool]:
    """Return what another installer has put, since, where the interrupted run was going to.

    A metadata folder that names another installer is its own, with every file that its RECORD lists.
    """
    found: Dict[str, bool] = {}
    for info in journal.metadata:
        try:
            with open(os.path.join(info, "INSTALLER"), encoding="utf-8") as stream:
                if stream.read().strip() == "kpack":
                    continue
            with open(os.path.join(info, "RECORD"), encoding="utf-8") as stream:
                rows = stream.read().splitlines()
        except (OSError, UnicodeDecodeError):
            continue
        found[info] = True
        lib = os.path.dirname(info)
        for row in rows:
            found[os.path.normpath(os.path.join(lib, row.partition(",")[0].strip('"')))] = True
    return found


def make_folders(path: str, made: List[str]) -> None:
    """Make a folder and its parents; those that were not there are appended to ``made``, parents first."""
    missing = []
    while not os.path.isdir(path):
        missing.append(path)
        path = os.path.dirname(path)
    for folder in reversed(missing):
        try:
            os.mkdir(folder)
        except FileExistsError:
            continue
        made.append(folder)


def remove_empty(folders: List[str]) -> None:
    """Remove those of the folders, given parents first, that are empty."""
    for folder in reversed(folders):
        with contextlib.suppress(OSError):
            os.rmdir(folder)


def _remove(path: str) -> None:
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path, ignore_errors=True)
    else:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)


def _mark_name(name: str) -> str:
    return "mark-{}.json".format(name)
