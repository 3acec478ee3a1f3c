"""The environment that a source is built in: locked wheels in a fresh venv, and nothing of the caller's settings."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import venv
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from packaging.requirements import Requirement
from packaging.utils import parse_wheel_filename

from kpack import tether
from kpack.errors import KpackError, MachineError, NoSolution, UsageError
from kpack.fetch import Download
from kpack.markers import counts
from kpack.resolve.assemble import wheel_of
from kpack.resolve.build_system import OTHER, PREBUILT
from kpack.resolve.child import Workers, error_of
from kpack.resolve.wire import Asked, Failure, IndexAddress, Question, moment_of
from kpack.source.host import this_host
from kpack.source.interpreter import WAYS_OUT

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime

    from kpack.cache import Cache
    from kpack.fetch import Fetcher
    from kpack.resolve.build_system import BuildSystem
    from kpack.resolve.model import Wheel
    from kpack.source.interpreter import RunningPython

SOURCE_DATE_EPOCH = 315532800
"""1980-01-01: the first moment that a zip can hold."""

_KEPT = frozenset({"PATH", "TMPDIR", "TEMP", "TMP", "SYSTEMROOT", "COMSPEC", "PATHEXT", "CC", "CXX", "CUDA_HOME"})
"""Variables of the caller that a build may see: where programs are."""

_KEPT_BESIDE = frozenset(
    {"LD_LIBRARY_PATH", "CUDA_PATH", "CPATH", "LIBRARY_PATH", "MAX_JOBS", "TORCH_CUDA_ARCH_LIST", "FORCE_CUDA"}
)
"""What a build with the image's packages may see, too: where its libraries are, and for which GPUs it compiles."""

_PIP = importlib.util.find_spec("pip")
assert _PIP is not None
assert _PIP.origin is not None
_RUNNER = Path(_PIP.origin).with_name("__pip-runner__.py")
"""Runs this pip in an interpreter that has none."""


_MISSING = re.compile(r"No module named|Cannot import '")

_FRAME = re.compile("^ *(?:[\u00d7│]|╰─>) ")
"""What pip draws around what a build says."""

_PIPS_OWN = re.compile(
    r"\s*(?:note:|hint:|\[end of output\]|\[\d+ lines of output\]|exit code: \d+$|error: metadata-generation-failed"
    r"|.* did not run successfully\.$|Encountered error while generating)"
)

# PEP 517: hooks run in a process of their own, in the source tree, with backend-path in front of sys.path, and without
# the tree itself: a file in it may be named as a module of the standard library.
_HOOK = """
import sys
sys.path[:] = filter(None, sys.path)
import importlib, json
name, paths, mark = json.load(sys.stdin)
sys.path[:0] = paths
module, _, thing = name.partition(":")
backend = importlib.import_module(module)
for part in filter(None, thing.split(".")):
    backend = getattr(backend, part)
hook = getattr(backend, "get_requires_for_build_wheel", None)
wanted = list(hook({})) if hook else []
sys.stdout.flush()
print("\\n" + mark + json.dumps([str(item) for item in wanted]))
"""

_ANSWER = "kpack's answer: "
"""What the answer stands behind: a backend prints what it likes, before and after."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Indexes:
    """Where build requirements come from; the same as for the project's own packages."""

    addresses: tuple[IndexAddress, ...] = ()
    exclude_newer: datetime | None = None


