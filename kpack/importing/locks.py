"""Locks of other tools: uv.lock, pylock.toml (PEP 751), poetry.lock, Pipfile.lock.

What a lock pins for the sake of others is not taken over: `kpack lock` chooses it again, for the image.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from packaging.requirements import InvalidRequirement, Requirement

from kpack.environment.errors import shown_path
from kpack.errors import UsageError
from kpack.importing import pip
from kpack.importing.finding import Lines
from kpack.importing.harvest import Line
from kpack.importing.options import Arguments
from kpack.importing.project import Document, located
from kpack.importing.sitting import Sitting
from kpack.importing.text import read

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from kpack.importing.harvest import Harvest

_FOR_OTHERS = "is there for the sake of others: kpack lock chooses it for the image"


def _packages(document: Document, key: str) -> list[dict[str, Any]]:
    found = [one for one in _tables(document.data.get(key)) if isinstance(one.get("name"), str)]
    if not found:
        raise UsageError("it has no packages", where=document.where, next="name the lock that the tool wrote")
    return found


def _pin(held: Mapping[str, Any], marker: str, line: Line, sitting: Sitting) -> None:
    """Add one package of a lock by its version, or by where it comes from."""
    extra = f" ; {marker}" if marker else ""
    version = held.get("version")
    try:
        requirement = Requirement(f"{held['name']}{extra}")
        pinned = Requirement(f"{held['name']}=={version}{extra}") if isinstance(version, str) else requirement
    except InvalidRequirement as error:
        sitting.harvest.left(line, f"it cannot be read: {error}", "kpack add NAME")
        return
    source = held.get("source")
    if isinstance(source, dict) and {"git", "url", "path"} & source.keys():
        url, _, commit = str(source.get("git", "")).partition("#")
        plain = {**source, "git": url.partition("?")[0], "rev": commit} if commit else source
        located(requirement, plain, line, sitting)
    else:
        pip.entry(str(pinned), line, sitting, Arguments())


def from_uv(path: Path, harvest: Harvest) -> None:
    """Add what the projects of a uv.lock ask for themselves, at the versions that are locked.

    Raises:
        UsageError: the file is missing, is no TOML or has no packages.
        MachineError: it cannot be read.

    """
    document = Document(path, harvest)
    packages = _packages(document, "package")
    roots = [one for one in packages if {"virtual", "editable"} & _source(one).keys()]
    wanted: dict[str, str] = {}
    for root in roots:
        for need in _tables(root.get("dependencies")):
            if isinstance(need.get("name"), str):
                wanted[need["name"]] = str(need.get("marker", ""))
    for one in packages:
        line = document.line(f'name = "{one["name"]}"')
        if one in roots:
            harvest.understood(line, "", "the project itself: kpack add ./FOLDER, if it is to travel, too")
        elif roots and one["name"] not in wanted:
            harvest.understood(line, "", f"{one['name']} {_FOR_OTHERS}")
        else:
            _pin(one, wanted.get(one["name"], ""), line, document.sitting)


def _source(held: Mapping[str, Any]) -> dict[str, Any]:
    source = held.get("source")
    return source if isinstance(source, dict) else {}


def from_poetry(path: Path, harvest: Harvest) -> None:
    """Add the packages of a poetry.lock that no other of them asks for.

    Raises:
        UsageError: the file is missing, is no TOML or has no packages.
        MachineError: it cannot be read.

    """
    document = Document(path, harvest)
    packages = _packages(document, "package")
    needed = {name.lower() for one in packages for name in _table(one.get("dependencies"))}
    for one in packages:
        line = document.line(f'name = "{one["name"]}"')
        groups = one.get("groups") or [one.get("category", "main")]
        source = _source(one)
        if "main" not in groups or one.get("optional") is True:
            harvest.left(
                line, f"{one['name']} is of another group, or optional", f"kpack add {one['name']}, if it is needed"
            )
        elif one["name"].lower() in needed:
            harvest.understood(line, "", f"{one['name']} {_FOR_OTHERS}")
        elif source.get("type") == "git":
            git = {"git": source.get("url"), "rev": source.get("resolved_reference")}
            located(Requirement(one["name"]), git, line, document.sitting)
        else:
            _pin({"name": one["name"], "version": one.get("version")}, "", line, document.sitting)


def _tables(value: object) -> list[dict[str, Any]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _table(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def from_pylock(path: Path, harvest: Harvest) -> None:
    """Add the packages of a PEP 751 lock: those that no other of them asks for, where it says who asks.

    Raises:
        UsageError: the file is missing, is no TOML, or is a lock of kpack's own.
        MachineError: it cannot be read.

    """
    document = Document(path, harvest)
    if document.table("tool", "kpack"):
        raise UsageError(
            "it is a lock that kpack wrote", where=document.where, next="take the kaggle-env.toml that it was made from"
        )
    packages = _packages(document, "packages")
    needed = {need.get("name") for one in packages for need in _tables(one.get("dependencies"))}
    for one in packages:
        line = document.line(f'"{one["name"]}"')
        marker = str(one.get("marker", ""))
        vcs, archive, folder = (_table(one.get(key)) for key in ("vcs", "archive", "directory"))
        if one["name"] in needed:
            harvest.understood(line, "", f"{one['name']} {_FOR_OTHERS}")
        elif vcs.get("url"):
            git = {"git": vcs["url"], "rev": vcs.get("commit-id"), "subdirectory": vcs.get("subdirectory")}
            located(Requirement(one["name"]), git, line, document.sitting)
        elif archive.get("url") or folder.get("path"):
            located(
                Requirement(one["name"]),
                {"url": archive.get("url"), "path": folder.get("path")},
                line,
                document.sitting,
            )
        else:
            _pin({"name": one["name"], "version": one.get("version")}, marker, line, document.sitting)


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
    default = _table(_table(held).get("default"))
    rows = text.splitlines()
    sitting = Sitting(harvest, path.parent)
    harvest.code[where] = set()
    places = {row.strip().partition(":")[0].strip('"'): number for number, row in enumerate(rows, start=1)}
    for name, one in default.items():
        at = places.get(name, 1)
        harvest.code[where].add((0, at))
        line = Line(Lines(where, 0, at, at), name)
        table = _table(one)
        if table.get("git"):
            located(Requirement(name), table, line, sitting)
        else:
            pinned = f"{name}{table.get('version', '')}" + (f" ; {table['markers']}" if table.get("markers") else "")
            pip.entry(pinned, line, sitting, Arguments())
