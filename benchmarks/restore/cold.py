"""``python -m benchmarks.restore.cold --wheels FOLDER``: the first restore of a fresh kernel, beside uv.

A restore happens once. So before each run the page cache is dropped (``--warm``: it is not), the target is new, and no
module of kpack has been imported or compiled: the pasted line in a virtual environment of its own, and ``kpack
restore`` from a copy of the sources without bytecode. The order alternates from round to round. ``--noisy`` keeps one
core busy beside all of them. Wheels, pack and target are on ``--place`` (/dev/shm: reading the interpreter, its
libraries and uv is what gets cold there; name a disk to have the pack cold too). Dropping the page cache needs root.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from uv import find_uv_bin

import kpack
from benchmarks.restore import packs
from kpack import pack

if TYPE_CHECKING:
    from collections.abc import Iterator

DROP = Path("/proc/sys/vm/drop_caches")
ROUNDS = 9
CLAIM = 0.75
"""What the line may take of uv's time, warm and cold."""
SPREAD = 1.2
"""What the slowest run may take of the median's time."""


class Run(NamedTuple):
    """What one process took, in seconds."""

    wall: float
    user: float
    system: float


def contenders(place: Path, wheels: list[Path], accelerator: Path) -> dict[str, tuple[list[str], dict[str, str]]]:
    """Return the command and the variables of each contender, all installing to ``place``/venv."""
    packed = packs.pack(place / "fast.kpack.bin", wheels, accelerator=accelerator)
    python = str(place / "venv" / "bin" / "python")
    sources = place / "sources"
    shutil.copytree(Path(kpack.__file__).parent, sources / "kpack", ignore=shutil.ignore_patterns("__pycache__"))
    uv = [find_uv_bin(), "pip", "install", "--quiet", "--offline", "--no-deps", "--python", python]
    return {
        "kpack, the line": ([python, "-c", pack.read(packed).line], {"KPACK_PACK": str(packed)}),
        "uv": ([*uv, *map(str, wheels)], {"UV_CACHE_DIR": str(place / "uv-cache")}),
        "kpack restore": (
            [sys.executable, "-B", "-m", "kpack", "restore", str(packed), "--python", python],
            {"PYTHONPATH": str(sources)},
        ),
    }


def fresh(place: Path, *, cold: bool) -> None:
    """Make everything as it is in a kernel that has just started."""
    for name in ("venv", "uv-cache"):
        shutil.rmtree(place / name, ignore_errors=True)
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", place / "venv"], check=True)
    if cold:
        os.sync()
        DROP.write_text("3\n")


def measure(command: list[str], variables: dict[str, str], place: Path) -> Run:
    """Run a command and return what it took."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.monotonic()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd=place, env={**os.environ, **variables})
    wall = time.monotonic() - began
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return Run(wall, after.ru_utime - before.ru_utime, after.ru_stime - before.ru_stime)


@contextlib.contextmanager
def neighbour(*, noisy: bool) -> Iterator[None]:
    """Keep one core busy while the context lasts."""
    if not noisy:
        yield
        return
    child = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        yield
    finally:
        child.kill()
        child.wait()


def report(found: dict[str, list[Run]]) -> None:
    """Print the figures and the claims."""
    print(f"\n| how | median s | min | max | max / median | user s | system s |   load {os.getloadavg()[0]:.1f}")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for key, runs in found.items():
        walls = [run.wall for run in runs]
        middle = statistics.median(walls)
        user, system = (statistics.median(run[part] for run in runs) for part in (1, 2))
        print(
            f"| {key} | {middle:.2f} | {min(walls):.2f} | {max(walls):.2f} | {max(walls) / middle:.2f} "
            f"| {user:.2f} | {system:.2f} |"
        )
    print(f"\n| claim | ratio of medians | of minima | reach {CLAIM}, spread {SPREAD} |\n| --- | --- | --- | --- |")
    for key in found:
        if key != "uv":
            ratios = [pick(r.wall for r in found[key]) / pick(r.wall for r in found["uv"]) for pick in (_median, min)]
            print(f"| {key} / uv | {ratios[0]:.2f} | {ratios[1]:.2f} | |")


def _median(values: Iterator[float]) -> float:
    return statistics.median(values)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--wheels", type=Path, required=True, help="folder that keeps the wheels")
    parser.add_argument("--place", type=Path, default=Path("/dev/shm"), help="file system to measure on")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--warm", action="store_true", help="leave the page cache as it is")
    parser.add_argument("--noisy", action="store_true", help="keep one core busy beside every run")
    parser.add_argument("--json", type=Path, help="write the figures there")
    options = parser.parse_args()
    if not options.warm and not os.access(DROP, os.W_OK):
        parser.error(f"{DROP} cannot be written: run it as root, or with --warm")
    wheels = packs.fetch(packs.SEVENTY_FIVE, options.wheels)
    accelerator = packs.fetch(["isal"], options.wheels)[0]
    with tempfile.TemporaryDirectory(prefix="kpack-bench-", dir=options.place) as name, neighbour(noisy=options.noisy):
        place = Path(name)
        rivals = contenders(place, [Path(shutil.copy(path, place)) for path in wheels], accelerator)
        found: dict[str, list[Run]] = {key: [] for key in rivals}
        for number in range(options.rounds):
            for key in list(rivals)[:: 1 if number % 2 == 0 else -1]:
                fresh(place, cold=not options.warm)
                found[key].append(measure(*rivals[key], place))
    report(found)
    if options.json:
        options.json.write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
