"""environment.yml of conda: its pip part is understood, its own packages are told by the name the index may have."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from packaging.utils import NormalizedName, canonicalize_name

from kpack.environment.errors import quoted, shown_path
from kpack.errors import UsageError
from kpack.importing import requirements
from kpack.importing.finding import Lines
from kpack.importing.harvest import Line
from kpack.importing.sitting import Sitting
from kpack.importing.text import read

if TYPE_CHECKING:
    from pathlib import Path

    from kpack.importing.harvest import Harvest

_SPEC = re.compile(r"(?:[\w./-]+::)?([A-Za-z0-9_.-]+?)\s*(?:(==?|[<>!~]=?)\s*([^=\s]+)(?:=\S+)?)?")

_FILE = re.compile(r"(?:.*/)?([A-Za-z0-9_.-]+?)-[^-/]+-[^-/]+\.(?:tar\.bz2|conda)")
"""A package of conda's as a file: name, version, build."""

_ELSEWHERE = {
    "gdcm": "python-gdcm",
    "matplotlib-base": "matplotlib",
    "msgpack-python": "msgpack",
    "opencv": "opencv-python",
    "py-opencv": "opencv-python",
    "py-xgboost": "xgboost",
    "pytables": "tables",
    "pytorch": "torch",
    "ruamel_yaml": "ruamel.yaml",
}
"""Packages of conda's that the index knows by another name."""


def from_environment(path: Path, harvest: Harvest) -> None:
    """Add the pip part of an environment.yml; leave conda's own packages to a person.

    Raises:
        UsageError: the file is missing, or is no environment of conda's.
        MachineError: it cannot be read.

    """
    import yaml

    where = shown_path(path)
    text = read(path)
    try:
        held = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506 - both are safe
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        mark = getattr(error, "problem_mark", None)
        place = f"{where}:{mark.line + 1}" if mark else where
        what = str(getattr(error, "problem", None) or error).splitlines()[0]
        raise UsageError(f"is not YAML: {what}", where=place, next="see yaml.org for the syntax") from error
    dependencies = held.get("dependencies") if isinstance(held, dict) else None
    if not isinstance(dependencies, list):
        raise UsageError("it has no dependencies", where=where, next="name an environment.yml of conda's")
    rows = text.splitlines()
    sitting = Sitting(harvest, path.parent)
    harvest.code[where] = set()
    start = 0
    for entry in dependencies:
        for word in [entry] if isinstance(entry, str) else entry.get("pip") or () if isinstance(entry, dict) else ():
            wanted = str(word)
            at = next((number for number in range(start, len(rows)) if wanted in rows[number]), start)
            start = at
            harvest.code[where].add((0, at + 1))
            line = Line(Lines(where, 0, at + 1, at + 1), wanted)
            if isinstance(entry, dict):
                requirements.install(wanted.split() if wanted.startswith("-") else [wanted], line, sitting)
            else:
                _own(wanted, line, harvest)


def on_the_index(spec: str) -> str:
    """Return the requirement that most likely is what a specification of conda's asks for."""
    file = _FILE.fullmatch(spec.strip())
    match = _SPEC.fullmatch(file[1] if file else spec.strip())
    conda, operator, version = match.groups() if match else (spec, "", "")
    name = _ELSEWHERE.get(conda.lower(), conda)
    if operator == "=":
        return f"{name}=={version.rstrip('.*')}.*"
    return f"{name}{operator or ''}{version or ''}"


def bare(requirement: str) -> NormalizedName | None:
    """Return the name of a requirement that any version satisfies, None for others."""
    return canonicalize_name(requirement) if re.fullmatch(r"[A-Za-z0-9._-]+", requirement) else None


def _own(spec: str, line: Line, harvest: Harvest) -> None:
    """Tell what a package of conda's may be called on the index."""
    match = _SPEC.fullmatch(spec.strip())
    name, _, version = match.groups() if match else (spec, "", "")
    if name == "python" and version:
        series = re.match(r"3\.[0-9]+", version)
        harvest.python = series[0] if series else harvest.python
        harvest.understood(line, "", f"Python {version}: compare it with the image's")
    elif name in {"pip", "python"}:
        harvest.understood(line, "", "every kernel has it")
    else:
        wanted = on_the_index(spec)
        why = "conda's names are not the index's, but most are the same"
        harvest.left(line, why, f"kpack add {quoted(wanted)}", bare(wanted))
