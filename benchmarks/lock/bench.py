"""What the rows share: whole processes timed one after the other, and the tools that are compared."""

from __future__ import annotations

import gzip
import json
import os
import platform
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name
from uv import find_uv_bin

from kpack.lint.memory import PartMemory

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

ROOT = Path(__file__).resolve().parents[2]
SNAPSHOT = "kaggle-gpu-py312-2026-08"
PYTHON = f"{sys.version_info[0]}.{sys.version_info[1]}"
LIMIT = 60.0
"""Seconds that one process gets where not every one has to come to an end."""


@dataclass
class Taken:
    """What one whole process and all that it started took."""

    seconds: float
    """On the wall."""
    cpu: float
    """Seconds of all cores, user and system: another session on the machine disturbs them less."""
    code: int = 0


@dataclass
class Times:
    """Runs of one row, by what was run."""

    taken: dict[str, list[Taken]] = field(default_factory=dict)

    def take(self, name: str, taken: Taken) -> None:
        """Add a run."""
        self.taken.setdefault(name, []).append(taken)

    def median(self, name: str, *, cpu: bool = False) -> float:
        """Return the median in seconds."""
        return statistics.median(each.cpu if cpu else each.seconds for each in self.taken[name])

    def show(self) -> None:
        """Print every median with its range, on the wall and of all cores."""
        for name, runs in self.taken.items():
            walls = [each.seconds for each in runs]
            print(
                f"  {name:36} {self.median(name):7.2f} s  ({min(walls):.2f}-{max(walls):.2f})"
                f"   cores {self.median(name, cpu=True):6.2f} s   {len(runs)} runs",
                flush=True,
            )

    def ratio(self, name: str, other: str, reach: str) -> None:
        """Print how ``name`` stands to ``other``, and what is to be reached."""
        wall = self.median(name) / self.median(other)
        cpu = self.median(name, cpu=True) / self.median(other, cpu=True)
        print(f"  = {name} / {other}: {wall:.3f} on the wall, {cpu:.3f} of cores ({reach})", flush=True)


def timed(
    command: Sequence[str], folder: Path, environment: Mapping[str, str], *, codes: Sequence[int] = (0,)
) -> Taken:
    """Run a process to its end, or to `LIMIT` where -9 is among ``codes``; what it says is in ``output.txt``.

    Raises:
        SystemExit: it ended in another way than ``codes`` say.

    """
    with (folder / "output.txt").open("w+") as output:
        start = time.perf_counter()
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=output, stderr=output)
        timer = threading.Timer(LIMIT, process.kill)
        if -signal.SIGKILL in codes:
            timer.start()
        _, status, usage = os.wait4(process.pid, 0)
        timer.cancel()
        seconds = time.perf_counter() - start
        process.returncode = code = os.waitstatus_to_exitcode(status)
        if code not in codes:
            output.seek(0)
            raise SystemExit(f"{command}: exit {code}\n{output.read()[-4000:]}")
    return Taken(seconds, usage.ru_utime + usage.ru_stime, code)


def clean() -> dict[str, str]:
    """Return the process's environment without what steers pip, uv or kpack."""
    return {key: value for key, value in os.environ.items() if not key.startswith(("PIP_", "UV_", "KPACK_"))}


def base(folder: Path, count: int, without: set[str]) -> str:
    """Write a probe file with ``count`` packages, none of ``without``, and return its path."""
    shipped = ROOT / "kpack" / "base" / "snapshots" / f"{SNAPSHOT}.json.gz"
    data = json.loads(gzip.decompress(shipped.read_bytes()))
    rows = [row for row in data["distributions"] if canonicalize_name(row["name"]) not in without]
    rows += [{"name": f"made-up-{number}", "version": "1.0"} for number in range(count - len(rows))]
    data["distributions"] = rows[:count]
    data["name"] = f"base-{count}"
    full = platform.python_version()
    data["environment"] |= {"python_version": PYTHON, "python_full_version": full, "implementation_version": full}
    path = folder / f"base-{count}.json"
    path.write_text(json.dumps(data), encoding="utf-8")
    return path.as_posix()


