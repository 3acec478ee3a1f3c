"""``python -m benchmarks.lock.run ROW --records FOLDER``: kpack lock beside pip-compile --generate-hashes and uv.

Whole processes, A B A B, medians, every cold run with a cache folder of its own; the index is the look-alike with 30 ms
per request. ``--records`` is where pages and metadata are recorded the first time (``--fetch`` needs the network).
ROW is one of `ROWS`, or ``all``. Beside the time on the wall stands that of all cores, which other work on the machine
disturbs less.
"""

from __future__ import annotations

import argparse
import compileall
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

from benchmarks.lock.bench import PYTHON, ROOT, SNAPSHOT, Bench, Times, base, versions

LONG = ["transformers", "tokenizers", "safetensors", "huggingface-hub", "datasets", "evaluate"]
"""About fifty pins."""
SHORT = ["lightgbm", "catboost", "optuna", "polars"]
"""About thirty pins."""
IN_IMAGE = ["trl", "rank-bm25", "setfit"]
"""For what needs a whole image; `MOVED` is in it."""
MOVED = "tqdm"
CONFLICTS = ["transformers<4.45", "tokenizers==0.15.2", "pydantic<2"]
"""Each at odds with the image."""
REQUESTS = Path(__file__).with_name("requests.txt")
_WRITTEN = re.compile(r"(replace|allow-broken|allow-source) = (\[[^\]]*\])")


def cold(bench: Bench, rounds: int) -> None:
    """Cold locks over 600 base packages that the answer does not need, so that all three do the same work."""
    for names in (SHORT, LONG):
        bench.asks(names)
        bench.uv()
        bench.pip_compile()  # both warm the look-alike up
        wanted = versions((bench.folder / "uv.txt").read_text())
        bench.config(names, f'base = "{base(bench.folder, 600, set(wanted))}"')
        bench.kpack()
        times = Times()
        for _ in range(rounds):
            times.take("pip-compile", bench.pip_compile())
            times.take("kpack lock", bench.kpack())
            times.take("uv", bench.uv())
        print(f"cold: {' '.join(names)} ({len(wanted)} pins)")
        times.show()
        times.ratio("kpack lock", "pip-compile", "reach 0.10")
        times.ratio("kpack lock", "uv", "reach 1.5")
        same_versions(bench, wanted)


def same_versions(bench: Bench, wanted: dict[str, str]) -> None:
    """Compare the three answers and print what differs."""
    lock = tomllib.loads(bench.lock.read_text())
    found = {package["name"]: package["version"] for package in lock["packages"]}
    pip = versions((bench.folder / "pip.txt").read_text())
    for name, other in (("uv", wanted), ("pip-compile", pip)):
        different = {
            key: (found.get(key), other.get(key)) for key in {*found, *other} if found.get(key) != other.get(key)
        }
        if different:
            print(f"  kpack and {name} differ: {different}")


def warm(bench: Bench, rounds: int) -> None:
    """One package more beside an unchanged rest, pages fresh; and nothing changed at all."""
    more = [*LONG, "rank-bm25"]
    bench.asks(more)
    bench.uv()
    text = f'base = "{base(bench.folder, 600, set(versions((bench.folder / "uv.txt").read_text())))}"'
    ours, theirs, times = bench.fresh(), bench.fresh(), Times()
    bench.config(more, text)
    bench.kpack(cache=ours)
    bench.read_natives(ours)
    bench.uv(cache=theirs)
    for _ in range(2 * rounds):
        bench.config(LONG, text)
        bench.kpack(cache=ours)
        bench.config(more, text)
        times.take("kpack lock, one added", bench.kpack(cache=ours, keep=True))
        bench.asks(LONG)
        bench.uv(cache=theirs)
        bench.asks(more)
        times.take("uv, one added", bench.uv(cache=theirs, keep=True))
        times.take("kpack lock, nothing changed", bench.kpack(cache=ours, keep=True))
    print(f"warm: rank-bm25 added to {' '.join(LONG)}")
    times.show()
    times.ratio("kpack lock, one added", "uv, one added", "reach 1.5, and less than 1.2 s")


def replaced(bench: Bench, rounds: int) -> None:
    """Run the first `replace` of one name against the same lock without it, both cold."""
    times = Times()
    for _ in range(rounds):
        bench.config(IN_IMAGE, f'base = "{SNAPSHOT}"')
        times.take("without replace", bench.kpack())
        bench.config(IN_IMAGE, f'base = "{SNAPSHOT}"\nreplace = ["{MOVED}"]')
        times.take(f"replace {MOVED}", bench.kpack())
    print(f"replace: {' '.join(IN_IMAGE)}")
    times.show()
    times.ratio(f"replace {MOVED}", "without replace", "reach 1.2")