def resolve(
    requirements: Sequence[str], indexes: Indexes, cache: Cache, *, name: str, image: Mapping[str, str] | None = None
) -> tuple[Wheel, ...]:
    """Choose the wheels of a build environment for this host, sorted by file name.

    Of what ``image`` has (name → version) that version is taken where the requirements and this host allow it: what
    is compiled against another numpy than the kernel's may not work there.

    Raises:
        NoSolution: they conflict, or one has no wheel.
        NetworkError: an index did not answer.

    """
    host = this_host()
    request = Question(
        label=f"the build of {name}",
        python_version=host.python,
        python_full_version=host.python_full_version,
        environment=dict(host.environment),
        tags=tuple(str(tag) for tag in host.tags),
        asked=tuple(Asked(text=line, line=line) for line in _counting(requirements, host.environment, name)),
        exclude_newer=moment_of(indexes.exclude_newer),
        indexes=indexes.addresses or (IndexAddress(url=""),),
        cache_dir=str(cache.http_dir),
        asker="it",
        accelerator="",
        pins=dict(sorted((image or {}).items())),
    )
    wheels = []
    with cache.temporary() as scratch, Workers(1, scratch=scratch) as workers:
        (answer,) = workers.ask([request])
    if isinstance(answer, Failure):
        otherwise = f"take another version of {name}, or {PREBUILT}" if answer.kind == "no-solution" else ""
        raise error_of(request.label, replace(answer, next=answer.next or otherwise))
    for row in answer.resolved:
        if row.file is None or row.source is not None:
            raise NoSolution(
                f"{row.name} {row.version}, which the build needs, has no wheel",
                where=request.label,
                next="build the wheel yourself and give its path in packages",
            )
        wheels.append(replace(wheel_of(row.file), upload_time=None))
    return tuple(sorted(wheels, key=lambda wheel: wheel.filename))


def _counting(lines: Sequence[str], environment: Mapping[str, str], name: str) -> Iterator[str]:
    """Yield the requirements whose marker holds for this host, without it: a question to the worker has none.

    Raises:
        UsageError: one is no requirement, or its marker compares what cannot be compared.

    """
    for line in lines:
        try:
            requirement = Requirement(line)
            if not counts(requirement, environment):
                continue
        except ValueError as error:  # InvalidRequirement, OddMarker
            raise UsageError(
                f"its build requires {line!r:.200}, which is no valid requirement: {str(error).partition(chr(10))[0]}",
                where=name,
                next=OTHER,
            ) from error
        requirement.marker = None
        yield str(requirement)


def fits(wheels: Sequence[Wheel]) -> bool:
    """Tell whether this host takes all the wheels."""
    mine = frozenset(this_host().tags)
    return all(mine & parse_wheel_filename(wheel.filename)[3] for wheel in wheels)


def pinned(wheels: Sequence[Wheel]) -> tuple[str, ...]:
    """Return the wheels' versions as requirements."""
    parsed = (parse_wheel_filename(wheel.filename) for wheel in wheels)
    return tuple(f"{name}=={version}" for name, version, _, _ in parsed)


