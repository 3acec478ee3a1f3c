"""What is installed: distributions by their metadata, in the order in which the interpreter looks for modules."""

from __future__ import annotations

import csv
import os
import re
from typing import AbstractSet, Dict, Iterable, List, NamedTuple, Optional, Tuple

from . import foreign, record
from .errors import RestoreError
from .headers import headers
from .journal import recorded
from .versions import normalize_name

_INFO = re.compile(r"(?P<name>.+?)-(?P<version>[^-]+)\.dist-info\Z")
_EGG = re.compile(r"(?P<name>.+?)-(?P<version>[^-]+)(?:-py[0-9.]+(?:-.+)?)?\.(?:egg-info|egg)\Z")
_SUFFIXES = (".dist-info", ".egg-info", ".egg")


class Installed(NamedTuple):
    """A distribution that is installed."""

    name: str
    """Normalised."""
    version: str
    info: str
    """Absolute path of its .dist-info folder, .egg-info folder or file."""


def installed(folders: Iterable[str], closely: AbstractSet[str] = frozenset()) -> Dict[str, Installed]:
    """Return what is installed in ``folders`` (usually sys.path), by normalised name; the first folder wins.

    In one folder a .dist-info comes before an .egg-info, which a wheel may ship beside. Names and versions are taken
    from the names of the metadata folders, and from the metadata itself where the name does not tell, or is one of
    ``closely`` (normalised). A folder without metadata is a left-over, no distribution.
    """
    found: Dict[str, Installed] = {}
    for folder in dict.fromkeys(os.path.abspath(folder or ".") for folder in folders):
        for item in sorted(listing(folder), key=_is_legacy):
            if item.name not in found:
                known = stated(item) if item.name in closely else item
                if known is not None:
                    found[item.name] = known
    return found


def _is_legacy(item: Installed) -> bool:
    return not item.info.endswith(".dist-info")


def listing(folder: str) -> List[Installed]:
    """Return every distribution whose metadata is in a folder, sorted by the names of their metadata."""
    items = []
    for name in _names(folder):
        path = os.path.join(folder, name)
        known = _from_name(name) if _metadata(path) else None
        if known is None or _doubtful(name):
            known = _from_metadata(path) or known
        if known:
            items.append(Installed(normalize_name(known[0]), known[1], path))
    return items


def left_over(folders: Iterable[str], names: Iterable[str]) -> List[str]:
    """Return the metadata folders of ``names`` (normalised) in which no metadata says so."""
    wanted = set(names)
    found = []
    for folder in dict.fromkeys(folders):
        for name in _names(folder):
            known = _from_name(name)
            path = os.path.join(folder, name)
            if known and normalize_name(known[0]) in wanted:
                item = Installed(normalize_name(known[0]), known[1], path)
                if not _metadata(path) or (name.endswith(".dist-info") and stated(item) is None):
                    found.append(path)
    return found


def _names(folder: str) -> List[str]:
    try:
        # A name that is nothing but a suffix is nobody's.
        return sorted(name for name in os.listdir(folder) if name.endswith(_SUFFIXES) and name not in _SUFFIXES)
    except OSError:
        return []  # sys.path may name folders and archives that are not there


def _metadata(info: str) -> str:
    """Return the file that holds a distribution's metadata, empty when there is none."""
    inner = {".dist-info": "METADATA", ".egg-info": "PKG-INFO", ".egg": "EGG-INFO/PKG-INFO"}
    path = os.path.join(info, inner[os.path.splitext(info)[1]])
    if os.path.isfile(path):
        return path
    return info if not info.endswith(".dist-info") and os.path.isfile(info) else ""


def _from_name(name: str) -> Optional[Tuple[str, str]]:
    match = (_INFO if name.endswith(".dist-info") else _EGG).match(name)
    return (match["name"], match["version"].replace("_", "-")) if match else None


def _doubtful(name: str) -> bool:
    """Tell whether a dash more leaves open where the version begins: ``some-1.0-1`` may be the post-release 1.0-1."""
    return name.endswith(".dist-info") and name.count("-") > 2


def _from_metadata(info: str) -> Optional[Tuple[str, str]]:
    """Return the name and version that metadata states."""
    path = _metadata(info)
    if not path or path.endswith(".egg"):
        return None
    try:
        raw = foreign.read(path, foreign.METADATA, follow=True)
    except OSError:
        return None
    fields = headers(raw.decode("utf-8", "replace"))
    name, version = (fields.get(key, [""])[0].strip() for key in ("name", "version"))
    return (name, version) if name and version else None


def stated(item: Installed) -> Optional[Installed]:
    """Return a distribution with the version that its metadata states; None when that is another distribution's."""
    known = _from_metadata(item.info)
    if known is None:
        return item if item.info.endswith(".egg") else None
    return item._replace(version=known[1]) if normalize_name(known[0]) == item.name else None


def has_record(item: Installed) -> bool:
    """Tell whether a distribution lists its files, in a way that can be read."""
    is_record = item.info.endswith(".dist-info")
    path = os.path.join(item.info, "RECORD" if is_record else "installed-files.txt")
    try:
        text = foreign.read(path, foreign.METADATA, follow=True).decode("utf-8", "strict" if is_record else "replace")
        for _ in csv.reader(text.split("\n")) if is_record else ():
            pass
    except (OSError, UnicodeDecodeError, csv.Error):
        return False
    return True


def unsound(item: Installed) -> str:
    """Return why a distribution with metadata does not have all the files that it should have; empty when it has.

    It lists its own metadata, and what its RECORD lists is there with its size. Only a .dist-info folder can tell.
    """
    if not item.info.endswith(".dist-info"):
        return ""
    lib = os.path.dirname(item.info)
    try:
        rows = record.parse(foreign.read(os.path.join(item.info, "RECORD"), foreign.METADATA, follow=True), item.info)
    except FileNotFoundError:
        return "it has no RECORD"
    except OSError as error:
        return "its RECORD cannot be read: {}".format(error.strerror)
    except RestoreError as error:
        return error.what
    if os.path.basename(item.info) + "/METADATA" not in rows:
        return "its RECORD does not list its own metadata"
    for path, row in rows.items():
        if row.size and not path.endswith("/"):  # some tools list folders, with the size of nothing
            place = os.path.join(lib, path)
            if ".." in path:  # as it was written: by names, so that a folder that is a link changes nothing
                place = os.path.normpath(place)
            try:
                size = os.stat(place).st_size
            except (OSError, ValueError) as error:
                return "{:.200}, which its RECORD lists, is not there: {}".format(
                    path, getattr(error, "strerror", error)
                )
            if str(size) != row.size:
                return "{:.200} has {} bytes, its RECORD says {:.40}".format(path, size, row.size)
    return ""


def owners(libs: Iterable[str], paths: Iterable[str]) -> Dict[str, List[str]]:
    """Return, by path, the distributions (normalised) in ``libs`` whose RECORD lists it.

    A RECORD is read as rows only where one of the paths stands in it as text.
    """
    found: Dict[str, List[str]] = {path: [] for path in paths}
    needles = {os.fsencode(os.path.basename(path)) for path in found}
    for lib in libs if needles else ():
        for item in listing(lib):
            try:
                raw = foreign.read(os.path.join(item.info, "RECORD"), foreign.METADATA, follow=True)
            except OSError:
                continue
            if any(needle in raw for needle in needles):
                for path in recorded(item.info):
                    if path in found:
                        found[path].append(item.name)
    return found
