"""Locks of other tools: uv.lock, pylock.toml (PEP 751), poetry.lock, Pipfile.lock.

What a lock pins for the sake of others is not taken over: `kpack lock` chooses it again, for the image.
"""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any, NamedTuple

from packaging.markers import InvalidMarker
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import InvalidName, canonicalize_name

from kpack.environment.errors import shown_path
from kpack.errors import UsageError
from kpack.importing import pip
from kpack.importing.finding import Lines
from kpack.importing.harvest import Line
from kpack.importing.lock_markers import settled
from kpack.importing.options import Arguments
from kpack.importing.project import Document, located, named_urls, none_such, texts
from kpack.importing.sitting import Sitting
from kpack.importing.text import read

if TYPE_CHECKING:
    from collections.abc import Container, Mapping, Sequence
    from pathlib import Path

    from kpack.importing.harvest import Harvest

_FOR_OTHERS = "is there for the sake of others: kpack lock chooses it for the image"


_OTHER_FORMAT = "compare what was taken over with the project, or take that: kpack init --from pyproject.toml"


def _packages(document: Document, key: str) -> list[dict[str, Any]]:
    """Return the packages of a lock; each row that is none is left to a person."""
    rows = document.data.get(key)
    rows = rows if isinstance(rows, list) else []
    found = [one for one in rows if isinstance(one, dict) and _names(one.get("name"))]
    if not found:
        raise UsageError("it has no packages", where=document.where, next="name the lock that the tool wrote")
    if others := len(rows) - len(found):
        document.harvest.left(
            document.line(key), f"{others} of its packages have no name that a distribution can have", "kpack add NAME"
        )
    return found


def _names(value: object) -> bool:
    """Tell whether a value is the name of a distribution."""
    if not isinstance(value, str):
        return False
    try:
        canonicalize_name(value, validate=True)
    except InvalidName:
        return False
    return True


def _check_format(said: object, known: Container[str], shown: str, line: Line, harvest: Harvest) -> None:
    """Leave it to a person to look at a lock whose format is later than those that are ``known``, or another one."""
    if said is not None and str(said) not in known:
        why = f"it is of the format {str(said)[:20]!r}, and this kpack knows {shown}: it was read as one of these"
        harvest.left(line, why, _OTHER_FORMAT)


class _Need(NamedTuple):
    """What a project asks for itself."""

    marker: str = ""
    extras: tuple[str, ...] = ()


def _pin(held: Mapping[str, Any], need: _Need, line: Line, sitting: Sitting) -> None:
    """Add one package of a lock by its version, or by where it comes from."""
    marker = f" ; {need.marker}" if need.marker else ""
    name = f"{held['name']}[{','.join(need.extras)}]" if need.extras else str(held["name"])
    version = held.get("version")
    if wrong := next((key for key, kind in _KINDS.items() if not isinstance(held.get(key), kind | None)), None):
        _unreadable(held, wrong, line, sitting)
        return
    try:
        requirement = Requirement(f"{name}{marker}")
        pinned = Requirement(f"{name}=={version}{marker}") if isinstance(version, str) else requirement
    except InvalidRequirement as error:
        sitting.harvest.left(line, f"it cannot be read: {str(error).partition(chr(10))[0]}", "kpack add NAME")
        return
    source = held.get("source")
    if isinstance(source, dict) and {"git", "url", "path"} & source.keys():
        url, _, commit = str(source.get("git", "")).partition("#")
        plain = {**source, "git": url.partition("?")[0], "rev": commit} if commit else source
        located(requirement, plain, line, sitting, {})
    else:
        pip.entry(str(pinned), line, sitting, Arguments())


_KINDS = {"version": str, "source": dict}
"""Of keys that a package of a lock may have."""


def _unreadable(held: Mapping[str, Any], key: str, line: Line, sitting: Sitting) -> None:
    write = f"kpack add {held['name']}"
    sitting.harvest.left(line, f"the {key} of {held['name']} cannot be read: {str(held[key])[:80]!r}", write)


