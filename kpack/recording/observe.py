"""Runs code once, in fresh places for caches, and notes what it asks for and writes."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import sys
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kpack import tether
from kpack.cache import Cache, default_root
from kpack.environment.errors import shown_path
from kpack.errors import CheckFailed, MachineError, UsageError
from kpack.files import sha256_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_CHILD = Path(__file__).parent / "child"
_PROGRAMS = ("wget", "curl", "git", "aria2c")
_MOVED = (
    *("HF_HOME", "HF_HUB_CACHE", "HF_XET_CACHE", "HF_DATASETS_CACHE", "HUGGINGFACE_HUB_CACHE", "TRANSFORMERS_CACHE"),
    *("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "TORCH_HOME", "KERAS_HOME", "NLTK_DATA", "XDG_CACHE_HOME"),
    *("XDG_DATA_HOME", "DATA_GYM_CACHE_DIR", "SENTENCE_TRANSFORMERS_HOME", "KAGGLEHUB_CACHE", "PYTHONPATH"),
)
"""Variables that would have a cache elsewhere than below the fresh home folder."""
TIKTOKEN = "tiktoken"
"""The folder of tiktoken's cache: it has none of its own below the home folder."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """One answer to a request."""

    method: str
    url: str
    status: int
    location: str | None
    """Where a redirect leads, as it was written."""
    secret: bool
    """Whether credentials were sent."""
    sha256: str | None = None
    """Of the body as it was sent; None when it was not read, or not to its end."""
    size: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """A program that was started to download something."""

    words: tuple[str, ...]
    folder: Path
    """Its working folder."""


@dataclass(slots=True, kw_only=True)
class Observation:
    """What a run did."""

    home: Path
    """The fresh home folder."""
    folder: Path
    """The working folder."""
    requests: list[Exchange] = field(default_factory=list)
    programs: list[Program] = field(default_factory=list)
    written: set[Path] = field(default_factory=set)
    """Files that were written and are there, regular ones."""
    skipped: tuple[str, ...] = ()
    """Magics that nothing could run."""
    endpoint: str = "https://huggingface.co"
    others: tuple[Path, ...] = ()
    """Folders of caches that the run, which has a home of its own, does not look into."""


@contextmanager
def observed(code: Path, *, python: str | None, folder: Path | None) -> Iterator[Observation]:
    """Run ``code`` (a notebook or script) in ``python`` (this interpreter by default) and yield what it did.

    Its working folder is ``folder``, or where the code lies; the files that it wrote below the fresh home folder are
    there until the block ends.

    Raises:
        UsageError: the code cannot be read.
        MachineError: the interpreter is not there.
        CheckFailed: the code failed.

    """
    work = (folder or code.parent).resolve()
    cache = Cache(default_root())
    # In the cache: what a killed run left there goes with the next one, and it may be gigabytes.
    with cache.temporary() as fresh:
        home = fresh / "home"
        home.mkdir()
        before = _listing(work)
        environ = _environment(fresh, home)
        result = _run(code.resolve(), python or sys.executable, fresh, work, environ)
        found = Observation(
            home=home,
            folder=work,
            skipped=tuple(result["skipped"]),
            endpoint=environ.get("HF_ENDPOINT", "https://huggingface.co").rstrip("/"),
            others=(cache.root.resolve(), (Path.home() / ".cache").resolve()),
        )
        _read(fresh / "log", found)
        found.written |= {path for path, stamp in _listing(work).items() if before.get(path) != stamp}
        found.written = {path for path in found.written if not path.is_relative_to(cache.root)}
        found.written |= set(_listing(home))
        yield found


def _run(code: Path, python: str, fresh: Path, work: Path, environ: Mapping[str, str]) -> dict[str, Any]:
    spec = fresh / "spec.json"
    spec.write_text(json.dumps({**_code(code), "result": str(fresh / "result")}), encoding="utf-8")
    program = shutil.which(python)
    if program is None:
        raise MachineError("there is no such interpreter", where=python, next="name the python of a venv or kernel")
    code_of_exit = tether.stream([program, str(_CHILD / "run.py"), str(spec)], cwd=work, env=environ)
    try:
        result: dict[str, Any] = json.loads((fresh / "result").read_bytes())
    except (OSError, ValueError):
        result = {"error": f"the process ended with exit code {code_of_exit}", "skipped": []}
    if result["error"]:
        raise CheckFailed(
            f"it failed, and nothing was written: {result['error']}",
            where=shown_path(code),
            next="mend it, or name the interpreter that has its packages (--python); the network must be on",
        )
    return result


