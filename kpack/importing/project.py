"""Projects: pyproject.toml (PEP 621, PEP 735, uv's sources, Poetry's tables) and Pipfile."""

from __future__ import annotations

import re
import tomllib
from typing import TYPE_CHECKING, Any

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from kpack.environment.errors import quoted, shown_path
from kpack.errors import UsageError
from kpack.importing import pip
from kpack.importing.finding import Lines
from kpack.importing.harvest import Line
from kpack.importing.options import Arguments
from kpack.importing.sitting import Sitting
from kpack.importing.text import read

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from kpack.importing.harvest import Harvest

_MARKERS = (
    *("os_name", "sys_platform", "platform_machine", "platform_release", "platform_system", "platform_version"),
    *("platform_python_implementation", "python_version", "python_full_version", "implementation_name"),
)
"""Keys of a row of Pipenv's, whose value is the rest of a marker: ``sys_platform = "== 'win32'"``."""


class Document:
    """A TOML file whose entries are told by their lines."""

    def __init__(self, path: Path, harvest: Harvest) -> None:
        self.where = shown_path(path)
        text = read(path)
        try:
            self.data: dict[str, Any] = tomllib.loads(text)
        except (ValueError, RecursionError) as error:
            at = re.search(r"at line (\d+)", str(error))
            where = f"{self.where}:{at[1]}" if at else self.where
            raise UsageError(f"is not valid TOML: {error}", where=where, next="see toml.io for the syntax") from error
        self.rows = text.splitlines()
        self.sitting = Sitting(harvest, path.parent)
        self.harvest = harvest
        harvest.code[self.where] = set()
        self._from = 0

    def line(self, text: str, said: str = "") -> Line:
        """Return the next line that has ``text``; where there is none, the first of all."""
        rows = len(self.rows)
        order = [*range(self._from, rows), *range(min(self._from, rows))] if rows < _MOST_ROWS else range(rows)
        at = next((number for number in order if text in self.rows[number]), 0)
        self._from = at
        self.harvest.code[self.where].add((0, at + 1))
        return Line(Lines(self.where, 0, at + 1, at + 1), said or self.rows[at].strip() if self.rows else said)

    def table(self, *keys: str) -> dict[str, Any]:
        """Return the table at a path of keys; an empty one where there is none."""
        held: Any = self.data
        for key in keys:
            held = held.get(key) if isinstance(held, dict) else None
        return held if isinstance(held, dict) else {}


_MOST_ROWS = 20_000
"""Rows of a file within which lines are looked for from the last one on."""


def texts(value: object) -> list[str]:
    """Return the texts of a list; nothing of anything else."""
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []


def from_pyproject(path: Path, harvest: Harvest, *, extras: Sequence[str] = (), groups: Sequence[str] = ()) -> None:
    """Add the dependencies of a project, of some of its extras, and of some of its groups.

    Raises:
        UsageError: the file is missing, is no TOML, or has no such extra or group.
        MachineError: it cannot be read.

    """
    document = Document(path, harvest)
    project = _Project(document)
    listed = document.table("project").get("dependencies", [])
    for entry in texts(listed):
        project.dependency(entry)
    if not isinstance(listed, list) or len(texts(listed)) < len(listed):
        harvest.left(document.line("dependencies"), "it holds what is no text, and no requirement", "see PEP 621")
    poetry = _Poetry(document, extras)
    offered, named = {**project.extras, **poetry.extras}, {**project.groups, **poetry.groups}
    for extra in map(canonicalize_name, extras):
        if extra not in offered:
            raise none_such("extra", extra, offered, document.where)
        project.take_extra(extra)
    poetry.take_main()
    for group in map(canonicalize_name, groups):
        if group not in named:
            raise none_such("group", group, named, document.where)
        project.take_group(group)
        poetry.take_group(group)
    taken = {*project.taken, *map(canonicalize_name, extras)}
    for name in sorted(offered.keys() - taken):
        _not_asked("extra", name, document, path)
    for name in sorted(named.keys() - {*project.included, *map(canonicalize_name, groups)}):
        _not_asked("group", name, document, path)


def _not_asked(kind: str, name: str, document: Document, path: Path) -> None:
    write = f"kpack init --from {path.name} --{kind} {name}"
    document.harvest.left(document.line(name), f"the {kind} {name} was not asked for", write)


