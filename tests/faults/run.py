"""Commands that are disturbed: ``python -m tests.faults.run --runs 100`` prints a table of faults and commands.

The faults: *killed at a moment* and *at a change* of a file; *SIGTERM* and *SIGINT* at a moment; *no room* (ENOSPC),
*quota* (EDQUOT), *broken disk* (EIO) from a change on, the changes taken in turn; *read-only*: every change in the
project, the cache or the place for temporary files refused; *two at once*: the command twice, at times one of them
killed; *clock*: an hour back, a day ahead, to 1970 or to 2040, from the start or at a moment when it is looked at, with
what the command writes dated so; *network*: an answer that stalls, is reset, cut short, or lies about its length,
range, type, encoding or content. Refused changes and clocks need a C compiler (``cc``).

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
from tests.faults.scenes import TOKEN
from tests.faults.table import SCENES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tests.faults.scenes import Scene

HERE = Path(__file__).parent
JUMPS: dict[str, Callable[[int], int]] = {
    "an hour back": lambda _: -3600,
    "a day ahead": lambda _: 86400,
    "to 1970": lambda now: 86400 - now,
    "to 2040": lambda now: 2_208_988_800 - now,
}
"""By how many seconds the clock of the day jumps, from what it shows."""
REFUSALS = {"no room": errno.ENOSPC, "quota": errno.EDQUOT, "broken disk": errno.EIO}
SIGNALS = {
    "killed at a moment": (signal.SIGKILL, {0, -signal.SIGKILL}),
    "SIGTERM at a moment": (signal.SIGTERM, {0, 130, -signal.SIGTERM}),
    "SIGINT at a moment": (signal.SIGINT, {0, 130, -signal.SIGINT}),
}
"""What a command is sent, and the exit codes that it may have then: its own for Ctrl-C, as soon as it is begun."""
KILLS = 3
"""How often a command is killed, begun again and killed again, before it runs undisturbed."""
PATIENCE = 10.0
"""Seconds in which what a killed command started has to end."""


@functools.cache
def library(name: str) -> str | None:
    """Return ``refuse.c`` or ``clock.c`` compiled; None without a compiler."""
    compiler = shutil.which("cc")
    if compiler is None:
        return None
    folder = tempfile.mkdtemp(prefix="kpack-faults-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    made = Path(folder) / f"{name}.so"
    subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", made, HERE / f"{name}.c", "-ldl"], check=True)
    return str(made)


class Preloaded:
    """A library that every process of a run is begun with, and the count that these share."""

    def __init__(self, scene: Scene, name: str) -> None:
        self.counter = scene.folder / f"{name}-counter"
        self.counter.write_bytes(bytes(8))
        self.environ = {"LD_PRELOAD": library(name) or ""}

    @property
    def count(self) -> int:
        """How often there was what it counts."""
        return int.from_bytes(self.counter.read_bytes(), sys.byteorder)


class Refusal(Preloaded):
    """Refuses changes of a run, and counts them."""

    def __init__(self, scene: Scene, number: int, error: int, folders: Iterable[Path]) -> None:
        super().__init__(scene, "refuse")
        self.environ["KPACK_FAULT"] = f"{number} {error} {self.counter} {':'.join(map(str, folders))}"


class Jump(Preloaded):
    """Lets the clock of a run jump when it is looked at for that time, and counts the looks."""

    def __init__(self, scene: Scene, number: int, seconds: int) -> None:
        super().__init__(scene, "clock")
        self.environ["KPACK_CLOCK"] = f"{number} {seconds} {self.counter}"


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
        changes, looks = Refusal(scene, 0, 0, scene.folders), Jump(scene, 0, 0)
        both = f"{changes.environ['LD_PRELOAD']}:{looks.environ['LD_PRELOAD']}"
        with ExitStack() as watched:
            asked = watched.enter_context(lying(scene.server, "", 0)) if scene.server else []
            code, said = scene.run({**changes.environ, **looks.environ, "LD_PRELOAD": both})
        assert code == 0, said
        self.requests = len(asked)
        self.seconds = time.monotonic() - began
        self.changes, self.looks = changes.count, looks.count
        self.ways: dict[str, Callable[[], tuple[int, str, set[int]]]] = {
            name: functools.partial(self.sent, *facts) for name, facts in SIGNALS.items()
        }
        if shutil.which("cc"):
            self.ways |= {"killed at a change": self.killed_at}
            self.ways |= {name: functools.partial(self.refused, error) for name, error in REFUSALS.items()}
            self.ways["read-only"] = self.read_only
            self.ways |= {f"clock: {name}": functools.partial(self.jumped, name) for name in JUMPS}
        self.ways["two at once"] = self.twice
        if scene.server is not None:
            self.ways |= {f"network: {lie}": functools.partial(self.lied_to, lie) for lie in LIES}

    def disturb(self, way: str) -> None:
        """Disturb the command, judge what it left, and let it run; where it is killed, that is done a few times."""
        self.scene.reset()
        self.scene.lied_to = way.startswith("network")
        found = []
        for _ in range(KILLS if way in SIGNALS or way.startswith("killed") else 1):
            self.number += 1
            token = f"{os.getpid()}-{self.number}-{id(self)}"
            self.scene.extra[TOKEN] = token
            code, said, allowed = self.ways[way]()
            found += [] if code in allowed else [f"exit {code}: {said[-600:]}"]
            found += ["a traceback: " + said[-1500:]] if "/kpack/cli/" in said else []
            found += [f"it outlives the command: {line}" for line in orphans(f"{TOKEN}={token}")]
            found += self.scene.wrong()
            self.outcome.exits[way, code] += 1
            if found or not code:
                break
        found += self.scene.unfinished()
        self.outcome.problems += [f"{way} {self.number}: {problem}" for problem in found]

    def sent(self, number: signal.Signals, allowed: set[int]) -> tuple[int, str, set[int]]:
        with self.scene.start() as process:
            try:
                out, err = process.communicate(timeout=self.chance.uniform(0.05, self.seconds))
            except subprocess.TimeoutExpired:
                process.send_signal(number)
                out, err = process.communicate(timeout=300)
        # Python's own start, before the first line of kpack, is ended by a traceback and exit 1.
        early = {1} if number == signal.SIGINT and "<frozen " in err and "/kpack/" not in err else set()
        return process.returncode, out + err, allowed | early

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

    def jumped(self, name: str) -> tuple[int, str, set[int]]:
        seconds = JUMPS[name](int(time.time()))
        began = time.time_ns()
        jump = Jump(self.scene, self.chance.choice([1, self.chance.randint(1, self.looks)]), seconds)
        code, said = self.scene.run(jump.environ)
        # The system dates files by its own clock; this one has not jumped.
        for folder in self.scene.folders:
            for path in [folder, *folder.rglob("*")]:
                status = path.lstat()
                if status.st_mtime_ns >= began:
                    moment = max(0, status.st_mtime_ns + seconds * 10**9)
                    os.utime(path, ns=(moment, moment), follow_symlinks=False)
        return code, said, {0}

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
        assert self.scene.server is not None
        with lying(self.scene.server, lie, self.chance.randint(1, self.requests)):
            return (*self.scene.run(), set(self.scene.misled))


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
                while sum(count for (name, _), count in runner.outcome.exits.items() if name == way) < options.runs:
                    runner.disturb(way)
                exits = {code: count for (name, code), count in sorted(runner.outcome.exits.items()) if name == way}
                found = runner.outcome.problems[told:]
                told += len(found)
                print(f"{command}: {way}: {sum(exits.values())} runs, exits {exits}, {len(found)} problems", flush=True)
                for problem in found:
                    print("  " + problem, flush=True)
            bad += told
    return int(bool(bad))


if __name__ == "__main__":
    sys.exit(main())
