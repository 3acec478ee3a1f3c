"""``python -m benchmarks.restore.run --wheels FOLDER``: restoring 75 real wheels, beside those who install them.

Whole processes in turn (A B C … A B C …), medians. FOLDER keeps the wheels between runs; it and the packs should be on
the file system that is measured (``--place``, by default /dev/shm, so that a disk does not drown the differences).
``installer`` takes part when it is importable.
"""

from __future__ import annotations

import argparse
import importlib.util
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

from uv import find_uv_bin

from benchmarks.restore import packs

FLOOR = Path(__file__).with_name("floor.py")
CLAIMS = (
    ("kpack", ("uv",), 0.75),
    ("kpack, zlib only", ("uv",), 0.95),
    ("kpack", ("pip",), 0.05),
    ("kpack", ("pip --no-compile",), 0.2),
    ("kpack", ("floor, threads", "floor, processes"), 0.85),
    ("kpack, zlib only", ("floor, threads", "floor, processes"), 1.1),
)


def contenders(place: Path, wheels: list[Path], accelerator: Path) -> dict[str, list[str]]:
    fast = packs.pack(place / "fast.kpack.bin", wheels, accelerator=accelerator)
    plain = packs.pack(place / "plain.kpack.bin", wheels)
    target = place / "target"
    names = [str(path) for path in wheels]
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps", "--target", str(target)]
    uv = [find_uv_bin(), "pip", "install", "--quiet", "--offline", "--no-deps", "--python", sys.executable]
    found = {
        "kpack": packs.command(fast, target),
        "uv": [*uv, "--target", str(target), *names],
        "floor, threads": [sys.executable, str(FLOOR), "threads", str(plain), str(target)],
        "kpack, zlib only": packs.command(plain, target),
        "floor, processes": [sys.executable, str(FLOOR), "processes", str(plain), str(target)],
        "pip --no-compile": [*pip, "--no-compile", *names],
        "pip": [*pip, *names],
    }
    if importlib.util.find_spec("installer"):
        found["installer --validate-record all"] = [
            *[sys.executable, "-m", "installer", "--prefix", str(target), "--no-compile-bytecode"],
            *["--validate-record", "all", *names],
        ]
    return found


def measure(command: list[str], place: Path, kept: Path | None) -> tuple[float, float]:
    """Run a command from nothing; return (wall seconds, processor seconds)."""
    for name in ("target", "uv-cache"):
        if kept is None:
            shutil.rmtree(place / name, ignore_errors=True)
        elif (place / name).exists():
            (place / name).rename(kept / str(len(list(kept.iterdir()))))
    if kept is not None:
        os.sync()  # what the one before left to be written is not this one's
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.monotonic()
    subprocess.run(
        command, check=True, stdout=subprocess.DEVNULL, env={**os.environ, "UV_CACHE_DIR": str(place / "uv-cache")}
    )
    wall = time.monotonic() - began
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--wheels", type=Path, required=True, help="folder that keeps the wheels")
    parser.add_argument("--place", type=Path, default=Path("/dev/shm"), help="file system to measure on")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--slow-rounds", type=int, default=1, help="rounds of pip and installer")
    parser.add_argument(
        "--keep",
        action="store_true",
        help="on a disk: wait for it between the runs, and remove what was restored at the end only (19 GB for three "
        "rounds), since ext4 searches long for a free inode when many were freed in the last minutes",
    )
    parser.add_argument("--json", type=Path, help="write the figures there")
    options = parser.parse_args()
    wheels = packs.fetch(packs.SEVENTY_FIVE, options.wheels)
    accelerator = packs.fetch(["isal"], options.wheels)[0]
    files, packed, unpacked = packs.sizes(wheels)
    print(f"{len(wheels)} wheels, {files} files, {packed / 1e6:.0f} MB, {unpacked / 1e9:.2f} GB unpacked")
    with tempfile.TemporaryDirectory(prefix="kpack-bench-", dir=options.place) as name:
        place = Path(name)
        kept = place / "kept" if options.keep else None
        if kept is not None:
            kept.mkdir()
        local = [Path(shutil.copy(path, place)) for path in wheels]
        commands = contenders(place, local, accelerator)
        if not options.slow_rounds:
            commands = {key: words for key, words in commands.items() if not key.startswith(("pip", "installer"))}
        found: dict[str, list[tuple[float, float]]] = {key: [] for key in commands}
        for number in range(options.rounds):
            for key, command in commands.items():
                if number < options.slow_rounds or not key.startswith(("pip", "installer")):
                    found[key].append(measure(command, place, kept))
    print(f"\n| how | wall s (median) | min | processor s |\n| --- | --- | --- | --- |   load {os.getloadavg()[0]:.1f}")
    for key, runs in found.items():
        walls = [run[0] for run in runs]
        processor = statistics.median(run[1] for run in runs)
        print(f"| {key} | {statistics.median(walls):.2f} | {min(walls):.2f} | {processor:.2f} |")
    print("\n| claim | ratio of medians | of minima | reach |\n| --- | --- | --- | --- |")
    for key, rivals, reach in CLAIMS:
        if not all(rival in found for rival in rivals):
            continue
        medians, minima = (
            min(pick([run[0] for run in found[rival]]) for rival in rivals) for pick in (statistics.median, min)
        )
        mine = [run[0] for run in found[key]]
        label = " or ".join(rivals)
        print(f"| {key} / {label} | {statistics.median(mine) / medians:.2f} | {min(mine) / minima:.2f} | {reach} |")
    if options.json:
        options.json.write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
