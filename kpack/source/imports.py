"""What of an interpreter's packages the build of a project looks at, as far as its files tell."""

from __future__ import annotations

import ast
import contextlib
from typing import TYPE_CHECKING

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import NormalizedName, canonicalize_name

from kpack.files import read_bounded
from kpack.resolve.build_system import LARGEST, build_system
from kpack.syntax import parsed

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
    with contextlib.suppress(OSError):  # there is none, or one that is larger than any
        found |= _imported(read_bounded(project / "setup.py", LARGEST))
    return frozenset(found - TOOLS)


def _imported(code: bytes) -> set[NormalizedName]:
    """Return the top-level modules that a file imports anywhere; their distributions mostly bear the same name."""
    tree = parsed(code)
    nodes = [] if tree is None else list(ast.walk(tree))  # the build says what is wrong with it
    modules = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    modules += [node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module and not node.level]
    return {canonicalize_name(module.partition(".")[0]) for module in modules}