class _Project:
    """What PEP 621, PEP 735 and uv's tables say."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.name = canonicalize_name(str(document.table("project").get("name", "")))
        self.sources = document.table("tool", "uv", "sources")
        tables = (document.table("project", "optional-dependencies"), document.table("dependency-groups"))
        self.extras, self.groups = ({canonicalize_name(name): held for name, held in table.items()} for table in tables)
        self.indexes = named_urls(document.table("tool", "uv").get("index"))
        self.taken: set[str] = set()
        """Extras that were taken over."""
        self.included: set[str] = set()
        """Groups that were."""

    def dependency(self, entry: str) -> None:
        """Take one requirement over: an extra of the project itself, or from where uv's own table says."""
        line = self.document.line(entry, entry)
        try:
            requirement = Requirement(entry)
        except InvalidRequirement:
            pip.entry(entry, line, self.document.sitting, Arguments())
            return
        name = canonicalize_name(requirement.name)
        if name == self.name and requirement.url is None:
            self.document.harvest.understood(line, "", "of the project itself: each of its lines is told here")
            for extra in requirement.extras:
                self.take_extra(canonicalize_name(extra))
            return
        source = next((held for key, held in self.sources.items() if canonicalize_name(key) == name), None)
        if isinstance(source, list):
            why = f"{requirement.name} has several sources, by system or extra"
            self.document.harvest.left(line, why, "declare the one for Linux in [[indexes]], with this package")
        located(requirement, source if isinstance(source, dict) else {}, line, self.document.sitting, self.indexes)

    def take_extra(self, name: str) -> None:
        """Take an extra over, once; an extra may ask for others of the project."""
        if name not in self.taken:
            self.taken.add(name)
            for entry in texts(self.extras.get(canonicalize_name(name))):
                self.dependency(entry)

    def take_group(self, name: str) -> None:
        """Take a group over, once, and the groups that it includes."""
        held = self.groups.get(canonicalize_name(name))
        if name in self.included or not isinstance(held, list):
            return
        self.included.add(name)
        for entry in held:
            if isinstance(entry, str):
                self.dependency(entry)
            elif isinstance(entry, dict) and isinstance(entry.get("include-group"), str):
                self.take_group(canonicalize_name(entry["include-group"]))


class _Poetry:
    """What Poetry's own tables say."""

    def __init__(self, document: Document, extras: Sequence[str]) -> None:
        self.document = document
        self.indexes = named_urls(document.table("tool", "poetry").get("source"))
        self.extras = {
            canonicalize_name(name): texts(held) for name, held in document.table("tool", "poetry", "extras").items()
        }
        self.groups = {canonicalize_name(name): name for name in document.table("tool", "poetry", "group")}
        self.asked = {
            canonicalize_name(name) for extra in extras for name in self.extras.get(canonicalize_name(extra), ())
        }
        """Optional packages that an extra asks for."""

    def take_main(self) -> None:
        """Take the dependencies over."""
        self._rows("dependencies")

    def take_group(self, name: str) -> None:
        """Take a group over."""
        if name in self.groups:
            self._rows("group", self.groups[canonicalize_name(name)], "dependencies")

    def _rows(self, *keys: str) -> None:
        for name, held in self.document.table("tool", "poetry", *keys).items():
            if name.lower() != "python":
                _version(name, held, self.document, self.indexes, optional=canonicalize_name(name) not in self.asked)


