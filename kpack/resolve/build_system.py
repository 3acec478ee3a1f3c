"""The ``[build-system]`` table of a project (PEP 518), with its defaults."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kpack.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildSystem:
    """What builds a project."""

    requires: tuple[str, ...]
    backend: str
    backend_path: tuple[str, ...]


def build_system(project: Path, *, name: str) -> BuildSystem:
    """Read a project's build system.

    Raises:
        UsageError: its pyproject.toml is no TOML, or the table is not as the specification says.

    """
    path = project / "pyproject.toml"
    try:
        table: Any = tomllib.loads(path.read_text(encoding="utf-8")).get("build-system") if path.exists() else None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"its pyproject.toml cannot be read: {error}", where=name) from error
    if table is None:
        return BuildSystem(
            requires=("setuptools>=40.8.0",), backend="setuptools.build_meta:__legacy__", backend_path=()
        )
    requires, backend = table.get("requires"), table.get("build-backend", "setuptools.build_meta:__legacy__")
    paths = table.get("backend-path", [])
    if not (isinstance(requires, list) and isinstance(backend, str) and isinstance(paths, list)):
        raise UsageError("the [build-system] of its pyproject.toml is not valid", where=name)
    return BuildSystem(requires=tuple(requires), backend=backend, backend_path=tuple(paths))
