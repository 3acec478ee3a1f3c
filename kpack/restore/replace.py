"""Making room: the files of a distribution that is replaced, and of a metadata folder that is in the way."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, AbstractSet, Iterable, List, NamedTuple, Set

from . import foreign
from .errors import MISFIT, RestoreError
from .installed import has_record, listing
from .journal import recorded

if TYPE_CHECKING:
    from .installed import Installed
    from .journal import Places

_FEW = 32
"""Words that are looked for one by one in the text of a RECORD, at most."""


class Old(NamedTuple):
    """What an installed distribution consists of, by its RECORD or installed-files.txt."""

    info: str
    """Its metadata folder."""
    files: List[str]
    """Absolute paths of files that are there, bytecode included; METADATA first, for what has none does not
    pass for installed."""
    folders: List[str]
    """Folders of its own and of others that it has files in, parents first."""


def read_old(there: Installed, places: Places, *, same: bool) -> Old:
    """Return the files of an installed distribution.

    One that lives outside the folders that are installed to is left where it is, as with pip. An egg has all of its
    files in it. With ``same``, the same version takes its place, so that one without a list of its files loses its
    metadata only. Raises RestoreError (code 6) for another one without such a list.
    """
    lib = os.path.dirname(there.info)
    if lib not in places.libs:
        return Old(there.info, [], [])
    if there.info.endswith(".egg"):
        whole = os.path.isdir(there.info) and not os.path.islink(there.info)
        return _old(there.info, _metadata(there.info), lib) if whole else Old(there.info, [there.info], [])
    if not has_record(there) and not same:
        raise RestoreError(
            MISFIT,
            "{} {} cannot be replaced: it has no list of its files that can be read, so they are not known".format(
                there.name, there.version
            ),
            where=there.info,
            next="uninstall it with the tool that installed it, or restore with --target DIR",
        )
    listed = _files(there)
    files = {file for file in listed if places.may_take(file) and (os.path.isfile(file) or os.path.islink(file))}
    files |= _bytecode({file for file in files if file.endswith(".py")})
    return _old(there.info, files.union(_metadata(there.info)), lib)


def own(there: List[Installed]) -> List[Installed]:
    """Return what is installed of one name, without metadata that is itself a file of another one of them.

    Some wheels ship the ``.egg-info`` of their own sources.
    """
    if len(there) == 1:
        return there
    listed = {path for item in there if item.info.endswith(".dist-info") for path in recorded(item.info)}
    return [item for item in there if item.info not in listed and os.path.join(item.info, "PKG-INFO") not in listed]


def in_the_way(info: str) -> Old:
    """Return what is in a metadata folder that is to be written anew, whatever left it there."""
    return _old(info, _metadata(info), os.path.dirname(info))


def _old(info: str, files: Set[str], lib: str) -> Old:
    folders = {os.path.dirname(file) for file in files}.union(folder for folder, _, _ in os.walk(info))
    folders.add(info)
    for folder in list(folders):
        while len(folder) > len(lib) and folder.startswith(lib + "/"):
            folders.add(folder)
            folder = os.path.dirname(folder)
    first = (os.path.join(info, "METADATA"), os.path.join(info, "PKG-INFO"))
    ordered = sorted(files, key=lambda file: (file not in first, not file.startswith(info + "/"), file))
    return Old(info, ordered, sorted(folder for folder in folders if folder.startswith(lib + "/")))


def _files(there: Installed) -> Set[str]:
    """Return the absolute paths that a distribution lists as its own."""
    if there.info.endswith(".dist-info"):
        return set(recorded(there.info))
    try:
        raw = foreign.read(os.path.join(there.info, "installed-files.txt"), foreign.METADATA, follow=True)
    except OSError:
        return set()
    lines = os.fsdecode(raw).splitlines()
    return {os.path.normpath(os.path.join(there.info, line)) for line in lines if line and "\0" not in line}


def _metadata(info: str) -> Set[str]:
    """Return every file in a metadata folder: other tools have added some since (REQUESTED, direct_url.json)."""
    found: Set[str] = set()
    for folder, inner, names in os.walk(info):
        found.update(os.path.join(folder, name) for name in names)
        found.update(path for path in (os.path.join(folder, name) for name in inner) if os.path.islink(path))
    return found


def vacated(folder: str, leaving: AbstractSet[str]) -> List[str]:
    """Return a folder and those in it, parents first, that are empty once the files in ``leaving`` have left.

    Empty when something else is in it.
    """
    found = []
    for inner, folders, names in os.walk(folder):
        links = [name for name in folders if os.path.islink(os.path.join(inner, name))]
        if not all(os.path.join(inner, name) in leaving for name in [*names, *links]):
            return []
        found.append(inner)
    return found


def without_shared(olds: List[Old], libs: Iterable[str]) -> List[Old]:
    """Return ``olds`` without the files that the RECORD of a distribution that stays lists, too."""
    files = {file for old in olds for file in old.files}
    if not files:
        return olds
    going = {old.info for old in olds}
    needles = {os.fsencode(name) for name in _tops(files, libs)}
    shared: Set[str] = set()
    for lib in libs:
        for item in listing(lib):
            if item.info not in going and item.info.endswith(".dist-info") and _mentions(item.info, needles):
                shared.update(files.intersection(recorded(item.info)))
    if not shared:
        return olds
    return [old._replace(files=[file for file in old.files if file not in shared]) for old in olds]


def _tops(files: Set[str], libs: Iterable[str]) -> Set[str]:
    """Return by which words a RECORD that lists one of the files is told: its first folder, or its name."""
    found = set()
    for file in files:
        inside = [file[len(lib) + 1 :] for lib in libs if file.startswith(lib + "/")]
        found.add(inside[0].partition("/")[0] if inside else os.path.basename(file))
    return found


def _mentions(info: str, words: Set[bytes]) -> bool:
    with contextlib.suppress(OSError):
        raw = foreign.read(os.path.join(info, "RECORD"), foreign.METADATA, follow=True)
        if len(words) <= _FEW:
            return any(word in raw for word in words)
        firsts = {line.partition(b",")[0].partition(b"/")[0] for line in raw.splitlines()}
        # Rows of other folders, and those in quotes, are taken apart in full.
        return not words.isdisjoint(firsts) or any(first in (b"..", b"") or first[:1] == b'"' for first in firsts)
    return False


def _bytecode(sources: Set[str]) -> Set[str]:
    """Return the cached bytecode of source files, whichever Python made it."""
    found = set()
    for folder in {os.path.dirname(path) for path in sources}:
        cache = os.path.join(folder, "__pycache__")
        with contextlib.suppress(OSError):
            for name in os.listdir(cache):
                if name.endswith(".pyc") and "{}/{}.py".format(folder, name.partition(".")[0]) in sources:
                    found.add(os.path.join(cache, name))
    return found