def conflict(bench: Bench, rounds: int) -> None:
    """Run a conflict against the lock that its words lead to, both cold."""
    for request in CONFLICTS:
        times, image = Times(), f'base = "{SNAPSHOT}"'
        for _ in range(rounds):
            bench.config([request], image)
            times.take("the conflict told", bench.kpack(codes=(0, 3)))
            said = (bench.folder / "output.txt").read_text()
            words = "\n".join(f"{key} = {names}" for key, names in dict(_WRITTEN.findall(said)).items())
            if not words:
                print(f"conflict: {request}: no words\n{said}")
                break
            bench.config([request], f"{image}\n{words}")
            times.take("the lock it would have been", bench.kpack(codes=(0, 3)))
        else:
            print(f"conflict: {request}, {words.replace(chr(10), ', ')}")
            times.show()
            times.ratio("the conflict told", "the lock it would have been", "reach 3")


def bases(bench: Bench, rounds: int) -> None:
    """Run 900 base packages against 50, cold."""
    bench.asks(LONG)
    bench.uv()
    ours = set(versions((bench.folder / "uv.txt").read_text()))
    texts = {count: f'base = "{base(bench.folder, count, ours)}"' for count in (50, 900)}
    times = Times()
    for _ in range(2 * rounds):
        for count, text in texts.items():
            bench.config(LONG, text)
            times.take(f"{count} base packages", bench.kpack())
    print(f"bases: {' '.join(LONG)}")
    times.show()
    times.ratio("900 base packages", "50 base packages", "reach 1.1")


def longest(bench: Bench, rounds: int) -> None:
    """Run forty real requests, cold, once each beside uv: wheels only, for Python 3.12 without an image."""
    del rounds
    lines = [line.split() for line in REQUESTS.read_text().splitlines() if not line.startswith("#")]
    platform = ("--only-binary", ":all:", "--python-platform", "x86_64-manylinux_2_35")
    print("longest: cold, once each, Python 3.12, wheels only\n    kpack       uv   ratio  cores")
    rows = []
    for names in lines:
        bench.asks(names)
        bench.config(names, 'python = "3.12"')
        ours = bench.kpack(codes=(-9, 0, 3, 4, 5))
        theirs = bench.uv(*platform, python="3.12", codes=(-9, 0, 1, 2))
        odd = "" if ours.code == theirs.code == 0 else f"   kpack ends with {ours.code}, uv with {theirs.code}"
        ratio, cores = ours.seconds / theirs.seconds, ours.cpu / theirs.cpu
        shown = f"{ours.seconds:7.2f}  {theirs.seconds:7.2f}  {ratio:6.2f} {cores:6.2f}"
        print(f"  {shown}  {' '.join(names)}{odd}", flush=True)
        if not odd:
            rows.append((ratio, cores, ours.seconds))
    if not rows:
        return
    ratios, cores_of, seconds = zip(*rows, strict=True)
    print(f"  = {len(rows)} of {len(lines)} have an answer of both; the longest lock took {max(seconds):.1f} s")
    print(f"  = on the wall: median ratio {statistics.median(ratios):.2f}, worst {max(ratios):.2f}")
    print(f"  = of cores: median ratio {statistics.median(cores_of):.2f}, worst {max(cores_of):.2f}")


ROWS = {
    "cold": cold,
    "warm": warm,
    "replace": replaced,
    "conflict": conflict,
    "bases": bases,
    "longest": longest,
}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("row", choices=[*ROWS, "all"])
    parser.add_argument("--records", type=Path, required=True)
    parser.add_argument("--fetch", action="store_true", help="Fetch what the records lack.")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--latency", type=float, default=0.03)
    options = parser.parse_args()
    compileall.compile_dir(ROOT / "kpack", quiet=1)  # as pip does with what it installs
    command = [sys.executable, "-m", "benchmarks.lock.lookalike", str(options.records)]
    command += ["--latency", str(options.latency), *(["--fetch"] if options.fetch else [])]
    server = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    root = server.stdout.readline().strip()
    print(f"Python {PYTHON}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, {options.latency * 1000:.0f} ms")
    try:
        for name in ROWS if options.row == "all" else [options.row]:
            folder = Path(tempfile.mkdtemp(prefix="kpack-bench-"))
            try:
                ROWS[name](Bench(root, folder), options.rounds)
            finally:
                shutil.rmtree(folder)
    finally:
        server.terminate()
        server.wait()


if __name__ == "__main__":
    main()
