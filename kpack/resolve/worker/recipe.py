"""What the text of an sdist says: what it requires, and whether a build can be had here. None of its code runs.

Words that are tried must not build: naming a package in allow-source is how a person allows its code. The texts are
PKG-INFO (core metadata), ``requires.txt`` of setuptools' egg-info, pyproject.toml (PEP 518, 621) and setup.py, which is
read as a syntax tree for what it imports.
"""

from __future__ import annotations

import ast
import contextlib
import platform
import sys
import tarfile
import tomllib
import zipfile
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING, Any

from pip._vendor.packaging.requirements import InvalidRequirement, Requirement
from pip._vendor.packaging.utils import canonicalize_name

from kpack.resolve.worker.requirements import Metadata
from kpack.syntax import parsed

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from kpack.resolve.wire import Question
    from kpack.resolve.worker.provided import ProvidedDistributions

LIMIT = 1 << 20
"""Bytes of a text that are read."""

TEXTS = ("PKG-INFO", "pyproject.toml", "setup.py")
"""At the top of an sdist."""

OF_SETUPTOOLS = frozenset({"setuptools", "pkg_resources", "distutils", "wheel"})
"""Modules that an isolated build always has."""

COMPILERS = frozenset({
    "cffi", "cmake", "cython", "maturin", "meson-python", "mypy", "nanobind", "ninja", "pybind11", "scikit-build",
    "scikit-build-core", "setuptools-rust",
})  # fmt: skip
"""Build requirements that are there to compile."""

BROUGHT = {"oldest-supported-numpy": "numpy"}
"""Build requirements that are there to bring another one."""

EXTENSIONS = frozenset({"CMakeExtension", "CUDAExtension", "CppExtension", "Extension", "RustExtension", "cythonize"})
"""What setup.py calls to have something compiled."""


