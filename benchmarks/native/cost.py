"""``python -m benchmarks.native.cost``: what reading native code at lock adds to a cold lock and build, A B A B.

Both sides lock and build the same request from an empty cache, one of them with a lock that reads nothing; each of them
fetches about 130 MB. Seconds of the processor and on the wall, and their ratio.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

REQUESTS = ("lightgbm", "faiss-cpu", "bitsandbytes", "av", "rdkit")
_BLIND = """
import runpy
import kpack.lint.reading
kpack.lint.reading.WheelReading.start = lambda self, wheels: None
runpy.run_module("kpack", run_name="__main__")
"""


class Cost(NamedTuple):
    """Of one lock and one build."""

    processor: float
    """Seconds."""
    wall: float
    """Seconds."""


def once(requests: list[str], *, reading: bool) -> Cost:
    """Lock and build from an empty cache."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="kpack-cost-") as name:
        folder = Path(name)
        packages = ", ".join(f'"{item}"' for item in requests)
        text = f'name = "cost"\nbase = "kaggle-gpu-py312-2026-08"\npackages = [{packages}]\n'
        (folder / "kaggle-env.toml").write_text(text, encoding="utf-8")
        environ = {**os.environ, "KPACK_CACHE": str(folder / "cache")}
        for command in ("lock", "build"):
            words = ["-m", "kpack", command] if reading else ["-c", _BLIND, command]
            subprocess.run(
                [sys.executable, *words], cwd=folder, env=environ, check=True, capture_output=True, text=True
            )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    processor = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Cost(processor, time.perf_counter() - start)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("requests", nargs="*", default=list(REQUESTS))
    parser.add_argument("--rounds", type=int, default=2)
    options = parser.parse_args()
    sides: dict[bool, list[Cost]] = {True: [], False: []}
    for number in range(options.rounds):
        for reading in (True, False):
            cost = once(options.requests, reading=reading)
            sides[reading].append(cost)
            side = "reading" if reading else "blind"
            print(f"{number + 1} {side}: {cost.processor:.2f} s of the processor, {cost.wall:.2f} s", flush=True)
    for field in Cost._fields:
        on, off = (statistics.median(getattr(cost, field) for cost in sides[side]) for side in (True, False))
        print(f"{field}: {on:.2f} s beside {off:.2f} s: {on / off:.3f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