def versions(text: str) -> dict[str, str]:
    """Return name and version of a requirements file."""
    found: dict[str, str] = {}
    for line in text.splitlines():
        name, double, rest = line.partition("==")
        if double and not line.startswith((" ", "#")):
            found[canonicalize_name(name.partition("[")[0])] = rest.split()[0].rstrip("\\;")
    return found


class Bench:
    """Three tools that lock in one folder, each against the look-alike at ``root``."""

    def __init__(self, root: str, folder: Path) -> None:
        self.root, self.folder = root, folder

    def fresh(self) -> Path:
        """Return an empty folder for one run's cache."""
        return Path(tempfile.mkdtemp(dir=self.folder, prefix="cache-"))

    def asks(self, names: Sequence[str]) -> None:
        """Write what pip-compile and uv are asked."""
        (self.folder / "requirements.in").write_text("\n".join(names) + "\n")

    def pip_compile(self) -> Taken:
        """Lock with pip-compile, cold."""
        command = [sys.executable, "-m", "piptools", "compile", "-q", "--generate-hashes", "--no-header"]
        command += ["--allow-unsafe", "--rebuild", "--no-emit-index-url", "--index-url", f"{self.root}/simple"]
        command += ["--cache-dir", str(self.fresh()), "--pip-args", f"--cache-dir {self.fresh()}"]
        (self.folder / "pip.txt").unlink(missing_ok=True)
        return timed([*command, "-o", "pip.txt", "requirements.in"], self.folder, clean())

    def uv(
        self,
        *more: str,
        cache: Path | None = None,
        keep: bool = False,
        python: str = PYTHON,
        codes: Sequence[int] = (0,),
    ) -> Taken:
        """Lock with uv; cold unless ``cache`` is given, from nothing unless ``keep``."""
        command = [find_uv_bin(), "pip", "compile", "-q", "--generate-hashes", "--no-header", "--default-index"]
        command += [f"{self.root}/simple", "--cache-dir", str(cache or self.fresh())]
        # Of another version than the interpreter's it would wait for one that it could download.
        command += ["--python", sys.executable, "--python-version", python, *more]
        if not keep:
            (self.folder / "uv.txt").unlink(missing_ok=True)
        return timed([*command, "-o", "uv.txt", "requirements.in"], self.folder, clean(), codes=codes)

    def config(self, names: Sequence[str], more: str) -> None:
        """Write kaggle-env.toml."""
        quoted = ", ".join(json.dumps(name) for name in names)
        (self.folder / "kaggle-env.toml").write_text(f'name = "bench"\npackages = [{quoted}]\n{more}\n')

    def kpack(self, *, cache: Path | None = None, keep: bool = False, codes: Sequence[int] = (0,)) -> Taken:
        """Lock with kpack; cold unless ``cache`` is given, from nothing unless ``keep``."""
        if not keep:
            self.lock.unlink(missing_ok=True)
        environment = {**clean(), "KPACK_CACHE": str(cache or self.fresh()), "KPACK_INDEX_URL": f"{self.root}/simple"}
        environment["PYTHONPATH"] = str(ROOT)
        return timed([sys.executable, "-m", "kpack", "lock"], self.folder, environment, codes=codes)

    def read_natives(self, cache: Path) -> None:
        """Have ``cache`` hold the native code of what is locked: the look-alike has no wheels to read it from."""
        memory = PartMemory(cache / "native")
        for package in tomllib.loads(self.lock.read_text())["packages"]:
            for wheel in package["wheels"]:
                memory.put(wheel["hashes"]["sha256"], ())

    @property
    def lock(self) -> Path:
        """The lock of kpack."""
        return self.folder / "pylock.kaggle-env.toml"
