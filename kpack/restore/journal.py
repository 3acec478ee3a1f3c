"""The journal of a run: what it may create or move, so that another process can take it back.

It is written whole before the first change. Where it is read again, after a kill, it is foreign bytes: anybody who
may write to the installation folder may have written it. So it is believed only of places where kpack puts things:
below the scheme's own folders, and in a folder for checkpoints that bears the run's witness, a file that only someone
who may write there can have made.
"""

from __future__ import annotations

import contextlib
import csv
import hashlib
import os
from typing import TYPE_CHECKING, Any, Callable, Dict, Iterator, List, NamedTuple, Set, Tuple

from . import foreign
from .errors import RestoreError
from .moves import is_folder, make_folders, relocate, remove, remove_empty
from .rules import is_interpreter

if TYPE_CHECKING:
    from .scheme import Scheme

NEW = "new"
"""Folder of the state where files wait until what is in their place has moved."""

ASIDE = "aside"
"""Folder of the state where what was there waits for the end of the run."""


class Journal(NamedTuple):
    """What a run may create or move; all paths absolute."""

    run: str
    """A random word of hexadecimal digits, the same in the mark."""
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
    witnesses: List[str]
    """Files that show that the run was begun in folders that are not of the scheme."""


def witness(run: str) -> str:
    """Return the name of the file that shows that a run was begun in a folder."""
    return ".kpack-" + run


def waiting(path: str, run: str) -> str:
    """Return the name beside ``path``, short whatever that is, where what belongs there waits until it counts."""
    word = hashlib.sha256(os.fsencode(path)).hexdigest()
    return os.path.join(os.path.dirname(path), "{}-{}".format(_stem(run), word[:12]))


def _stem(run: str) -> str:
    return ".kpack-" + run[:12]


def _is_waiting(path: str, run: str) -> bool:
    return os.path.basename(path).startswith(_stem(run) + "-")


class Places:
    """Where an installation's files may be."""

    def __init__(self, scheme: Scheme) -> None:
        self.libs = {scheme.purelib, scheme.platlib}
        self.state = scheme.state
        self._commands = {scheme.scripts, scheme.data}
        self._roots = {*self.libs, scheme.scripts, scheme.include, scheme.data}
        self._real: Dict[str, bool] = {}

    @property
    def staging(self) -> Set[str]:
        """The folders of kpack's own that a run empties."""
        return {os.path.join(self.state, ASIDE)}.union(os.path.join(lib, ".kpack", NEW) for lib in self.libs)

    def holds(self, path: str) -> bool:
        """Tell whether a path is below the scheme's folders, reached through no link out of them, and not state."""
        folder, name = os.path.split(path)
        if not _plain(path) or not name or self._is_state(path):
            return False
        return self._holds_folder(folder)

    def may_take(self, path: str) -> bool:
        """Tell whether a path that a distribution lists as its own may leave: one of an interpreter is nobody's."""
        folder, name = os.path.split(path)
        return self.holds(path) and not (folder in self._commands and is_interpreter(name))

    def _holds_folder(self, folder: str) -> bool:
        answer = self._real.get(folder)
        if answer is None:
            real = os.path.realpath(folder)
            answer = any(
                _below(folder, root) and _below(real, os.path.realpath(root)) and not self._is_state(real)
                for root in self._roots
            )
            self._real[folder] = answer
        return answer

    def _is_state(self, path: str) -> bool:
        return any(_below(path, os.path.join(lib, ".kpack")) for lib in self.libs)


def _below(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip("/") + "/")


def _plain(path: str) -> bool:
    return path.startswith("/") and "\0" not in path and os.path.normpath(path) == path


def loads(raw: Dict[str, Any]) -> Journal:
    """Return the journal that a state file holds. Raises ValueError for anything else."""
    if set(raw) != set(Journal._fields):
        raise ValueError("it has other keys")
    texts = [raw["run"], raw["id"], raw["name"]]
    for key in ("folders", "files", "metadata", "staging", "emptied", "witnesses"):
        texts += _list(raw[key], key)
    for pair in _list(raw["aside"], "aside"):
        if len(_list(pair, "aside")) != 2:
            raise ValueError("aside holds no pairs")
        texts += pair
    if not all(isinstance(text, str) and text for text in texts):
        raise ValueError("something in it is no text")
    if any(b"\0" in os.fsencode(text) for text in texts):  # a lone surrogate raises ValueError, too
        raise ValueError("something in it is no path")
    if raw["run"].strip("0123456789abcdef"):
        raise ValueError("run is not a word of kpack's")
    return Journal(**dict(raw, aside=[(place, away) for place, away in raw["aside"]]))


def _list(value: Any, key: str) -> List[Any]:
    if not isinstance(value, list):
        raise ValueError("{} is no list".format(key))  # noqa: TRY004 - of bytes that are wrong, as all the others
    return value