def from_uv(path: Path, harvest: Harvest, *, extras: Sequence[str] = (), groups: Sequence[str] = ()) -> None:
    """Add what the projects of a uv.lock ask for themselves, at the versions that are locked.

    Raises:
        UsageError: the file is missing, is no TOML, has no packages, or no such extra or group.
        MachineError: it cannot be read.

    """
    document = Document(path, harvest)
    _check_format(document.data.get("version"), ("1",), "1", document.line("version"), harvest)
    packages = _packages(document, "package")
    roots = [one for one in packages if {"virtual", "editable"} & _source(one).keys()]
    needs = [need for root in roots for need in _tables(root.get("dependencies"))]
    others: list[tuple[str, str]] = []
    for kind, key, asked in (("extra", "optional-dependencies", extras), ("group", "dev-dependencies", groups)):
        offered = {
            canonicalize_name(name): _tables(held) for root in roots for name, held in _table(root.get(key)).items()
        }
        for name in map(canonicalize_name, asked):
            if name not in offered:
                raise none_such(kind, name, offered, document.where)
            needs += offered[name]
        others += [(kind, name) for name in sorted(offered.keys() - set(map(canonicalize_name, asked)))]
    wanted: dict[tuple[str, str], _Need] = {}
    for need in needs:
        if isinstance(need.get("name"), str):
            extra = tuple(one for one in need.get("extra", ()) if isinstance(one, str))
            wanted[need["name"], str(need.get("version"))] = _Need(str(need.get("marker", "")), extra)
    mirror = _mirror([_source(one).get("registry") for one in packages], document, document.line("version"))
    for one in packages:
        line = document.line(f'name = "{one["name"]}"')
        need_of = wanted.get((one["name"], str(one.get("version")))) or wanted.get((one["name"], "None"))
        registry = _source(one).get("registry")
        if one in roots:
            harvest.understood(line, "", "the project itself: kpack add ./FOLDER, if it is to travel, too")
        elif roots and need_of is None:
            harvest.understood(line, "", f"{one['name']} {_FOR_OTHERS}")
        else:
            if isinstance(registry, str) and registry != mirror:
                pip.index(registry, [one["name"]], line, document.sitting)
            _pin(one, need_of or _Need(), line, document.sitting)
    for kind, other in others:
        write = f"kpack init --from {path.name} --{kind} {other}"
        harvest.left(document.line(f"{other} = ["), f"the {kind} {other} was not asked for", write)


def _source(held: Mapping[str, Any]) -> dict[str, Any]:
    source = held.get("source")
    return source if isinstance(source, dict) else {}


def from_poetry(path: Path, harvest: Harvest, *, extras: Sequence[str] = (), groups: Sequence[str] = ()) -> None:
    """Add the packages of a poetry.lock that no other of them asks for, with those of some extras and groups.

    Raises:
        UsageError: the file is missing, is no TOML, has no packages, or no such extra.
        MachineError: it cannot be read.

    """
    document = Document(path, harvest)
    _check_format(
        document.table("metadata").get("lock-version"),
        ("1.0", "1.1", "2.0", "2.1"),
        "1.0 to 2.1",
        document.line("lock-version"),
        harvest,
    )
    packages = _packages(document, "package")
    needed = {name.lower() for one in packages for name in _table(one.get("dependencies"))}
    offered = {canonicalize_name(name): texts(held) for name, held in document.table("extras").items()}
    if missing := [extra for extra in map(canonicalize_name, extras) if extra not in offered]:
        raise none_such("extra", missing[0], offered, document.where)
    asked = {canonicalize_name(name) for extra in extras for name in offered[canonicalize_name(extra)]}
    for one in packages:
        line = document.line(f'name = "{one["name"]}"')
        of = {canonicalize_name(name) for name in texts(one.get("groups")) or [str(one.get("category", "main"))]}
        taken = not of.isdisjoint({"main", *map(canonicalize_name, groups)})
        if not taken or (one.get("optional") is True and canonicalize_name(one["name"]) not in asked):
            which = f"of the group {', '.join(sorted(of))}" if not taken else "optional"
            write = f"kpack add {one['name']}, or init with the --extra or --group that has it"
            harvest.left(line, f"{one['name']} is {which}", write)
        elif one["name"].lower() in needed:
            harvest.understood(line, "", f"{one['name']} {_FOR_OTHERS}")
        else:
            _of_poetry(one, line, document.sitting)


