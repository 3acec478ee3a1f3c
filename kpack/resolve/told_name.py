"""The name that a project's own texts give it; nothing of the project is run."""

from __future__ import annotations

import ast
import configparser
import tomllib
from typing import TYPE_CHECKING, Any

from packaging.metadata import parse_email
from packaging.utils import canonicalize_name

from kpack.files import read_bounded
from kpack.syntax import parsed

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from packaging.utils import NormalizedName

_LARGEST = 1 << 20
"""Bytes of a text that is looked at."""


def told_name(project: Path) -> NormalizedName | None:
    """Return the name of the project (or of the ``.dist-info``) in a folder, by the first text that gives one."""
    readers: dict[str, Callable[[str], object]] = {
        "pyproject.toml": _of_pyproject,
        "PKG-INFO": _of_headers,
        "METADATA": _of_headers,
        "setup.cfg": _of_setup_cfg,
        "setup.py": _of_setup_py,
    }
    for filename, reader in readers.items():
        try:
            found = reader(read_bounded(project / filename, _LARGEST).decode("utf-8"))
        except (OSError, ValueError, RecursionError, configparser.Error):
            continue  # what builds it says what is wrong with it
        if isinstance(found, str) and found:
            return canonicalize_name(found)
    return None


def _of_pyproject(text: str) -> object:
    read: Any = tomllib.loads(text)
    tables = (read.get("project"), read.get("tool", {}).get("poetry") if isinstance(read.get("tool"), dict) else None)
    return next((table["name"] for table in tables if isinstance(table, dict) and "name" in table), None)


def _of_headers(text: str) -> object:
    return parse_email(text)[0].get("name")


def _of_setup_cfg(text: str) -> object:
    read = configparser.RawConfigParser()
    read.read_string(text)
    return read.get("metadata", "name", fallback=None)


def _of_setup_py(text: str) -> object:
    """Return ``name`` of the call of setup(): a text, or a variable that is given one at the top of the file."""
    tree = parsed(text)
    if tree is None:
        return None
    given = {
        target.id: node.value
        for node in tree.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or ast.unparse(node.func).rpartition(".")[2] != "setup":
            continue
        for word in node.keywords:
            value = given.get(word.value.id) if isinstance(word.value, ast.Name) else word.value
            if word.arg == "name" and isinstance(value, ast.Constant):
                return value.value
    return None