class BuildEnvironment:
    """A venv in ``folder``; see `install` and `wheel`."""

    kept = _KEPT

    def __init__(self, folder: Path, *, name: str) -> None:
        self.folder = folder
        self.name = name
        venv.EnvBuilder(with_pip=False, symlinks=os.name != "nt").create(folder / "venv")
        self.python = folder / "venv" / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
        (folder / "home").mkdir()

    def install(self, wheels: Sequence[Wheel], fetcher: Fetcher) -> None:
        """Fetch and install exactly these wheels."""
        downloads = {
            Download(
                name=wheel.filename,
                urls=(wheel.url,) if wheel.url else (),
                sha256=wheel.sha256,
                size=wheel.size,
            ): wheel
            for wheel in wheels
        }
        fetched = fetcher.fetch(downloads)
        named = self.folder / "wheels"
        named.mkdir()
        paths = []
        for download, wheel in downloads.items():
            # pip goes by the file name; `Cache.path` hashes what was only found in the cache.
            found = fetched[download]
            copy = named / wheel.filename
            shutil.copyfile(found.path if found.hashed else fetcher.cache.path(wheel.sha256), copy)
            paths.append(str(copy))
        if paths:
            self._pip(["install", "--no-deps", "--no-index", "--no-compile", "--no-cache-dir", "--quiet", *paths])

    def dynamic_requires(self, project: Path, system: BuildSystem) -> tuple[str, ...]:
        """Ask the backend what more it needs to build a wheel (PEP 517, get_requires_for_build_wheel)."""
        paths = [str((project / path).resolve()) for path in system.backend_path]
        question = json.dumps([system.backend, paths, _ANSWER])
        said = self._run([str(self.python), "-c", _HOOK], project, stdin=question)
        rows = [row.removeprefix(_ANSWER) for row in said.splitlines() if row.startswith(_ANSWER)]
        if not rows:
            raise self._failed(f"its build backend ended without an answer to get_requires_for_build_wheel\n{said}")
        return tuple(str(item) for item in json.loads(rows[-1]))

    def wheel(self, project: Path, out: Path) -> Path:
        """Have pip build the project's wheel into ``out`` (a new folder) and return it."""
        out.mkdir()
        arguments = ["wheel", "--no-build-isolation", "--no-deps", "--no-index", "--no-cache-dir", "--use-pep517"]
        self._pip([*arguments, "--wheel-dir", str(out), str(project)], project)
        built = list(out.glob("*.whl"))
        if len(built) != 1:
            raise UsageError(f"the build made {len(built)} wheels instead of one", where=self.name)
        return built[0]

    def _pip(self, arguments: list[str], project: Path | None = None) -> None:
        # What pip --python starts, without the pip that starts it; "-m pip" would import from the project's folder.
        self._run([str(self.python), str(_RUNNER), "--disable-pip-version-check", *arguments], project)

    def _run(self, command: list[str], project: Path | None, *, stdin: str = "") -> str:
        child = tether.run(
            command,
            stdin=stdin,
            cwd=project or self.folder,
            env=self._variables(project),
            umask=0o022 if os.name == "posix" else -1,
        )
        if child.returncode != 0:
            raise self._failed(_last_words(child))
        return child.stdout

    def _failed(self, said: str) -> KpackError:
        return MachineError(
            f"it cannot be built:\n{said}",
            where=self.name,
            next="build the wheel yourself and give its path in packages, or take a version that has a wheel",
        )

    def _variables(self, project: Path | None) -> dict[str, str]:
        """Return the environment variables of a build: the same on every machine but for where programs are."""
        variables = {key: value for key, value in os.environ.items() if key in self.kept}
        programs = str(self.python.parent)
        variables["PATH"] = os.pathsep.join(filter(None, [programs, variables.get("PATH", "")]))
        if project is not None and os.name == "posix":
            # Debug information must not tell in which folder the sources lay.
            variables["CFLAGS"] = variables["CXXFLAGS"] = f"-ffile-prefix-map={project.resolve()}=."
        return {
            **variables,
            "HOME": str(self.folder / "home"),
            "LANG": "C.UTF-8",
            "LC_ALL": "C.UTF-8",
            "TZ": "UTC",
            "PIP_CONFIG_FILE": os.devnull,
            "PIP_NO_INDEX": "1",
            "PIP_NO_INPUT": "1",
            "PYTHONHASHSEED": "0",
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONNOUSERSITE": "1",
            "PYTHONUTF8": "1",
            "SOURCE_DATE_EPOCH": str(SOURCE_DATE_EPOCH),
            "GIT_OPTIONAL_LOCKS": "0",
        }


class ImageEnvironment(BuildEnvironment):
    """What an interpreter has installed, as it is: for builds that need it and do not say so; see `wheel`."""

    kept = _KEPT | _KEPT_BESIDE

    def __init__(self, folder: Path, interpreter: RunningPython, *, name: str) -> None:
        self.folder = folder
        self.name = name
        self.python = Path(interpreter.executable)
        (folder / "home").mkdir(parents=True)

    def _failed(self, said: str) -> KpackError:
        what = f"it cannot be built with what {self.python} has:\n{said}"
        if _MISSING.search(said):
            return NoSolution(what, where=self.name, next=WAYS_OUT)
        return MachineError(what, where=self.name, next=WAYS_OUT)


def _last_words(child: subprocess.CompletedProcess[str]) -> str:
    """Return the last words of a build that failed, without the frame that pip draws around them."""
    rows = [_FRAME.sub("", row.rstrip()) for row in (child.stdout + "\n" + child.stderr).splitlines()]
    telling = [row for row in rows if any(map(str.isalnum, row)) and not _PIPS_OWN.match(row)]
    return "\n".join(telling[-12:])
