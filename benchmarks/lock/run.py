"""``python -m benchmarks.lock.run --records FOLDER``: kpack lock beside pip-compile --generate-hashes and uv.

Whole processes, A B A B, medians, every cold run with a cache folder of its own; the index is the look-alike with 30 ms
per request. ``--records`` is where pages and metadata are recorded the first time (needs the network once).
The base has 600 and more packages, none of which the answer needs, so that all three do the same work; that they
give the same versions is checked. pip-compile locks for the Python that runs this, so the target is that one.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from packaging.utils import canonicalize_name
from uv import find_uv_bin

ROOT = Path(__file__).resolve().parents[2]
WORK = {
    "A": ["transformers", "tokenizers", "safetensors", "huggingface-hub", "datasets", "evaluate"],
    "B": ["lightgbm", "catboost", "optuna", "polars"],
}
PYTHON = f"{sys.version_info[0]}.{sys.version_info[1]}"


PEAK: dict[str, float] = {}
"""MiB of the largest process of each tool so far."""


def timed(tool: str, command: list[str], folder: Path, environment: dict[str, str]) -> float:
    """Return the seconds of one whole process, and note the memory of it and its children."""
    with (folder / "output.txt").open("w+") as output:
        start = time.perf_counter()
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=output, stderr=output)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            output.seek(0)
            raise SystemExit(f"{command}: exit {process.returncode}\n{output.read()[-4000:]}")
    PEAK[tool] = max(PEAK.get(tool, 0.0), usage.ru_maxrss / 1024)
    return seconds


def clean() -> dict[str, str]:
    """Return the process's environment without what steers pip, uv or kpack."""
    return {key: value for key, value in os.environ.items() if not key.startswith(("PIP_", "UV_", "KPACK_"))}


def base(folder: Path, count: int, without: set[str]) -> Path:
    """Write a probe file with ``count`` packages, none of ``without``."""
    shipped = ROOT / "kpack" / "base" / "snapshots" / "kaggle-gpu-py312-2026-08.json.gz"
    data = json.loads(gzip.decompress(shipped.read_bytes()))
    rows = [row for row in data["distributions"] if canonicalize_name(row["name"]) not in without]
    rows += [{"name": f"made-up-{number}", "version": "1.0"} for number in range(count - len(rows))]
    data["distributions"] = rows[:count]
    data["name"] = f"base-{count}"
    full = platform.python_version()
    data["environment"] |= {"python_version": PYTHON, "python_full_version": full, "implementation_version": full}
    path = folder / f"base-{count}.json"
    path.write_text(json.dumps(data), encoding="utf-8")
    return path


def versions(text: str) -> dict[str, str]:
    """Return name and version of a requirements file."""
    found: dict[str, str] = {}
    for line in text.splitlines():
        name, double, rest = line.partition("==")
        if double and not line.startswith((" ", "#")):
            found[canonicalize_name(name.partition("[")[0])] = rest.split()[0].rstrip("\\;")
    return found


