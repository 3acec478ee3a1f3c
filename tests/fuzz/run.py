"""Fuzz a reader, guided by coverage: ``python -m tests.fuzz.run manifest --seconds 600``; ``all`` takes them in turn.

Needs atheris (``pip install "kaggle-kpack[fuzz]"``). What it finds is written to ``--found`` as ``NAME-KIND-DIGEST``;
once that is mended it belongs in ``tests/fuzz/corpus/NAME/``. A run ends by an exception that is not allowed, and by
10 s or 1 GB for one input. It says how many inputs it tried, and ``--tally FILE`` adds a row of it to a table that
``python -m tests.fuzz.tally FILE`` adds up.
"""

from __future__ import annotations

import argparse
import hashlib
import logging
import re
import resource
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

from tests.fuzz.tally import Row, add

CORPUS = Path(__file__).with_name("corpus")
MEMORY = 1024
"""Megabytes."""
LONGEST = 10
"""Seconds for one input."""


def fuzz(name: str, words: list[str]) -> None:
    """Fuzz in this process, which libFuzzer ends."""
    import atheris

    with atheris.instrument_imports(include=["kpack"]):
        from tests.fuzz.harnesses import ALL, ALLOWED

    warnings.simplefilter("ignore")
    logging.disable()
    harness = ALL[name]
    folder = Path(tempfile.mkdtemp(prefix="kpack-fuzz-"))

    def one(data: bytes) -> None:
        try:
            harness.run(data, folder)
        except ALLOWED:
            return

    atheris.Setup([sys.argv[0], *words], one)
    atheris.Fuzz()


def seed(name: str, into: Path) -> None:
    """Write the files that a harness begins with, and those of its corpus."""
    from tests.fuzz.harnesses import ALL

    with tempfile.TemporaryDirectory() as folder:
        found = [*ALL[name].seeds(Path(folder)), *kept(name)]
    for data in found:
        (into / hashlib.sha256(data).hexdigest()[:16]).write_bytes(data)


def kept(name: str) -> list[bytes]:
    """Return the corpus that is kept for a harness."""
    return [path.read_bytes() for path in sorted((CORPUS / name).glob("*"))]


def run(name: str, seconds: int, found: Path, grown: Path, most: int) -> Row:
    """Fuzz for that long in a process of its own."""
    corpus = grown / name
    corpus.mkdir(parents=True, exist_ok=True)
    found.mkdir(parents=True, exist_ok=True)
    seed(name, corpus)
    words = [
        f"-max_total_time={seconds}",
        f"-rss_limit_mb={MEMORY}",
        f"-timeout={LONGEST}",
        f"-max_len={most}",
        f"-artifact_prefix={found}/{name}-",
        "-print_final_stats=1",
        "-verbosity=1",
        str(corpus),
    ]
    began, before = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [sys.executable, "-m", "tests.fuzz.run", name, "--here", *words],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        check=False,
        text=True,
        errors="replace",
    )
    tried = re.findall(r"stat::number_of_executed_units: (\d+)", done.stderr) or re.findall(r"#(\d+)", done.stderr)
    edges = re.findall(r"cov: (\d+)", done.stderr)
    finds = re.findall(r"Test unit written to (.*)", done.stderr)
    if done.returncode:
        print(done.stderr[-6000:])
    taken = round(time.monotonic() - began)
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    processor = round(spent.ru_utime + spent.ru_stime - before.ru_utime - before.ru_stime)
    return Row(name, taken, processor, int(tried[-1]) if tried else 0, int(edges[-1]) if edges else 0, len(finds))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name")
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--found", type=Path, default=Path("fuzz-found"))
    parser.add_argument("--grown", type=Path, default=Path("fuzz-corpus"), help="where the corpus grows")
    parser.add_argument("--longest", type=int, default=1 << 14, help="bytes of the longest input")
    parser.add_argument("--tally", type=Path, help="a table that grows by a row for each run")
    parser.add_argument("--here", action="store_true", help="in this process; the other words are libFuzzer's")
    options, words = parser.parse_known_args()
    if options.here:
        fuzz(options.name, words)
        return 0
    from tests.fuzz.harnesses import ALL

    finds = 0
    for name in ALL if options.name == "all" else [options.name]:
        row = run(name, options.seconds, options.found, options.grown, options.longest)
        finds += row.finds
        print(
            f"{name}: {row.seconds} s ({row.processor} s of a processor), {row.inputs} inputs, {row.edges} edges, "
            f"{row.finds} finds",
            flush=True,
        )
        if options.tally:
            add(options.tally, row)
    return int(bool(finds))


if __name__ == "__main__":
    sys.exit(main())
