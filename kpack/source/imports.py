"""What of an interpreter's packages the build of a project looks at, as far as its files tell."""

from __future__ import annotations

import ast
import warnings
from typing import TYPE_CHECKING

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import NormalizedName, canonicalize_name

from kpack.resolve.build_system import build_system

if TYPE_CHECKING:
    from pathlib import Path

TOOLS = frozenset({"cmake", "ninja", "packaging", "pip", "setuptools", "wheel"})
"""What a build runs, but compiles nothing against."""


def of(project: Path, *, name: str) -> frozenset[NormalizedName]:
    """Return the names that its build requirements and the imports of its setup.py tell, tools left out.

    Raises:
        UsageError: its pyproject.toml cannot be read.

    """
    found = set()
    for line in build_system(project, name=name).requires:
        try:
            found.add(canonicalize_name(Requirement(line).name))
        except InvalidRequirement:
            continue  # nothing is installed by it
    setup = project / "setup.py"
    if setup.is_file():
        found |= _imported(setup.read_bytes())
    return frozenset(found - TOOLS)


def _imported(code: bytes) -> set[NormalizedName]:
    """Return the top-level modules that a file imports anywhere; their distributions mostly bear the same name."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Python 3.12 complains of a "\d" to whoever parses it
            nodes = list(ast.walk(ast.parse(code)))
    except (SyntaxError, ValueError):
        return set()  # the build says what is wrong with it
    modules = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    modules += [node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module and not node.level]
    return {canonicalize_name(module.partition(".")[0]) for module in modules}