class Bench:
    """One list of requests against one look-alike."""

    def __init__(self, root: str, folder: Path, names: list[str]) -> None:
        self.root, self.folder, self.names = root, folder, names
        (folder / "requirements.in").write_text("\n".join(names) + "\n")
        self.runs = 0

    def fresh(self) -> Path:
        """Return an empty folder for one run's cache."""
        self.runs += 1
        return Path(tempfile.mkdtemp(dir=self.folder, prefix=f"cache-{self.runs}-"))

    def pip_compile(self) -> float:
        """Lock with pip-compile, cold."""
        command = [sys.executable, "-m", "piptools", "compile", "-q", "--generate-hashes", "--no-header"]
        command += ["--allow-unsafe", "--rebuild", "--no-emit-index-url", "--index-url", f"{self.root}/simple"]
        command += ["--cache-dir", str(self.fresh()), "--pip-args", f"--cache-dir {self.fresh()}"]
        (self.folder / "pip.txt").unlink(missing_ok=True)
        return timed("pip-compile", [*command, "-o", "pip.txt", "requirements.in"], self.folder, clean())

    def uv(self) -> float:
        """Lock with uv, cold."""
        command = [find_uv_bin(), "pip", "compile", "-q", "--generate-hashes", "--no-header", "--default-index"]
        command += [f"{self.root}/simple", "--cache-dir", str(self.fresh()), "--python-version", PYTHON]
        (self.folder / "uv.txt").unlink(missing_ok=True)
        return timed("uv", [*command, "-o", "uv.txt", "requirements.in"], self.folder, clean())

    def kpack(self, snapshot: str, *, cache: Path | None = None, keep: bool = False) -> float:
        """Lock with kpack; cold unless ``cache`` is given, from nothing unless ``keep``."""
        quoted = ", ".join(f'"{name}"' for name in self.names)
        text = f'name = "bench"\nbase = "{snapshot}"\npackages = [{quoted}]\n'
        path = self.folder / "kaggle-env.toml"
        if not keep:
            path.write_text(text)
            (self.folder / "pylock.kaggle-env.toml").unlink(missing_ok=True)
        environment = {**clean(), "KPACK_CACHE": str(cache or self.fresh()), "KPACK_INDEX_URL": f"{self.root}/simple"}
        environment["PYTHONPATH"] = str(ROOT)
        return timed("kpack", [sys.executable, "-m", "kpack", "lock"], self.folder, environment)


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--records", type=Path, required=True)
    parser.add_argument("--fetch", action="store_true", help="Fetch what the records lack.")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--latency", type=float, default=0.03)
    parser.add_argument("--only", choices=sorted(WORK))
    options = parser.parse_args()
    command = [
        sys.executable,
        "-m",
        "benchmarks.lock.lookalike",
        str(options.records),
        "--latency",
        str(options.latency),
    ]
    server = subprocess.Popen(
        [*command, *(["--fetch"] if options.fetch else [])], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert server.stdout is not None
    root = server.stdout.readline().strip()
    folder = Path(tempfile.mkdtemp(prefix="kpack-bench-"))
    try:
        for key, names in WORK.items():
            if options.only in (None, key):
                measure(key, Bench(root, folder, names), options.rounds)
    finally:
        server.terminate()
        shutil.rmtree(folder)


def measure(key: str, bench: Bench, rounds: int) -> None:
    """Measure one list of requests."""
    bench.uv()
    bench.pip_compile()  # both warm the look-alike up
    wanted = versions((bench.folder / "uv.txt").read_text())
    ours = set(wanted)
    large, small, middle = (base(bench.folder, count, ours).as_posix() for count in (900, 50, 600))
    bench.kpack(middle)
    times: dict[str, list[float]] = {}

    def take(name: str, seconds: float) -> None:
        times.setdefault(name, []).append(seconds)

    for _ in range(rounds):
        take("pip-compile --generate-hashes", bench.pip_compile())
        take("kpack lock, 600 base packages", bench.kpack(middle))
        take("uv pip compile --generate-hashes", bench.uv())
    for _ in range(rounds):
        take("kpack lock, 50 base packages", bench.kpack(small))
        take("kpack lock, 900 base packages", bench.kpack(large))
    cache = bench.fresh()
    bench.kpack(middle, cache=cache)
    for _ in range(rounds):
        take("kpack lock again, metadata known", bench.kpack(middle, cache=cache))
        take("kpack lock, nothing changed", bench.kpack(middle, cache=cache, keep=True))
    check(bench, wanted)
    median = {name: statistics.median(found) for name, found in times.items()}
    print(f"\n{key}: {' '.join(bench.names)} ({len(wanted)} pins)")
    for name, seconds in median.items():
        spread = f"{min(times[name]):.2f}-{max(times[name]):.2f}"
        print(f"  {name:34} {seconds:6.2f} s  ({spread})")
    ratio = median["kpack lock, 600 base packages"] / median["pip-compile --generate-hashes"]
    print(f"  kpack / pip-compile: {ratio:.3f}")
    print(f"  900 / 50: {median['kpack lock, 900 base packages'] / median['kpack lock, 50 base packages']:.3f}")
    print("  largest process: " + ", ".join(f"{tool} {peak:.0f} MiB" for tool, peak in sorted(PEAK.items())))


def check(bench: Bench, wanted: dict[str, str]) -> None:
    """Compare the three answers and print what differs."""
    import tomllib

    lock = tomllib.loads((bench.folder / "pylock.kaggle-env.toml").read_text())
    found = {package["name"]: package["version"] for package in lock["packages"]}
    pip = versions((bench.folder / "pip.txt").read_text())
    for name, other in (("uv", wanted), ("pip-compile", pip)):
        different = {
            key: (found.get(key), other.get(key)) for key in {*found, *other} if found.get(key) != other.get(key)
        }
        if different:
            print(f"  kpack and {name} differ: {different}")


if __name__ == "__main__":
    main()