_PLACES = {"git": "git", "url": "url", "file": "path", "directory": "path"}
"""Keys of `located` by the type of a source of Poetry's; ``legacy`` is an index."""


def _of_poetry(one: Mapping[str, Any], line: Line, sitting: Sitting) -> None:
    """Add one package of a poetry.lock from where it was locked."""
    source = _source(one)
    kind, url = str(source.get("type")), source.get("url")
    try:
        requirement = Requirement(one["name"])
    except InvalidRequirement:
        kind = ""  # `_pin` says what is wrong
    if kind in _PLACES:
        more = {"rev": source.get("resolved_reference"), "subdirectory": source.get("subdirectory")}
        located(requirement, {_PLACES[kind]: url, **(more if kind == "git" else {})}, line, sitting, {})
        return
    if kind == "legacy" and isinstance(url, str):
        pip.index(url, [one["name"]], line, sitting)
    plain = {"name": one["name"], "version": one.get("version")}
    _pin(plain if isinstance(one.get("source"), dict) else one, _Need(), line, sitting)


def _tables(value: object) -> list[dict[str, Any]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _table(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def from_pylock(path: Path, harvest: Harvest, *, extras: Sequence[str] = (), groups: Sequence[str] = ()) -> None:
    """Add the packages of a PEP 751 lock: those that no other of them asks for, where it says who asks.

    They are those of the default groups and of the extras and groups that are asked for.

    Raises:
        UsageError: the file is missing, is no TOML, has no such extra or group, or is a lock of kpack's own.
        MachineError: it cannot be read.

    """
    document = Document(path, harvest)
    if document.table("tool", "kpack"):
        raise UsageError(
            "it is a lock that kpack wrote", where=document.where, next="take the kaggle-env.toml that it was made from"
        )
    _check_format(document.data.get("lock-version"), ("1.0",), "1.0", document.line("lock-version"), harvest)
    packages = _packages(document, "packages")
    needed = {str(need.get("name")) for one in packages for need in _tables(one.get("dependencies"))}
    mirror = _mirror([one.get("index") for one in packages], document, document.line("lock-version"))
    for kind, key, asked in (("extra", "extras", extras), ("group", "dependency-groups", groups)):
        offered = dict.fromkeys(map(canonicalize_name, texts(document.data.get(key))))
        if missing := [name for name in asked if canonicalize_name(name) not in offered]:
            raise none_such(kind, missing[0], offered, document.where)
    every = (*texts(document.data.get("default-groups")), *groups)
    for one in packages:
        line = document.line(f'"{one["name"]}"')
        try:
            marker = settled(str(one.get("marker", "")), extras=extras, groups=every)
        except InvalidMarker:
            marker = str(one["marker"])  # `_pin` says what is wrong
        if marker is None:
            write = f"kpack init --from {path.name} with the --extra or --group that has it"
            harvest.left(line, f"{one['name']} is of an extra or a group that was not asked for", write)
        elif one["name"] in needed:
            harvest.understood(line, "", f"{one['name']} {_FOR_OTHERS}")
        else:
            _of_pylock({**one, "marker": marker}, line, document.sitting, mirror)


def _of_pylock(one: Mapping[str, Any], line: Line, sitting: Sitting, mirror: str) -> None:
    """Add one package of a PEP 751 lock by its version, or by where it comes from."""
    name, marker = one["name"], str(one.get("marker", ""))
    vcs, archive, folder = (_table(one.get(key)) for key in ("vcs", "archive", "directory"))
    wheels = _tables(one.get("wheels"))
    lone = wheels[0] if len(wheels) == 1 and "path" in wheels[0] and "url" not in wheels[0] else {}
    try:
        requirement = Requirement(f"{name} ; {marker}" if marker else name)
    except InvalidRequirement:
        vcs, archive, folder, lone = {}, {}, {}, {}  # `_pin` says what is wrong
    if vcs and (vcs.get("type", "git") != "git" or "url" not in vcs):
        where = vcs.get("url") or vcs.get("path")
        why = f"{name} comes from {vcs.get('type')} at {where}, and kpack fetches from git by its URL alone"
        sitting.harvest.left(line, why, f"kpack add {name}, if an index has it")
    elif vcs:
        git = {"git": vcs["url"], "rev": vcs.get("commit-id"), "subdirectory": vcs.get("subdirectory")}
        located(requirement, git, line, sitting, {})
    elif isinstance(archive.get("url"), str):
        facts = {"subdirectory": archive.get("subdirectory"), "sha256": _table(archive.get("hashes")).get("sha256")}
        fragment = "&".join(f"{key}={value}" for key, value in facts.items() if isinstance(value, str))
        url = archive["url"] + (f"#{fragment}" if fragment else "")
        located(requirement, {"url": url}, line, sitting, {})
    elif path := next((held["path"] for held in (archive, folder, lone) if isinstance(held.get("path"), str)), ""):
        located(requirement, {"path": path}, line, sitting, {})
    else:
        index = one.get("index")
        if isinstance(index, str) and index != mirror:
            pip.index(index, [name], line, sitting)
        _pin({"name": name, "version": one.get("version")}, _Need(marker), line, sitting)


def _mirror(indexes: Sequence[object], document: Document, line: Line) -> str:
    """Return the index that a lock counts on in place of the default one, which is told; empty when there is none."""
    named = Counter(url for url in indexes if isinstance(url, str))
    if not named or any(map(pip.is_default, named)):
        return ""
    ((url, _),) = named.most_common(1)
    pip.for_all(url, line, document.sitting, option="the index")
    return url


def from_pipfile(path: Path, harvest: Harvest) -> None:
    """Add the ``default`` packages of a Pipfile.lock.

    Raises:
        UsageError: the file is missing or is no such lock.
        MachineError: it cannot be read.

    """
    where = shown_path(path)
    text = read(path)
    try:
        held = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"is not JSON: {error}", where=where, next="name the lock that Pipenv wrote") from error
    default, meta = _table(held).get("default"), _table(_table(held).get("_meta"))
    if not isinstance(default, dict):
        raise UsageError("it has no packages under default", where=where, next="name the lock that Pipenv wrote")
    sources = named_urls(meta.get("sources"))
    rows = text.splitlines()
    sitting = Sitting(harvest, path.parent)
    harvest.code[where] = set()
    places = {row.strip().partition(":")[0].strip('"'): number for number, row in enumerate(rows, start=1)}
    at = places.get("pipfile-spec", 1)
    _check_format(meta.get("pipfile-spec"), ("6",), "6", Line(Lines(where, 0, at, at), "pipfile-spec"), harvest)
    for name, one in default.items():
        at = places.get(name, 1)
        harvest.code[where].add((0, at))
        line = Line(Lines(where, 0, at, at), name)
        _pipenv(name, one, sources, line, sitting)


def _pipenv(name: str, held: object, sources: Mapping[str, str], line: Line, sitting: Sitting) -> None:
    """Add one package of a Pipfile.lock; ``sources`` are its indexes, the default one first."""
    table: dict[str, Any] = {"name": name, **(held if isinstance(held, dict) else {"version": held})}
    for key in ("version", "markers", "index"):
        if not isinstance(table.get(key), str | None):
            _unreadable(table, key, line, sitting)
            return
    extras = f"[{','.join(listed)}]" if (listed := texts(table.get("extras"))) else ""
    marker = f" ; {table['markers']}" if table.get("markers") else ""
    pinned = f"{name}{extras}{table.get('version') or ''}{marker}"
    try:
        requirement = Requirement(f"{name}{extras}{marker}")
    except InvalidRequirement:
        pip.entry(pinned, line, sitting, Arguments())  # it says what is wrong
        return
    if {"git", "file", "path"} & table.keys():
        located(requirement, table, line, sitting, {})
        return
    if (url := sources.get(table.get("index") or "")) and url != next(iter(sources.values())):
        pip.index(url, [name], line, sitting)
    pip.entry(pinned, line, sitting, Arguments())
