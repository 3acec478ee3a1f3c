"""``python -m benchmarks.lock.interrupt``: how long Ctrl-C takes to end ``kpack lock``, whatever it is doing.

N presses (``--presses``) at random moments of each phase, on a terminal and where a log is written, against an index on
loopback that takes its time. Per phase: median and longest time from the press to the end of the process, processes
left over, exit codes that no shell shows as 130, and lines after the press that are not the two that say so.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.lock.bench import PYTHON, ROOT, clean
from tests.support.index import IndexServer
from tests.support.lasting import ON_TERMINAL, make_lasting_sdist
from tests.support.wheels import make_wheel

if TYPE_CHECKING:
    from collections.abc import Callable
    from http.server import BaseHTTPRequestHandler

LATENCY = 0.1
"""Seconds that the index takes for each answer."""
DEEP = 60
"""Packages of which each needs the next."""
RELEASES = 40
"""Versions of a package that the image stands in the way of."""
WAITS = 120.0
"""Seconds after which a phase that was not reached is given up."""

ENDS = frozenset({130, -signal.SIGINT})
"""Exit codes of what was stopped: before kpack itself is loaded Python ends by the signal, shown by a shell as 130."""

IN_A_LOG = 'import os, sys; os.execv(sys.executable, [sys.executable, "-m", "kpack", "lock"])'
_DRAWN = re.compile(
    r"\S?\s*(?:[\w-]+-20\d\d-\d\d|python-[\d.]+): (?:resolving|trying)[^…]*(?:…|\d:\d\d:\d\d)"
    r"|\S?\s*(?:resolving|fetching) .*$"
)
_CODES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


@dataclass
class Stage:
    """A project in front of its index."""

    folder: Path
    index: IndexServer
    reached: threading.Event = field(default_factory=threading.Event)
    free: threading.Event = field(default_factory=threading.Event)

    def wants(self, text: str) -> None:
        """Write kaggle-env.toml."""
        target = "" if text.startswith("base") else f'python = "{PYTHON}"\n'
        (self.folder / "kaggle-env.toml").write_text(f'name = "tiny"\n{target}{text}', encoding="utf-8")

    def wheel(self, name: str, version: str, *requires: str) -> None:
        """Serve a wheel."""
        self.index.add(make_wheel(self.folder / "wheels", name, version, requires=list(requires)))

    def on(self, part: str, *, drips: bool = False) -> None:
        """Notice the first request whose path has ``part`` in it; with ``drips`` its answer never comes to an end."""

        def intercept(handler: BaseHTTPRequestHandler) -> bool:
            if part in handler.path:
                self.reached.set()
            if part not in handler.path or not drips:
                return False
            handler.send_response(200)
            handler.send_header("Content-Length", "10000000000")
            handler.end_headers()
            with contextlib.suppress(OSError):
                while handler.command == "GET" and not self.free.wait(0.01):
                    handler.wfile.write(bytes(1 << 16))
            return True

        self.index.intercept = intercept


def resolving(stage: Stage) -> float:
    """Set up pages and metadata that come one after the other; the process itself is loading at first."""
    for number in range(DEEP):
        stage.wheel(f"p{number}", "1.0", *([f"p{number + 1}"] if number + 1 < DEEP else []))
    stage.wants('packages = ["p0"]\n')
    stage.reached.set()
    return 5.0


def words(stage: Stage) -> float:
    """Set up an image that stands in the way, so that words are tried."""
    for number in range(RELEASES):
        stage.wheel("top", f"1.{number}", "numpy<1", f"below=={number}")
        stage.wheel("below", str(number), "pandas<1")
    for name in ("numpy", "pandas"):
        stage.wheel(name, "0.9")
    stage.wants('base = "kaggle-cpu-py312-2026-08"\npackages = ["top"]\n')
    stage.on("top-1.0")
    return 2.0


def checkpoint(stage: Stage) -> float:
    """Set up a large file that comes."""
    stage.wants(f'[[checkpoints]]\nurl = "{stage.index.root}/weights.bin"\npath = "weights.bin"\n')
    stage.on("/weights.bin", drips=True)
    return 2.0


def source(stage: Stage) -> float:
    """Set up a source that is asked what it requires, by a process of a process."""
    stage.index.add(make_lasting_sdist(stage.folder, stage.folder / "reached"))
    stage.wants('packages = ["top"]\nallow-source = ["top"]\n')
    stage.on("top-1.0.tar.gz")
    return 3.0


PHASES: dict[str, Callable[[Stage], float]] = {
    "resolving": resolving,
    "trying words": words,
    "a checkpoint": checkpoint,
    "a source": source,
}
"""What is going on, and what sets it up: it returns the seconds, from its beginning on, among which one is drawn."""


@dataclass
class Press:
    """What one Ctrl-C led to."""

    seconds: float
    """From the press to the end of the process."""
    code: int
    left: list[str]
    """Command lines of processes that are still there a second later."""
    stray: list[str]
    """Lines after the press that nobody asked for."""


def press(phase: str, dice: random.Random, *, terminal: bool) -> Press | None:
    """Run one lock to a random moment of ``phase``, and press; None when it ended before."""
    folder = Path(tempfile.mkdtemp(prefix="kpack-press-"))
    try:
        with IndexServer(latency=LATENCY) as index:
            stage = Stage(folder, index)
            delay = dice.uniform(0, PHASES[phase](stage))
            try:
                return _pressed(stage, delay, terminal=terminal)
            finally:
                stage.free.set()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _pressed(stage: Stage, delay: float, *, terminal: bool) -> Press | None:
    cache = f"{stage.folder}/cache"
    environment = {**clean(), "KPACK_CACHE": cache, "KPACK_INDEX_URL": stage.index.url, "NO_PROXY": "127.0.0.1"}
    environment |= {"PYTHONPATH": str(ROOT), "NO_COLOR": "1", "TERM": "xterm"}
    ours, theirs = os.openpty() if terminal else os.pipe()
    process = subprocess.Popen(
        [sys.executable, "-c", ON_TERMINAL if terminal else IN_A_LOG],
        stdin=theirs if terminal else subprocess.DEVNULL,
        stdout=theirs,
        stderr=theirs,
        cwd=stage.folder,
        env=environment,
        start_new_session=True,
    )
    os.close(theirs)
    screen = bytearray()
    reading = threading.Thread(target=_read, args=(ours, screen), daemon=True)
    reading.start()
    stage.reached.wait(WAITS)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(delay)
    if process.poll() is not None:
        os.close(ours)
        return None
    before, begun = len(screen), time.perf_counter()
    if terminal:
        os.write(ours, b"\x03")
    else:
        process.send_signal(signal.SIGINT)
    code = process.wait(WAITS)
    seconds = time.perf_counter() - begun
    reading.join(1)
    os.close(ours)
    after = _CODES.sub("", bytes(screen[before:]).decode(errors="replace")).replace("^C", "")
    return Press(seconds, code, _left(cache), _stray(after))


def _read(terminal: int, screen: bytearray) -> None:
    with contextlib.suppress(OSError):  # the other end is closed
        while chunk := os.read(terminal, 4096):
            screen += chunk


def _stray(said: str) -> list[str]:
    """Return what was said after the press and is not how it ended; a line that moves may be drawn once more."""
    text = " ".join(said.split())
    text = re.sub(r"kpack: stopped → the lock is as it was.*?not fetched twice", "", text)
    return [row.strip() for row in _DRAWN.split(text) if row.strip()]


def _left(cache: str) -> list[str]:
    """Return the command lines of what knows of this run's cache a second after its end."""
    deadline, found = time.monotonic() + 1, [""]
    while found and time.monotonic() < deadline:
        found = []
        for each in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if cache.encode() in (each / "environ").read_bytes():
                    found.append((each / "cmdline").read_bytes().replace(b"\0", b" ").decode()[:80])
        time.sleep(0.02)
    return found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--presses", type=int, default=20, help="For each phase, on a terminal and in a log.")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    # What a shell starts in the background would ignore Ctrl-C, and so would what is started here.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    print(f"Python {PYTHON}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, {options.presses} presses each")
    print(f"{'phase':14} {'where':9} {'median':>7} {'longest':>8}   left  codes  stray")
    for phase in PHASES:
        for terminal in (True, False):
            dice = random.Random(f"{options.seed} {phase} {terminal}")
            tried = [press(phase, dice, terminal=terminal) for _ in range(options.presses)]
            found = [each for each in tried if each is not None]
            if not found:
                print(f"{phase:14} ended before each press")
                continue
            times = [each.seconds for each in found]
            left = [line for each in found for line in each.left]
            codes = [each.code for each in found if each.code not in ENDS]
            stray = [line for each in found for line in each.stray]
            where = "terminal" if terminal else "log"
            print(
                f"{phase:14} {where:9} {statistics.median(times):5.2f} s {max(times):6.2f} s"
                f"   {len(left):4}  {len(codes):5}  {len(stray):5}   ({len(found)} of {len(tried)} before the end)",
                flush=True,
            )
            for line in dict.fromkeys((*left, *map(str, codes), *stray)):
                print(f"    {line[:200]}")


if __name__ == "__main__":
    main()
