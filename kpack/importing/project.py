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

_DEEPEST = 20
"""Dependency groups that include each other, at most."""


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
    project = document.table("project")
    sources = document.table("tool", "uv", "sources")
    for entry in texts(project.get("dependencies")):
        _dependency(entry, document, sources)
    offered = {
        canonicalize_name(name): held for name, held in document.table("project", "optional-dependencies").items()
    }
    for extra in extras:
        if canonicalize_name(extra) not in offered:
            raise _none_such("extra", extra, offered, document.where)
        for entry in texts(offered[canonicalize_name(extra)]):
            _dependency(entry, document, sources)
    named = {canonicalize_name(name): held for name, held in document.table("dependency-groups").items()}
    for group in groups:
        if canonicalize_name(group) not in named:
            raise _none_such("group", group, named, document.where)
        _group(canonicalize_name(group), named, document, sources, 0)
    _poetry(document)
    for name in sorted(offered.keys() - set(map(canonicalize_name, extras))):
        harvest.left(
            document.line(name), f"the extra {name} was not asked for", f"kpack init --from {path.name} --extra {name}"
        )
    for name in sorted(named.keys() - set(map(canonicalize_name, groups))):
        harvest.left(
            document.line(name), f"the group {name} was not asked for", f"kpack init --from {path.name} --group {name}"
        )


def _none_such(kind: str, name: str, known: Mapping[Any, object], where: str) -> UsageError:
    has = f"it has {', '.join(sorted(known))}" if known else f"it has no {kind}s"
    return UsageError(f"there is no {kind} {quoted(name)}", where=where, next=has)


def _dependency(entry: str, document: Document, sources: Mapping[str, Any]) -> None:
    """Take one requirement over, from where uv's own table says that it comes."""
    line = document.line(entry, entry)
    try:
        requirement = Requirement(entry)
    except InvalidRequirement:
        pip.entry(entry, line, document.sitting, Arguments())
        return
    source = next(
        (held for name, held in sources.items() if canonicalize_name(name) == canonicalize_name(requirement.name)), None
    )
    if not isinstance(source, dict):
        pip.entry(entry, line, document.sitting, Arguments())
        return
    located(requirement, source, line, document.sitting)


def located(requirement: Requirement, source: Mapping[str, Any], line: Line, sitting: Sitting) -> None:
    """Add a requirement that comes from git, a URL or a path (the keys of uv, Poetry and Pipenv)."""
    extras = f"[{','.join(sorted(requirement.extras))}]" if requirement.extras else ""
    marker = f" ; {requirement.marker}" if requirement.marker else ""
    url = source.get("git") or source.get("url") or source.get("file")
    if isinstance(source.get("git"), str):
        revision = next(
            (source[key] for key in ("rev", "tag", "branch", "ref") if isinstance(source.get(key), str)), ""
        )
        inner = source.get("subdirectory")
        prefix = "" if str(url).startswith("git+") else "git+"
        whole = f"{prefix}{url}" + (f"@{revision}" if revision else "") + (f"#subdirectory={inner}" if inner else "")
        sitting.harvest.add(f"{requirement.name}{extras} @ {whole}{marker}", line)
    elif isinstance(url, str) and "://" in url:
        sitting.harvest.add(f"{requirement.name}{extras} @ {url}{marker}", line)
    elif isinstance(source.get("path"), str):
        path = source["path"]
        pip.entry(path if path.startswith((".", "/")) else f"./{path}", line, sitting, Arguments())
    else:
        if "index" in source:
            write = "declare its index in [[indexes]], with this package"
            sitting.harvest.left(line, f"{requirement.name} comes from the index {source['index']!r}", write)
        sitting.harvest.add(str(requirement), line)


def _group(name: str, named: Mapping[Any, Any], document: Document, sources: Mapping[str, Any], depth: int) -> None:
    held = named.get(name)
    for entry in held if isinstance(held, list) and depth < _DEEPEST else ():
        if isinstance(entry, str):
            _dependency(entry, document, sources)
        elif isinstance(entry, dict) and isinstance(entry.get("include-group"), str):
            _group(canonicalize_name(entry["include-group"]), named, document, sources, depth + 1)


def _poetry(document: Document) -> None:
    for name, held in document.table("tool", "poetry", "dependencies").items():
        if name.lower() != "python":
            _version(name, held, document)
    for group in document.table("tool", "poetry", "group"):
        document.harvest.left(
            document.line(f"group.{group}"), f"Poetry's group {group} is not taken", "kpack add its packages by hand"
        )


def _version(name: str, held: object, document: Document) -> None:
    """Take one row of Poetry's or Pipenv's tables over."""
    table = held if isinstance(held, dict) else {"version": held}
    line = document.line(name)
    listed = texts(table.get("extras"))
    extras = f"[{','.join(listed)}]" if listed else ""
    marker = f" ; {table['markers']}" if isinstance(table.get("markers"), str) else ""
    version = table.get("version")
    specifier = "" if version in ("*", None) else _specifier(str(version))
    try:
        requirement = Requirement(f"{name}{extras}{specifier}{marker}")
    except InvalidRequirement:
        write = f'kpack add "{name}…" with the range as pip takes it'
        document.harvest.left(line, f"{quoted(str(version))} is no range of versions of PEP 440", write)
        return
    if table.get("optional") is True:
        document.harvest.left(line, f"{name} is optional", f"kpack add {quoted(str(requirement))}")
        return
    located(requirement, table, line, document.sitting)


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
    for name, held in document.table("packages").items():
        _version(name, held, document)
    for name in document.table("dev-packages"):
        harvest.left(
            document.line(name),
            "of [dev-packages]: for work on the project",
            f"kpack add {name}, if the notebook needs it",
        )
    version = document.table("requires").get("python_version")
    harvest.python = version if isinstance(version, str) else harvest.python
