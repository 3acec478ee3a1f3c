"""What of a kaggle-env.toml can only be judged beside what it names: its bases and its local files."""

from __future__ import annotations

import difflib
import os.path
from itertools import islice
from typing import TYPE_CHECKING

from kpack.environment import errors, folders
from kpack.environment.errors import MOST, Mistake, quoted
from kpack.environment.keys import DOCUMENT
from kpack.environment.patterns import Names
from kpack.environment.read import read
from kpack.errors import UsageError
from kpack.places import lock_beside
from kpack.urls import file_path

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence
    from pathlib import Path

    from packaging.utils import NormalizedName

    from kpack.environment.model import Environment, Package

_ADVISED = 20
"""Names for which a similar one is looked for (each is compared with all names of the bases), and wheels of one folder
whose name is wrong that are told."""


def check_base_names(environment: Environment, known: Collection[NormalizedName]) -> None:
    """Refuse names that no base has, in the keys that speak of base packages (``replace``, ``allow-broken``, …).

    ``known`` are the names of all distributions of all bases. Without a base there is nothing to compare with.

    Raises:
        EnvironmentFileError: a name is in none of them.

    """
    if not environment.bases:
        return
    found: list[Mistake] = []
    bases = ", ".join(environment.bases)
    for row in DOCUMENT.rows:
        names: Sequence[NormalizedName] = getattr(environment, row.attribute) if row.kind.of_base else ()
        for number, name in enumerate(names):
            if name not in known:
                if len(found) == MOST:
                    _raise(found, environment)
                near = difflib.get_close_matches(name, known, 1, cutoff=0.75) if len(found) < _ADVISED else []
                advice = (
                    f"did you mean {quoted(near[0])}?" if near else "remove it: what the base lacks is packed anyway"
                )
                what = f"{quoted(name)} is not in the base {bases}"
                found.append(Mistake(key=(row.key, number), what=what, next=advice))
    _raise(found, environment)


def check_lock_name(environment: Environment) -> None:
    """Refuse a file whose lock would take the place of that of another file beside it.

    Raises:
        UsageError: ``a.b.toml`` and ``a-b.toml`` lie in one folder.

    """
    path, lock = environment.path, environment.lock_path.name
    for other in sorted(path.absolute().parent.glob("*.toml")):
        if other.name != path.name and lock_beside(other).name == lock:
            raise UsageError(
                f"{path.name} and {other.name} would share one lock, {lock}: what stands between its dots may have "
                "none (PEP 751), and each dot becomes a dash",
                where=str(path),
                next=f"rename one of the two, like {path.stem.replace('.', '_').replace('-', '_')}.toml",
            )


def check_local_files(environment: Environment) -> None:
    """Look at each local path (and ``file:`` URL) of ``packages`` and ``[[indexes]]``, before anything is resolved.

    Raises:
        EnvironmentFileError: a path of ``packages`` does not lead to a project's folder, a wheel or an sdist; one of
            an index not to a folder (or page) of wheels; a name is in two such folders.

    """
    found = []
    for number, entry in enumerate(environment.packages):
        path = _path(entry)
        if path is not None:
            problem = _problem(environment.path.parent / path, entry)
            if problem is not None:
                what, advice = problem
                found.append(Mistake(key=("packages", number), what=f"{quoted(entry.text)} {what}", next=advice))
    found += _index_problems(environment)
    _raise(found, environment)


def _index_problems(environment: Environment) -> Iterator[Mistake]:
    """Yield what is wrong with the folders of ``[[indexes]]``: those of wheels, or those of a Simple mirror."""
    folder = environment.path.parent
    owned = [index.owned(folder) for index in environment.indexes]
    matchers = [Names(names) for names in owned]
    for number, index in enumerate(environment.indexes):
        if not index.local:
            continue
        at = ("indexes", number, "url")
        path = index.path(folder)
        if not path.exists():
            advice = "a path is relative to the folder of this file; correct it, or bring the folder"
            yield Mistake(key=at, what=f"there is nothing at {quoted(str(path))}", next=advice)
        elif path.is_dir() and index.shape == "links":
            problems = ((wheel, folders.wheel_problem(wheel)) for wheel in folders.wheels_in(path))
            wrong = ((wheel, problem) for wheel, problem in problems if problem is not None)
            for wheel, (what, advice) in islice(wrong, _ADVISED):
                yield Mistake(key=at, what=f"{quoted(wheel.name)} {what}", next=advice)
            if not owned[number]:
                yield Mistake(key=at, what=f"no wheel and no sdist lies in {quoted(str(path))}", next="bring some")
        for name in () if index.packages else owned[number]:
            others = (other for other, names in enumerate(matchers) if other != number and names.find(name) is not None)
            if (other := next(others, None)) is not None:
                what = f"{quoted(name)} is in this folder, and belongs to indexes[{other}] as well"
                advice = "a name belongs to exactly one index: write packages = […] in each"
                yield Mistake(key=at, what=what, next=advice)


def _raise(found: Sequence[Mistake], environment: Environment) -> None:
    if found:
        raise errors.error(found, path=environment.path, text=read(environment.path))


def _path(entry: Package) -> str | None:
    """Return the local path of an entry, bare or as a file: URL."""
    url = entry.requirement.url if entry.requirement else None
    if url is None or not url.startswith("file:"):
        return entry.path
    return file_path(url)


def _problem(path: Path, entry: Package) -> tuple[str, str] | None:
    """Return what is wrong with the local path of ``entry`` and what to do; None when nothing is."""
    if not os.path.exists(path):  # noqa: PTH110 - False, too, for a name that no file can have
        return "is not there", "a path is relative to the folder of this file; correct it, or bring the file"
    if path.is_dir():
        if entry.hashes:
            return "is a folder, which has no SHA-256", "remove --hash: the lock records a digest of its files"
        if (path / "pyproject.toml").is_file() or (path / "setup.py").is_file():
            return None
        return "is no project: it has neither pyproject.toml nor setup.py", "name the folder that holds one of them"
    if not path.is_file():
        return "is no file", "name a project's folder, a .whl, .tar.gz or .zip"
    if path.suffix == ".whl":
        return folders.wheel_problem(path)
    if path.name.endswith((".tar.gz", ".zip")):
        return None
    return "is neither a folder, a wheel nor a source archive", "name a project's folder, a .whl, .tar.gz or .zip"