@dataclass(frozen=True)
class Recipe:
    """The texts of one sdist."""

    texts: Mapping[str, str]
    """By name below its top folder."""
    modules: frozenset[str] = frozenset()
    """Names of the folders and modules at its top: setup.py may import them."""
    build: dict[str, Any] = field(default_factory=dict)
    project: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, archived: IO[bytes]) -> Recipe:
        """Read an sdist; raises what the standard library's readers of archives raise."""
        texts: dict[str, str] = {}
        tops: set[str] = set()
        for name, read in _members(archived):
            parts = name.split("/")[1:]
            if not parts:
                continue
            tops.add(parts[0].removesuffix(".py"))
            of_egg = parts[-1] == "requires.txt" and parts[-2:-1] and parts[-2].endswith(".egg-info")
            if of_egg or (len(parts) == 1 and parts[0] in TEXTS):
                texts.setdefault(parts[-1], read().decode("utf-8", "replace"))
        tables: dict[str, Any] = {}
        with contextlib.suppress(ValueError, RecursionError):  # no TOML, or what the reader gives up on
            tables = tomllib.loads(texts.get("pyproject.toml", ""))
        build, project = tables.get("build-system"), tables.get("project")
        return cls(
            texts,
            frozenset(tops),
            build if isinstance(build, dict) else {},
            project if isinstance(project, dict) else {},
        )

    def metadata(self, name: str, version: str) -> Metadata:
        """Return what it requires as far as its texts say; a build may say otherwise."""
        headers = Metadata.parse(self.texts.get("PKG-INFO", "").encode())
        requires, extras = list(headers.requires), list(headers.extras)
        if not requires and isinstance(self.project.get("dependencies"), list):
            requires = [str(line) for line in self.project["dependencies"]]
        elif not requires:
            requires = list(_of_egg(self.texts.get("requires.txt", "")))
        return Metadata(name, version, requires, extras, headers.requires_python, headers.license)

    @property
    def telling(self) -> bool:
        """Whether its texts say what it requires, be it nothing; without them only a build knows."""
        return (
            "requires.txt" in self.texts
            or "dependencies" in self.project
            or "Requires-Dist:" in self.texts.get("PKG-INFO", "")
        )

    @property
    def is_project(self) -> bool:
        """Whether there is anything that could build it."""
        return "pyproject.toml" in self.texts or "setup.py" in self.texts

    def hindrance(self, request: Question, kernel: ProvidedDistributions) -> str:
        """Return why a build for the target cannot be had here, in words that follow "name version"; or nothing."""
        if not self.is_project:
            return "has an sdist that is no Python project: neither pyproject.toml nor setup.py is in it"
        tree = self._setup()
        declared = {canonicalize_name(name) for name in map(_name, self._build_requires()) if name}
        declared |= {BROUGHT[name] for name in declared & BROUGHT.keys()}
        local = sorted(name for name in declared if (has := kernel.version(name)) is not None and has.local)
        if local:
            return f"exists as an sdist only, whose build needs {local[0]}, which is in the image in a build of its own"
        missing = sorted(self._imports(tree) - {name.replace("-", "_") for name in declared})
        if missing:
            return f"exists as an sdist only, whose setup.py imports {', '.join(missing)} without declaring it"
        calls = {_called(node) for node in ast.walk(tree) if isinstance(node, ast.Call)}
        if declared & COMPILERS or calls & EXTENSIONS:
            here = f"{sys.version_info[0]}.{sys.version_info[1]}"
            if (here, sys.platform, platform.machine()) != (
                request.python_version,
                request.environment["sys_platform"],
                request.environment["platform_machine"],
            ):
                return (
                    "exists as an sdist only, whose build compiles for the Python that runs it: "
                    f"{here} on {sys.platform} {platform.machine()} here, {request.python_version} in the target"
                )
        return ""

    def _build_requires(self) -> list[str]:
        lines = self.build.get("requires", [])
        return [str(line) for line in lines] if isinstance(lines, list) else []

    def _setup(self) -> ast.Module:
        return parsed(self.texts.get("setup.py", "")) or ast.Module([], [])

    def _imports(self, tree: ast.Module) -> set[str]:
        """Return the modules that setup.py cannot do without and that nothing gives it."""
        found = set()
        for node in tree.body:
            if isinstance(node, ast.Import):
                found |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                found.add(node.module.partition(".")[0])
        names = {name for name in found if name not in sys.stdlib_module_names and name not in OF_SETUPTOOLS}
        return {name.lower() for name in names - self.modules}


def _members(archived: IO[bytes]) -> Iterator[tuple[str, Any]]:
    """Yield (name, reader of up to `LIMIT` bytes) of the files of an archive."""
    zipped = archived.read(2) == b"PK"
    archived.seek(0)
    if zipped:
        with zipfile.ZipFile(archived) as archive:
            for entry in archive.infolist():
                yield entry.filename, lambda entry=entry: archive.open(entry).read(LIMIT)
        return
    with tarfile.open(fileobj=archived) as tar:
        for member in tar:
            if member.isfile():
                yield member.name.removeprefix("./"), lambda member=member: tar.extractfile(member).read(LIMIT)  # type: ignore[union-attr]


def _of_egg(text: str) -> Iterator[str]:
    """Yield the lines of setuptools' requires.txt as Requires-Dist has them."""
    conditions: list[str] = []
    for raw in text.splitlines():
        line = raw.strip()
        if line.startswith("["):
            extra, _, marker = line.strip("[]").partition(":")
            conditions = [f"({marker})"] * bool(marker) + [f'extra == "{extra}"'] * bool(extra)
        elif line:
            yield f"{line} ; {' and '.join(conditions)}" if conditions else line


def _name(line: str) -> str:
    with contextlib.suppress(InvalidRequirement):
        return str(Requirement(line).name)
    return ""


def _called(node: ast.Call) -> str:
    function = node.func
    return (
        function.id if isinstance(function, ast.Name) else function.attr if isinstance(function, ast.Attribute) else ""
    )
