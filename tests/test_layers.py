"""What each room may lean on: one table, lowest room first. Nothing reaches upwards, nothing goes round in circles."""

from __future__ import annotations

import ast
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "kpack"

ROOMS = {
    "": "library",  # kpack/__init__.py, when one of its steps is used
    "errors": "",
    "streams": "errors",
    "licenses": "",
    "markers": "",
    "syntax": "",
    "restore": "",  # the engine: it travels, and imports nothing else of kpack
    "bootstrap": "",
    "urls": "errors",
    "git": "",
    "hubs": "errors urls",
    "claims": "",
    "places": "",
    "positioned": "",
    "tether": "",
    "files": "claims errors",
    "hosts": "errors files urls",
    "cache": "claims errors files",
    "environment": "errors files hubs licenses markers places urls",
    "fetch": "claims errors files hosts urls",
    "base": "errors files markers",
    "native": "base fetch restore",
    "target": "errors",
    "checkpoints": "claims errors fetch files hosts hubs tether urls",
    "resolve": "base errors files git hosts licenses markers restore syntax target urls",
    "debian": "base environment errors files native restore tether urls",
    "lock": "checkpoints debian environment errors files hubs licenses resolve target urls",
    "source": "errors fetch files git markers native resolve restore syntax tether urls",
    "pack": "checkpoints errors files lock native positioned restore",
    "lint": "errors fetch files lock native pack resolve source",
    "inventory": "errors licenses lock pack",
    "audit": "errors files tether urls",
    "importing": "base environment errors files syntax urls",
    "recording": "cache environment errors files hubs importing tether urls",
    "drift": "markers restore",
    "restoring": "errors pack",
    "shortcut": "restoring",
    "publish": "environment errors files pack",
    "ledger": "files pack",
    "standing": "errors publish tether",
    "project": "base checkpoints environment errors lock source",
    "locking": "checkpoints debian environment errors files lint lock native pack resolve source target",
    "building": "checkpoints debian errors fetch lock pack source target",
    "notebook": "base environment errors files lock pack publish urls",
    "beside": "errors files notebook pack",
    "page": "inventory pack",
    "rehearse": "errors files notebook pack publish restore tether",
    "status": "errors ledger lock pack standing",
    "library": "beside building cache checkpoints errors fetch locking pack project restore restoring",
    "cli": """
        audit
        base
        beside
        building
        checkpoints
        cache
        claims
        drift
        environment
        errors
        fetch
        files
        importing
        inventory
        ledger
        lock
        locking
        native
        notebook
        pack
        page
        places
        project
        publish
        recording
        rehearse
        resolve
        restore
        restoring
        shortcut
        status
        streams
        urls
    """,
    "__main__": "cli restoring shortcut streams",
}
"""Room (a module or package of ``kpack``): the rooms that it may import when it runs, at its top or in a function.

Only for the eyes of the type checker (``if TYPE_CHECKING``) a room may name any room that stands above it here.
Each may read kpack's own name and version.
"""


class Import(NamedTuple):
    """One import of something of kpack's."""

    by: str
    """The module that imports."""
    module: str
    """What it imports."""
    line: int
    typing: bool
    """Whether only the type checker sees it."""

    def __str__(self) -> str:
        return f"{self.by}, line {self.line}: {self.module}"


def modules() -> dict[str, Path]:
    """Return every module's name and file."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


MODULES = modules()


def room(module: str) -> str:
    return f"{module}.".split(".")[1]


def typing_only(tree: ast.AST) -> set[ast.AST]:
    """Return all nodes that stand in the body of an ``if TYPE_CHECKING``."""
    guards = (node for node in ast.walk(tree) if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING")
    return {inner for guard in guards for statement in guard.body for inner in ast.walk(statement)}


def imports(module: str, path: Path) -> Iterator[Import]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    hidden = typing_only(tree)
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    for node in ast.walk(tree):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            parents = package.split(".")
            above = parents[: len(parents) - node.level + 1] if node.level else []
            start = ".".join([*above, *([node.module] if node.module else [])])
            names = [f"{start}.{alias.name}" for alias in node.names]
        for name in names:
            if name.partition(".")[0] == "kpack":
                known = name if name in MODULES else name.rpartition(".")[0]
                yield Import(module, known or "kpack", getattr(node, "lineno", 0), node in hidden)


ALL = [found for module, path in MODULES.items() for found in imports(module, path)]


def test_every_room_is_in_the_table_and_every_row_is_a_room() -> None:
    assert {room(module) for module in MODULES} == set(ROOMS)


def test_the_table_itself_has_no_circle() -> None:
    names = list(ROOMS)
    for name, allowed in list(ROOMS.items())[1:]:
        for other in allowed.split():
            assert names.index(other) < names.index(name), f"{name} leans on {other}, which stands below it"


def test_a_room_imports_only_what_its_row_says() -> None:
    wrong = [
        str(one)
        for one in ALL
        if not one.typing
        and one.module != "kpack"
        and room(one.module) not in {room(one.by), *ROOMS.get(room(one.by), "").split()}
    ]
    assert not wrong


def test_types_come_from_rooms_above_in_the_table() -> None:
    names = list(ROOMS)
    wrong = [
        str(one)
        for one in ALL
        if one.typing and room(one.by) and names.index(room(one.module)) > names.index(room(one.by))
    ]
    assert not wrong


def test_what_a_row_allows_is_used() -> None:
    used = {(room(one.by), room(one.module)) for one in ALL if not one.typing}
    spare = [
        f"{name} may import {other}"
        for name, row in ROOMS.items()
        for other in row.split()
        if (name, other) not in used
    ]
    assert not spare


def test_no_module_imports_itself_by_way_of_others() -> None:
    graph: dict[str, set[str]] = {module: set() for module in MODULES}
    for one in ALL:
        # kpack/__init__.py imports the library when somebody outside uses it; a package's own modules are its parts.
        if not one.typing and one.module not in ("kpack", one.by) and one.by != "kpack":
            graph[one.by].add(one.module)
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" > ".join(error.args[1]))


def test_the_imports_that_stand_in_functions_are_seen() -> None:
    assert any(one.by == "kpack" and one.module == "kpack.library" and not one.typing for one in ALL)
    assert any(one.by == "kpack" and one.module == "kpack.library" and one.typing for one in ALL)
    assert any(one.by == "kpack.restore.main" and one.module == "kpack.restore.engine" for one in ALL)


def test_no_class_has_the_name_of_another() -> None:
    """Two rooms that speak of an ``Answer`` each are read as one."""
    places: dict[str, list[str]] = {}
    for module, path in MODULES.items():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places.setdefault(node.name, []).append(module)
    assert {name: found for name, found in places.items() if len(found) > 1} == {}
