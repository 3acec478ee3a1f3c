"""What a wheel may hold and where it lands: the one set of rules, asked by the gate at home and by the planner here.

Pure functions over the entries of an archive and the small files that describe it; nothing of the interpreter that
asks is known. They follow the binary distribution format (PEP 427 and its successors) where pip and uv do, and
refuse what one of the two would refuse, or what the two would read differently.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Dict, Iterable, List, NamedTuple, Optional, Set, Tuple

from . import tags
from .errors import INTEGRITY, RestoreError
from .headers import headers
from .versions import Version, normalize_name

if TYPE_CHECKING:
    from .wheelzip import Entry

INFO, LIB, PURELIB, PLATLIB, HEADERS, SCRIPTS, DATA = range(7)
"""The doors by which a file comes in: the metadata folder, the root of the archive, and the folders of ``.data``."""

_DOORS = {"purelib": PURELIB, "platlib": PLATLIB, "headers": HEADERS, "scripts": SCRIPTS, "data": DATA}
_IMPORTED = (INFO, LIB, PURELIB, PLATLIB)

LIMITS = {"METADATA": 16 << 20, "WHEEL": 1 << 20, "entry_points.txt": 1 << 20, "RECORD": 32 << 20}
"""Bytes that the files of the metadata folder may have which are read into memory as a whole."""
PACKED_LIMIT = 4 << 20
"""Compressed bytes that each of them may have, so that it lies in one span of a pack."""

_STARTERS = ("sitecustomize", "usercustomize")
_STATE = ".kpack"
_RESERVED = (*_STARTERS, _STATE)
_SITE = ("site-packages", "dist-packages")
_STANDARD = re.compile(r"(?:local/)?lib(?:32|64)?/(?:python|pypy)[0-9]+\.[0-9]+t?/")
_INTERPRETER = re.compile(r"python[0-9.]*(?:w|t)?\Z|pyvenv\.cfg\Z")

_KNOWN = re.compile(r"(?:0\.1|1(?:\. ?[0-9]{1,9})+)\Z")
"""Versions of the format: 0.1 was its draft, and its files are laid out alike."""


class Shape(NamedTuple):
    """How the archive of a wheel is laid out."""

    info: str
    """Name of its metadata folder."""
    data: Tuple[str, ...]
    """Its ``.data`` folders, each with a slash at the end."""


class Landing(NamedTuple):
    """A file of a wheel and where it goes."""

    entry: Entry
    door: int
    """One of `INFO` … `DATA`."""
    rest: str
    """Its path below the folder that the door leads to."""


_landing = tuple.__new__
"""`Landing(...)` without the detour by keyword arguments, for tens of thousands of them."""


def shape(entries: Iterable[Entry], filename: str) -> Shape:
    """Return the layout of the wheel that has this file name.

    Raises RestoreError (code 5): more or fewer than one metadata folder, one of another distribution, a ``.data``
    folder of another distribution, a part of the metadata that is missing or too large to be read whole.
    """
    try:
        wheel = tags.parse(filename)
    except ValueError as error:
        raise _bad(str(error), filename) from error
    tops: Set[str] = set()
    told: Dict[str, Entry] = {}
    for entry in entries:
        if ".data" in entry.name or ".dist-info" in entry.name.lower():
            top, slash, rest = entry.name.partition("/")
            if not slash and top.endswith(".data"):
                raise _bad("{!r} is a file where a .data folder belongs".format(top), filename)
            tops.add(top)
            if rest in LIMITS:
                told[entry.name] = entry
    infos = sorted(top for top in tops if top.lower().endswith(".dist-info"))  # as importlib.metadata finds them
    if len(infos) != 1 or not infos[0].endswith(".dist-info"):
        raise _bad("it has {} .dist-info folders: {}".format(len(infos), infos), filename)
    info = infos[0]
    if not _is_of(info[: -len(".dist-info")], wheel):
        raise _bad("its metadata folder is {!r}, which is another distribution".format(info), filename)
    data = sorted(top for top in tops if top.endswith(".data"))
    for top in data:
        if not _is_of(top[: -len(".data")], wheel):
            raise _bad("{!r} is another distribution's .data folder".format(top), filename)
    _refuse_metadata({name: told.get("{}/{}".format(info, name)) for name in LIMITS}, info, filename)
    return Shape(info, tuple(top + "/" for top in data))


def _refuse_metadata(files: Dict[str, Optional[Entry]], info: str, where: str) -> None:
    for name, entry in files.items():
        if entry is None and name != "entry_points.txt":
            raise _bad("it has no {}/{}".format(info, name), where)
        limit = LIMITS[name]
        if entry is not None and (entry.size > limit or entry.compressed > PACKED_LIMIT):
            raise _bad(
                "{}/{} has {} bytes, {} packed; {} and {} are allowed".format(
                    info, name, entry.size, entry.compressed, limit, PACKED_LIMIT
                ),
                where,
            )


def identity(metadata: Dict[str, List[str]]) -> Optional[Tuple[str, str]]:
    """Return the normalised name and the version that the headers of METADATA give.

    What they say twice must be the same, however it is spelled: None when it is not, or missing. Spaces behind a name
    are a part of it, as for pip.
    """
    names, versions = (metadata.get(key, []) for key in ("name", "version"))
    try:
        found = {Version(text) for text in versions}
    except ValueError:
        return None
    one = {normalize_name(text) for text in names}
    return (one.pop(), versions[0].strip()) if len(one) == len(found) == 1 else None


def told(metadata: Dict[str, List[str]]) -> str:
    """Return in words what the headers of METADATA give as name and version."""
    names, versions = (" and ".join(metadata.get(key, [])) for key in ("name", "version"))
    return "{:.200} {:.200}".format(names or "no name", versions or "and no version")


def _is_of(stem: str, wheel: tags.WheelName) -> bool:
    """Tell whether ``name-version`` of a folder is the wheel's, however it is spelled."""
    wanted = normalize_name(wheel.name)
    for dash in re.finditer("-", stem):  # a post-release may be spelled with one, too: 1.0-1
        if normalize_name(stem[: dash.start()]) == wanted and fits(stem[dash.end() :], wheel.version):
            return True
    return False


