"""The modules that a packed wheel brings: what a rehearsal imports."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from kpack.pack import wheel_landings
from kpack.restore import rules

if TYPE_CHECKING:
    from collections.abc import Container, Iterable

    from kpack.pack import ReadPack
    from kpack.restore.manifest import PackTarget

_STRAY = frozenset({
    "benchmark", "benchmarks", "bin", "demo", "demos", "doc", "docs", "example", "examples", "notebooks", "sample",
    "samples", "script", "scripts", "test", "tests", "tools",
})  # fmt: skip
"""Folders that wheels hold by mistake beside their package."""

_PROGRAMS = frozenset({"__main__", "conftest", "noxfile", "setup", "tasks"})
"""Files that are run, not imported."""

_IMPORTED = (rules.LIB, rules.PURELIB, rules.PLATLIB)
_LIBRARY = ".so"
_PYTHON = ".py"


class Module(NamedTuple):
    """A module to import, and the packed distribution that brings it."""

    name: str
    distribution: str


def modules_of(pack: ReadPack, target: PackTarget, skip: Container[str] = ()) -> tuple[Module, ...]:
    """Return what to import of the distributions of ``target``, in the order of the pack, but for ``skip``.

    Raises:
        IntegrityError: a wheel's directory is not what the manifest says.

    """
    names = {
        file: tuple(item.rest for item in landings if item.door in _IMPORTED) for file, landings in wheel_landings(pack)
    }
    found: dict[str, Module] = {}
    for item in target.distributions:
        for name in importable(names[item.wheel.removeprefix("wheels/")]):
            found.setdefault(name, Module(name, item.name))
    return tuple(module for module in found.values() if module.name not in skip)


def importable(names: Iterable[str]) -> tuple[str, ...]:
    """Return the outermost packages and modules that are importable of the files in site-packages, sorted.

    A folder without ``__init__`` is a namespace (PEP 420): what lies in it is looked for further down.
    """
    tree: dict[str, set[str]] = {"": set()}
    for name in names:
        parts = name.split("/")
        if not all(part.isidentifier() for part in parts[:-1]):
            continue
        module = _module(parts[-1])
        if module is None:
            continue
        for depth in range(len(parts) - 1):
            tree.setdefault(".".join(parts[:depth]), set()).add(parts[depth] + ".")
        tree.setdefault(".".join(parts[:-1]), set()).add(module)
    found = sorted(_outermost(tree, ""))
    proper = [name for name in found if name.partition(".")[0] not in _STRAY | _PROGRAMS]
    return tuple(proper or [name for name in found if name not in _PROGRAMS])


def _module(filename: str) -> str | None:
    stem, dot, rest = filename.partition(".")
    tagged = rest != "so" or not stem.startswith("lib")
    if dot and stem.isidentifier() and (f".{rest}" == _PYTHON or (f".{rest}".endswith(_LIBRARY) and tagged)):
        return stem
    return None


def _outermost(tree: dict[str, set[str]], folder: str) -> list[str]:
    found = []
    for item in tree[folder]:
        name = f"{folder}.{item}".strip(".")
        if not item.endswith(".") or "__init__" in tree.get(name, ()):
            found.append(name)
        elif item.removesuffix(".") not in tree[folder]:
            found += _outermost(tree, name)
    return found