def named_urls(value: object) -> dict[str, str]:
    """Return the URLs of tables that have a ``name`` and a ``url``: indexes of uv, Poetry and Pipenv."""
    tables = [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []
    return {str(one["name"]): one["url"] for one in tables if "name" in one and isinstance(one.get("url"), str)}


def none_such(kind: str, name: str, known: Mapping[Any, object], where: str) -> UsageError:
    """Return the error for an extra or a group that a file does not have."""
    has = f"it has {', '.join(sorted(known))}" if known else f"it has no {kind}s"
    return UsageError(f"there is no {kind} {quoted(name)}", where=where, next=has)


def located(
    requirement: Requirement, source: Mapping[str, Any], line: Line, sitting: Sitting, indexes: Mapping[str, str]
) -> None:
    """Add a requirement that comes from git, a URL, a path or one of ``indexes`` (the keys of uv, Poetry, Pipenv)."""
    extras = f"[{','.join(sorted(requirement.extras))}]" if requirement.extras else ""
    marker = f" ; {requirement.marker}" if requirement.marker else ""
    url = source.get("git") or source.get("url") or source.get("file")
    if isinstance(source.get("git"), str) and source["git"]:
        revision = next(
            (source[key] for key in ("rev", "tag", "branch", "ref") if isinstance(source.get(key), str)), ""
        )
        inner = source.get("subdirectory")
        prefix = "" if str(url).startswith("git+") else "git+"
        whole = f"{prefix}{url}" + (f"@{revision}" if revision else "") + (f"#subdirectory={inner}" if inner else "")
        sitting.harvest.add(f"{requirement.name}{extras} @ {whole}{marker}", line)
    elif isinstance(url, str) and "://" in url:
        sitting.harvest.add(f"{requirement.name}{extras} @ {url}{marker}", line)
    elif isinstance(source.get("path"), str) and source["path"]:
        path = source["path"]
        near = path if path.startswith((".", "/")) else f"./{path}"
        pip.entry(f"{near}{extras}{marker}", line, sitting, Arguments())
    elif given := next((key for key in ("git", "url", "file", "path") if source.get(key) is not None), ""):
        why = f"the {given} of {requirement.name} cannot be read: {quoted(str(source[given]))}"
        sitting.harvest.left(line, why, f'kpack add "{requirement.name} @ URL"')
    else:
        index = source.get("index") or source.get("source")
        if isinstance(index, str) and index in indexes:
            pip.index(indexes[index], [requirement.name], line, sitting)
        elif isinstance(index, str):
            write = "declare its index in [[indexes]], with this package"
            sitting.harvest.left(line, f"{requirement.name} comes from the index {index!r}", write)
        sitting.harvest.add(str(requirement), line)


def _version(name: str, held: object, document: Document, indexes: Mapping[str, str], *, optional: bool = True) -> None:
    """Take one row of Poetry's or Pipenv's tables over; an ``optional`` one is left where the row says so."""
    table = held if isinstance(held, dict) else {"version": held}
    line = document.line(name)
    listed = texts(table.get("extras"))
    extras = f"[{','.join(listed)}]" if listed else ""
    markers = [table["markers"]] if isinstance(table.get("markers"), str) else []
    markers += [f"{key} {table[key]}" for key in _MARKERS if isinstance(table.get(key), str)]
    marker = f" ; {' and '.join(f'({one})' for one in markers)}" if markers else ""
    version = table.get("version")
    specifier = "" if version in ("*", None) else _specifier(str(version))
    try:
        requirement = Requirement(f"{name}{extras}{specifier}{marker}")
    except InvalidRequirement:
        write = f'kpack add "{name}…" with the range as pip takes it'
        document.harvest.left(line, f"{quoted(str(version))} is no range of versions of PEP 440", write)
        return
    if optional and table.get("optional") is True:
        document.harvest.left(line, f"{name} is optional", f"kpack add {quoted(str(requirement))}")
        return
    located(requirement, table, line, document.sitting, indexes)


def _specifier(version: str) -> str:
    """Return Poetry's ``^1.2`` and ``~1.2`` in the words of PEP 440; all else as it is."""
    match = re.fullmatch(r"([\^~])\s*(\d{1,9})(?:\.(\d{1,9}))?(?:\.(\d{1,9}))?", version.strip())
    if match is None:
        return f"=={version}" if re.fullmatch(r"\d[\w.+-]*(?:\.\*)?", version.strip()) else version
    numbers = [int(part) for part in match.groups()[1:] if part is not None]
    keep = next((place for place, number in enumerate(numbers) if number), len(numbers) - 1)
    if match[1] == "~":
        keep = min(1, len(numbers) - 1)
    above = [*numbers[:keep], numbers[keep] + 1]
    return f">={'.'.join(map(str, numbers))},<{'.'.join(map(str, above))}"


def from_pipfile(path: Path, harvest: Harvest) -> None:
    """Add the ``[packages]`` of a Pipfile.

    Raises:
        UsageError: the file is missing or is no TOML.
        MachineError: it cannot be read.

    """
    document = Document(path, harvest)
    indexes = named_urls(document.data.get("source"))
    for name, held in document.table("packages").items():
        _version(name, held, document, indexes)
    for name in document.table("dev-packages"):
        harvest.left(
            document.line(name),
            "of [dev-packages]: for work on the project",
            f"kpack add {name}, if the notebook needs it",
        )
    version = document.table("requires").get("python_version")
    harvest.python = version if isinstance(version, str) else harvest.python