def believed(journal: Journal, places: Places) -> Journal:
    """Return the part of a journal that may be taken back here.

    Raises ValueError with the first path that a run into these places cannot have touched.
    """
    named = witness(journal.run)
    begun = {os.path.dirname(path) for path in journal.witnesses if os.path.isfile(path)}
    aside = os.path.join(places.state, ASIDE)

    def written(path: str) -> bool:
        return places.holds(path) or (_plain(path) and os.path.dirname(path) in begun)

    checks: List[Tuple[List[str], Callable[[str], bool]]] = [
        (journal.witnesses, lambda path: _plain(path) and os.path.basename(path) == named),
        # Outside the scheme, a run that has left no witness yet has not begun to write either.
        (journal.files, lambda path: written(path) or not os.path.lexists(path)),
        (journal.metadata, lambda path: os.path.dirname(path) in places.libs and path.endswith(".dist-info")),
        (journal.metadata, places.holds),
        ([away for _, away in journal.aside], lambda path: _is_number_in(path, aside)),
        ([place for place, away in journal.aside if os.path.lexists(away)], written),
        (journal.staging, lambda path: path in places.staging),
        (journal.emptied, places.holds),
    ]
    for paths, holds in checks:
        for path in paths:
            if not holds(path):
                raise ValueError(path)
    folders = [
        path
        for path in journal.folders
        if places.holds(path) or (_plain(path) and any(_below(folder, path) for folder in begun))
    ]
    return journal._replace(folders=folders)


def _is_number_in(path: str, folder: str) -> bool:
    return os.path.dirname(path) == folder and os.path.basename(path).isdigit()


def undo(journal: Journal) -> List[Tuple[str, str]]:
    """Take back what a run did; what it had not done yet is left as it is. May be repeated.

    It goes on to the end whatever fails; returned is what was moved away and could not be moved back.
    """
    kept = _of_others(journal) | _unmoved(journal)
    # A distribution counts by its METADATA: it goes first, so that a kill on the way leaves none that is not whole.
    own = [os.path.join(path, "METADATA") for path in journal.metadata if path not in kept]
    for path in own + [path for path in journal.files if path.endswith(".dist-info/METADATA")]:
        if path not in kept:
            with contextlib.suppress(OSError):
                os.unlink(path)
    for path in sorted(journal.files, key=lambda path: _is_waiting(path, journal.run)):
        if path not in kept:
            with contextlib.suppress(OSError):
                os.unlink(path)
    for path in journal.metadata:
        if path not in kept:
            remove(path)
    lost = []
    for place, away in reversed(journal.aside):
        if not os.path.lexists(away):
            continue
        try:
            remove(place)
            make_folders(os.path.dirname(place), [])
            relocate(away, place)
        except (OSError, RestoreError):
            lost.append((place, away))
    for path in journal.witnesses:
        with contextlib.suppress(OSError):
            os.unlink(path)
    for folder in reversed(journal.folders):
        remove(os.path.join(folder, "__pycache__"))
        remove_empty([folder])
    return lost


def _unmoved(journal: Journal) -> Set[str]:
    """Return the places whose own content still waits beside them: what is there has come from somebody else."""
    left = {path for path in journal.files if _is_waiting(path, journal.run) and os.path.lexists(path)}
    folders = {os.path.dirname(path) for path in left}
    return {path for path in journal.files if os.path.dirname(path) in folders and waiting(path, journal.run) in left}


def _of_others(journal: Journal) -> Set[str]:
    """Return what other installers have put, since, where the interrupted run was going to.

    A metadata folder that names another installer, and one that the run was not going to make, is its own, with every
    file that its RECORD lists.
    """
    mine = set(journal.metadata)
    wanted = {*journal.files, *mine}
    found: Set[str] = set()
    for lib in {os.path.dirname(path) for path in journal.metadata}:
        with contextlib.suppress(OSError):
            for name in os.listdir(lib):
                info = os.path.join(lib, name)
                if name.endswith(".dist-info") and not (info in mine and _installer(info) in ("kpack", "")):
                    found.add(info)
                    found.update(wanted.intersection(recorded(info)))
    return found


def _installer(info: str) -> str:
    """Return who says to have installed a distribution, empty for one whose metadata is not whole."""
    try:
        return foreign.read(os.path.join(info, "INSTALLER"), foreign.METADATA, follow=True).decode("utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return ""


def recorded(info: str) -> Iterator[str]:
    """Yield the absolute paths that an installed RECORD lists; none where it cannot be read."""
    lib = os.path.dirname(info)
    try:
        text = foreign.read(os.path.join(info, "RECORD"), foreign.METADATA, follow=True).decode("utf-8")
        for row in csv.reader(text.split("\n")):
            if row and "\0" not in row[0]:
                yield os.path.normpath(os.path.join(lib, row[0]))
    except (OSError, UnicodeDecodeError, csv.Error):
        return


def clear(journal: Journal) -> None:
    """Remove what a run moved away for good, what waited in vain, and its own folders."""
    for _, away in journal.aside:
        remove(away)
    for path in [*journal.witnesses, *(path for path in journal.files if _is_waiting(path, journal.run))]:
        with contextlib.suppress(OSError):
            os.unlink(path)
    for folder in journal.staging:
        if is_folder(folder):
            remove(folder)
            remove_empty([os.path.dirname(folder)])
    remove_empty(journal.emptied)
