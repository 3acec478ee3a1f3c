"""The ``[build-system]`` table of a project (PEP 518), with its defaults."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kpack.errors import UsageError
from kpack.files import OddFileError, read_bounded

if TYPE_CHECKING:
    from pathlib import Path

LARGEST = 1 << 20
"""Bytes of a pyproject.toml, at most."""

PREBUILT = "give the URL or path of a prebuilt wheel of it in packages"
OTHER = f"take another version of it, or {PREBUILT}"
"""What to do about a source that cannot be built, whoever finds it out."""


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
        text = read_bounded(path, LARGEST).decode("utf-8") if path.exists() else ""
        table: Any = tomllib.loads(text).get("build-system")
    except (ValueError, RecursionError, OddFileError) as error:  # no TOML, no UTF-8, a number of 5,000 digits
        raise UsageError(f"its pyproject.toml cannot be read: {error}", where=name) from error
    if table is None:
        return BuildSystem(
            requires=("setuptools>=40.8.0",), backend="setuptools.build_meta:__legacy__", backend_path=()
        )
    if not isinstance(table, dict):
        raise _invalid(name)
    requires: Any = table.get("requires")
    backend = table.get("build-backend", "setuptools.build_meta:__legacy__")
    paths = table.get("backend-path", [])
    if not (_texts(requires) and isinstance(backend, str) and _texts(paths)):
        raise _invalid(name)
    return BuildSystem(requires=tuple(requires), backend=backend, backend_path=tuple(paths))


def _texts(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _invalid(name: str) -> UsageError:
    return UsageError(
        "the [build-system] of its pyproject.toml is not valid: it needs a list of texts as requires",
        where=name,
        next=OTHER,
    )