def fits(found: str, named: str) -> bool:
    """Tell whether a version inside a wheel agrees with the one ``named`` in its file name.

    As for pip and uv, the file name may have a local version more (``2.8.3+cu12`` for 2.8.3). Older tools wrote the
    ``+`` of a folder's name as ``_``.
    """
    try:
        wanted = Version(named)
    except ValueError:
        return False
    for text in (found, found.replace("_", "+", 1)):
        try:
            version = Version(text)
        except ValueError:
            continue
        if version == wanted or (not version.local and version.public_key == wanted.public_key):
            return True
    return False


def landing(entries: Iterable[Entry], shape: Shape, where: str) -> List[Landing]:
    """Return where the files of a wheel go, in the order of the entries; folders are made for files only.

    Raises RestoreError (code 5) for a file that would land where a wheel has no business, judged by where it lands
    and not by the door that it comes by.
    """
    info = shape.info + "/"
    data = shape.data
    shipped = info + "INSTALLER"
    found = []
    by_data = False
    for entry in entries:
        name = entry.name
        if name[-1] == "/":
            continue
        if name.startswith(info):
            if name != shipped:  # who installs writes its own
                found.append(_landing(Landing, (entry, INFO, name)))
            continue
        if data and name.startswith(data):
            by_data = True
            found.append(_by_data(entry, where))
            continue
        if name.startswith(_RESERVED):
            _refuse_reserved(name, name, where)
        found.append(_landing(Landing, (entry, LIB, name)))
    if by_data:
        _refuse_clash(found, where)
    return found


def _by_data(entry: Entry, where: str) -> Landing:
    """Return where a file below ``.data`` goes."""
    name = entry.name
    _, key, rest = (*name.split("/", 2), "", "")[:3]
    door = _DOORS.get(key)
    if not rest:
        raise _bad("{!r} is a file where a scheme folder belongs".format(name), where)
    if door is None:
        raise _bad("{!r} of {!r} is no scheme of .data".format(key, name), where)
    if door == SCRIPTS:
        if "/" in rest:
            raise _bad("{!r}: a script must stand in scripts/ itself".format(name), where)
        refuse_script(rest, where)
    elif door == DATA:
        _refuse_in_data(name, rest, where)
    elif door != HEADERS:
        _refuse_top(name, rest, where)
    return Landing(entry, door, rest)


