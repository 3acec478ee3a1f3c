"""Commands that are disturbed: ``python -m tests.faults.run --runs 100`` prints a table of faults and commands.

The faults: *killed at a moment* and *at a change* of a file; *no room* (ENOSPC), *quota* (EDQUOT), *broken disk*
(EIO) from a change on, the changes taken in turn; *read-only*: every change in the project, the cache or the place for
temporary files refused; *two at once*: the command twice, at times one of them killed; *network*: an answer that
stalls, is reset, cut short, or lies about its length, range, type, encoding or content. Refused changes need a C
compiler (``cc``).

After each: the exit code is one that the fault can have, nothing passes for whole that is not, the old files are
there, no process is left, and the next run succeeds and leaves nothing behind.
"""

from __future__ import annotations

import argparse
import atexit
import errno
import functools
import os
import random
import shutil
import signal
import socketserver
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from tests.faults.network import LIES, lying
from tests.faults.scenes import SCENES, TOKEN

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tests.faults.scenes import Scene

SOURCE = Path(__file__).with_name("refuse.c")
REFUSALS = {"no room": errno.ENOSPC, "quota": errno.EDQUOT, "broken disk": errno.EIO}
PATIENCE = 10.0
"""Seconds in which what a killed command started has to end."""


@functools.cache
def library() -> str | None:
    """Return the compiled `SOURCE`; None without a compiler."""
    compiler = shutil.which("cc")
    if compiler is None:
        return None
    folder = tempfile.mkdtemp(prefix="kpack-refuse-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    made = Path(folder) / "refuse.so"
    subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", made, SOURCE, "-ldl"], check=True)
    return str(made)


class Refusal:
    """Refuses changes of a run, and counts them."""

    def __init__(self, scene: Scene, number: int, error: int, folders: Iterable[Path]) -> None:
        self.counter = scene.folder / "counter"
        self.counter.write_bytes(bytes(8))
        self.environ = {
            "LD_PRELOAD": library() or "",
            "KPACK_FAULT": f"{number} {error} {self.counter} {':'.join(map(str, folders))}",
        }

    @property
    def changes(self) -> int:
        """How many changes there were."""
        return int.from_bytes(self.counter.read_bytes(), sys.byteorder)


@dataclass
class Outcome:
    """What came of many runs."""

    exits: Counter[tuple[str, int]] = field(default_factory=Counter)
    """By fault and exit code."""
    problems: list[str] = field(default_factory=list)


def orphans(token: str) -> list[str]:
    """Return the command lines of processes that have ``token`` among their variables, once they had time to end."""
    end = time.monotonic() + PATIENCE
    while True:
        found = []
        for place in Path("/proc").glob("[0-9]*"):
            try:
                if token.encode() in (place / "environ").read_bytes():
                    line = (place / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace").strip()
                    found += [line] if line else []
            except OSError:
                continue
        if not found or time.monotonic() > end:
            return found
        time.sleep(0.05)


class Runner:
    """Disturbs one scene in every way."""

    def __init__(self, scene: Scene, seed: int) -> None:
        self.scene = scene
        self.chance = random.Random(seed)
        self.outcome = Outcome()
        self.number = 0
        began = time.monotonic()
        scene.reset()
        counted = Refusal(scene, 0, 0, scene.folders)
        code, said = scene.run(counted.environ if library() else None)
        assert code == 0, said
        self.seconds = time.monotonic() - began
        self.changes = counted.changes
        self.ways: dict[str, Callable[[], tuple[int, str, set[int]]]] = {"killed at a moment": self.killed}
        if library():
            self.ways |= {"killed at a change": self.killed_at}
            self.ways |= {name: functools.partial(self.refused, error) for name, error in REFUSALS.items()}
            self.ways["read-only"] = self.read_only
        self.ways["two at once"] = self.twice
        if scene.index is not None:
            self.ways |= {f"network: {lie}": functools.partial(self.lied_to, lie) for lie in LIES}

    def disturb(self, way: str) -> None:
        """Disturb the command once, and judge."""
        self.number += 1
        token = f"{os.getpid()}-{self.number}-{id(self)}"
        self.scene.reset()
        self.scene.extra[TOKEN] = token
        code, said, allowed = self.ways[way]()
        found = [] if code in allowed else [f"exit {code}: {said[-600:]}"]
        found += ["a traceback: " + said[-1500:]] if "/kpack/cli/" in said else []
        found += [f"it outlives the command: {line}" for line in orphans(f"{TOKEN}={token}")]
        found += self.scene.wrong()
        found += self.scene.unfinished()
        self.outcome.exits[way, code] += 1
        self.outcome.problems += [f"{way} {self.number}: {problem}" for problem in found]

    def killed(self) -> tuple[int, str, set[int]]:
        with self.scene.start() as process:
            try:
                out, err = process.communicate(timeout=self.chance.uniform(0.05, self.seconds))
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGKILL)
                out, err = process.communicate()
        return process.returncode, out + err, {0, -signal.SIGKILL}

    def _change(self) -> int:
        """Return the number of a change: each in turn, and then any."""
        return (
            self.number % self.changes + 1 if self.number < 3 * self.changes else self.chance.randint(1, self.changes)
        )

    def killed_at(self) -> tuple[int, str, set[int]]:
        # Whichever process makes the change is killed: where that is a child, the command has to say so.
        refusal = Refusal(self.scene, self.chance.randint(1, self.changes), 0, self.scene.folders)
        return (*self.scene.run(refusal.environ), {0, 1, 7, -signal.SIGKILL})

    def refused(self, error: int) -> tuple[int, str, set[int]]:
        refusal = Refusal(self.scene, self._change(), error, self.scene.folders)
        return (*self.scene.run(refusal.environ), {0, 1, 7})

    def read_only(self) -> tuple[int, str, set[int]]:
        folder = self.scene.folders[self.number % len(self.scene.folders)]
        refusal = Refusal(self.scene, 1, self.chance.choice([errno.EROFS, errno.EACCES]), [folder])
        return (*self.scene.run(refusal.environ), {0, 1, 7})

    def twice(self) -> tuple[int, str, set[int]]:
        first = self.scene.start()
        time.sleep(self.chance.uniform(0, self.seconds / 2))
        with first, self.scene.start() as second:
            if self.chance.random() < 0.5:
                time.sleep(self.chance.uniform(0, self.seconds / 2))
                first.send_signal(signal.SIGKILL)
            said = "".join(first.communicate(timeout=300)) + "".join(second.communicate(timeout=300))
        if first.returncode not in (0, -signal.SIGKILL):
            return first.returncode, said, {0}
        return second.returncode, said, {0}

    def lied_to(self, lie: str) -> tuple[int, str, set[int]]:
        assert self.scene.index is not None
        with lying(self.scene.index, lie, self.chance.randint(1, 8)):
            # A page without links is what an index has of a project without files: kpack cannot tell it from a lie.
            return (*self.scene.run(), {0, 3, 4, 5} if lie == "type" else {0, 4, 5})


def _quiet(*_: object) -> None:
    pass


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=100, help="of each fault and command")
    parser.add_argument("--command", action="append", choices=SCENES)
    parser.add_argument("--fault", action="append", help="begins with this")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    socketserver.BaseServer.handle_error = _quiet  # type: ignore[assignment] # of clients that were killed
    bad = 0
    for command in options.command or SCENES:
        told = 0
        with tempfile.TemporaryDirectory(prefix="kpack-faults-") as folder, ExitStack() as stack:
            runner = Runner(SCENES[command](Path(folder), stack), options.seed)
            for way in runner.ways:
                if options.fault and not way.startswith(tuple(options.fault)):
                    continue
                for _ in range(options.runs):
                    runner.disturb(way)
                exits = {code: count for (name, code), count in sorted(runner.outcome.exits.items()) if name == way}
                found = runner.outcome.problems[told:]
                told += len(found)
                print(f"{command}: {way}: {options.runs} runs, exits {exits}, {len(found)} problems", flush=True)
                for problem in found:
                    print("  " + problem, flush=True)
            bad += told
    return int(bool(bad))


if __name__ == "__main__":
    sys.exit(main())