def _code(code: Path) -> dict[str, Any]:
    if code.suffix != ".ipynb":
        if not code.is_file():
            raise UsageError(
                "is not a file" if code.exists() else "there is no such file",
                where=shown_path(code),
                next="name a notebook or a script",
            )
        return {"script": str(code)}
    from kpack.importing.cells import taken_apart
    from kpack.importing.notebook import code_cells

    cells = []
    for raw in code_cells(code):
        cell = taken_apart(raw)
        cells.append(
            {"raw": raw, "kind": cell.kind, "text": cell.text, "name": cell.name, "lines": [*map(list, cell.lines)]}
        )
    return {"cells": cells}


def _environment(fresh: Path, home: Path) -> dict[str, str]:
    """Return the variables of the run; what proves who the user is stays where it is, and is not in the log."""
    shims, site = fresh / "bin", fresh / "site"
    shims.mkdir()
    site.mkdir()
    log = str(fresh / "log")
    for name in _PROGRAMS:
        words = [sys.executable, "-IS", str(_CHILD / "shim.py"), log, str(shims), name]
        (shims / name).write_text(f'#!/bin/sh\nexec {shlex.join(words)} "$@"\n', encoding="utf-8")
        (shims / name).chmod(0o755)
    watch = (_CHILD / "watch.py").read_text(encoding="utf-8")
    head = (
        f"import sys\nexec(compile({watch!r}, 'kpack watch', 'exec'), {{'LOG': {log!r}, '__name__': 'kpack_watch'}})\n"
    )
    (site / "sitecustomize.py").write_text(head + _NEXT, encoding="utf-8")
    old = Path.home()
    environ = {key: value for key, value in os.environ.items() if key not in _MOVED}
    kept = {
        "HF_TOKEN_PATH": old / ".cache/huggingface/token",
        "NETRC": old / ".netrc",
        "KAGGLE_CONFIG_DIR": old / ".kaggle",
        "PYTHONUSERBASE": old / ".local",
    }
    environ = {**{key: str(value) for key, value in kept.items()}, **environ}
    paths = [str(site), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {
        **environ,
        "HOME": str(home),
        "PATH": os.pathsep.join([str(shims), os.environ.get("PATH", os.defpath)]),
        "PYTHONPATH": os.pathsep.join(paths),
        "TIKTOKEN_CACHE_DIR": str(home / TIKTOKEN),
        "MPLBACKEND": os.environ.get("MPLBACKEND", "Agg"),
    }


_NEXT = """
own = sys.modules.pop("sitecustomize", None)
place = sys.path.index(__file__.rpartition("/")[0]) if __file__.rpartition("/")[0] in sys.path else -1
folder = sys.path.pop(place) if place >= 0 else None
try:
    import sitecustomize
except ImportError:
    sys.modules["sitecustomize"] = own
finally:
    if folder is not None:
        sys.path.insert(place, folder)
"""
"""Gives the environment's own ``sitecustomize`` its turn."""


def _listing(folder: Path) -> dict[Path, tuple[int, int]]:
    """Return the regular files below a folder, with the size and time that tell whether one was written."""
    found = {}
    for place, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if name not in {".git", "node_modules", "__pycache__"}]
        for name in names:
            path = Path(place, name)
            if path.is_file() and not path.is_symlink():
                status = path.stat()
                found[path] = (status.st_size, status.st_mtime_ns)
    return found


def _read(log: Path, found: Observation) -> None:
    if not log.exists():
        return
    rows = [json.loads(row) for row in log.read_text(encoding="utf-8").splitlines()]
    bodies = {row["id"]: row for row in rows if row["kind"] == "body"}
    for row in rows:
        if row["kind"] == "request":
            body = bodies.get(row["id"], {})
            found.requests.append(
                Exchange(
                    method=row["method"],
                    url=row["url"],
                    status=row["status"],
                    location=row["location"],
                    secret=row["secret"],
                    sha256=body.get("sha256"),
                    size=body.get("size", 0),
                )
            )
        elif row["kind"] == "program":
            found.programs.append(Program(words=tuple(row["words"]), folder=Path(row["cwd"])))
        elif row["kind"] == "written":
            path = Path(row["path"])
            if path.is_file() and not path.is_symlink():
                found.written.add(path)


def digests(paths: set[Path], sizes: set[int]) -> dict[Path, str]:
    """Return the SHA-256 of the files that have one of these sizes."""
    return {path: sha256_of(path) for path in sorted(paths) if path.stat().st_size in sizes}