def _refuse_in_data(name: str, rest: str, where: str) -> None:
    """Judge a file of ``.data/data``: the root of the environment, or with ``--target`` the folder of modules."""
    _refuse_top(name, rest, where)
    if rest == "pyvenv.cfg":
        raise _bad("{!r} would change the environment itself".format(name), where)
    parts = rest.split("/")
    if len(parts) == 2 and parts[0] in ("bin", "Scripts"):
        refuse_script(parts[1], where)
    inside = _STANDARD.match(rest)
    for index, part in enumerate(parts[:-1]):
        if part in _SITE:
            _refuse_top(name, "/".join(parts[index + 1 :]), where)
    if inside and rest[inside.end() :].partition("/")[0] not in _SITE:
        raise _bad("{!r} would land among Python's own modules".format(name), where)


def _refuse_top(name: str, rest: str, where: str) -> None:
    """Judge a file by its path below a folder that modules are imported from; ``name`` is its own in the archive."""
    top, _, below = rest.partition("/")
    if top.startswith(_RESERVED):
        _refuse_reserved(name, top, where)
    if top.lower().endswith(".dist-info") and below:
        raise _bad("{!r} would speak for an installed distribution".format(name), where)


def _refuse_reserved(name: str, rest: str, where: str) -> None:
    top = rest.partition("/")[0]
    if any(top == word or top.startswith(word + ".") for word in _STARTERS):
        raise _bad("{!r} would run at every start of the interpreter and shadow Kaggle's own".format(name), where)
    if top == _STATE:
        raise _bad("{!r} would land among kpack's own state".format(name), where)


def is_interpreter(name: str) -> bool:
    """Tell whether a file that is called so among the commands, or above them, is a part of the interpreter."""
    return _INTERPRETER.match(name) is not None


def refuse_script(name: str, where: str) -> None:
    """Refuse a command that would take the interpreter's place. Raises RestoreError (code 5)."""
    if is_interpreter(name):
        raise _bad("the script {!r} would take the place of the interpreter".format(name), where)


def _refuse_clash(found: List[Landing], where: str) -> None:
    """Refuse a file that comes by one door where another needs a folder: most interpreters have one place for both."""
    files = {item.rest for item in found if item.door in _IMPORTED}
    folders: Set[str] = set()
    for path in files:
        parent = path.rpartition("/")[0]
        while parent and parent not in folders:
            folders.add(parent)
            parent = parent.rpartition("/")[0]
    both = folders & files
    if both:
        raise _bad("{!r} is a file and a folder where it lands".format(min(both)), where)


def startup_files(landings: Iterable[Landing]) -> Tuple[str, ...]:
    """Return the ``.pth`` files that a wheel puts where an interpreter may look for them at its start, sorted."""
    found = set()
    for item in landings:
        if not item.rest.endswith(".pth"):
            continue
        folder, _, name = item.rest.rpartition("/")
        looked_at = item.door == DATA and folder.rpartition("/")[2] in _SITE
        if looked_at or (not folder and item.door in (*_IMPORTED, DATA)):
            found.add(name)
    return tuple(sorted(found))


def is_pure(raw: bytes, where: str) -> bool:
    """Read a WHEEL file and tell whether the root of the archive goes to purelib.

    Without ``Root-Is-Purelib``, or with another word than true (a space behind it makes another word), it goes to
    platlib, as for pip; of what stands there twice the first counts, as for pip and uv. Raises RestoreError (code 5)
    for a version of the format that is not known, and for what pip reads differently on different Pythons.
    """
    try:
        fields = headers(raw.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise _bad("its WHEEL is not UTF-8: {}".format(error), where) from error
    version = fields.get("wheel-version", [""])[0].strip()
    if not _KNOWN.match(version):
        raise _bad("its Wheel-Version is {!r:.80}, known is 1.x".format(version), where)
    pure = fields.get("root-is-purelib", [""])[0]
    if pure.startswith("\n"):  # Python has left out the end of the line since 3.12.8 and 3.13.1
        raise _bad("its WHEEL has the word for Root-Is-Purelib on the next line, which not every pip reads", where)
    return pure.lower() == "true"


def _bad(what: str, where: str) -> RestoreError:
    return RestoreError(
        INTEGRITY, what, where=where, next="exclude this distribution, or take another version or file of it"
    )
