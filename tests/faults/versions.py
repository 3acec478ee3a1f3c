"""Several versions of kpack over one cache, lock, pack and target: ``python -m tests.faults.versions --runs 40``.

The versions: the last one before the present number, the one in the middle since then, and what is checked out; or
those of ``--revision`` (as often as wanted), and what is checked out. The code of each is taken from git's history and
run with the libraries that are installed here. A run takes some steps, each a command of a version by chance, one
after another or two at once; kaggle-env.toml changes between them.

After each step: the exit code is one of kpack's, without a traceback, and with 0 what the command makes is whole. After
each run the newest version locks, builds, verifies and restores, and what is there then is what it makes alone: the
lock's bytes, the pack's, each file that it restores; nothing is left over and nothing in the cache is damaged. (What
an earlier pack brought to the target and the last one does not have stays, as ``pip install`` has it.)
"""

from __future__ import annotations

import argparse
import hashlib
import io
import random
import shutil
import socketserver
import subprocess
import sys
import tarfile
import tempfile
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from kpack import pack
from kpack.cache import Cache
from kpack.errors import KpackError
from kpack.lock.read import load as load_lock
from tests.faults.scenes import ROOT, Scene, head, must, ready, served

if TYPE_CHECKING:
    from collections.abc import Sequence

LOCK, PACK, TARGET = "pylock.kaggle-env.toml", "dist/tiny.kpack.bin", "target"
RESTORE = ("restore", PACK, "--target", TARGET)
STEPS: tuple[tuple[str, ...], ...] = (
    ("lock",),
    ("lock", "--upgrade"),
    ("build",),
    ("build",),
    ("verify", PACK),
    RESTORE,
    RESTORE,
    ("cache", "prune"),
    ("cache", "verify"),
)
FILES = (("pkg0",), ("pkg0", "pkg2"), ("pkg3",))
"""What kaggle-env.toml asks for, now this and now that; the last step asks for the first."""
CODES = frozenset({0, 1, 2, 5, 6, 7})
"""No step needs a solution or a network that is not there."""


def git(*words: str) -> bytes:
    """Return what git says of this checkout."""
    return subprocess.run(["git", "-C", str(ROOT), *words], check=True, capture_output=True).stdout


def usual() -> list[str]:
    """Return the last revision before the present version's number, and the one in the middle since then."""
    line = next(row for row in (ROOT / "kpack/__init__.py").read_text().splitlines() if row.startswith("__version__"))
    numbered = git("log", "--format=%H", f"-S{line}", "--", "kpack/__init__.py").decode().split()
    since = git("rev-list", "--first-parent", f"{numbered[-1]}..HEAD").decode().split()
    return [f"{numbered[-1]}~1", *since[len(since) // 2 :][:1]]


def taken(revision: str, folder: Path) -> Path:
    """Write the code of a revision below ``folder`` and return where it is."""
    place = folder / git("rev-parse", "--short", revision).decode().strip()
    with tarfile.open(fileobj=io.BytesIO(git("archive", revision, "kpack"))) as archive:
        archive.extractall(place, filter="data")
    return place


@dataclass
class Versions:
    """One project, and the folders that versions of kpack lie in."""

    scene: Scene
    places: Sequence[Path]
    chance: random.Random
    exits: Counter[tuple[str, str, int]] = field(default_factory=Counter)
    """By version, command and exit code."""
    said: dict[tuple[str, str, int], str] = field(default_factory=dict)
    """An example of what is said with an exit code that is not 0."""
    problems: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.scene.keep()
        self.expected = self.finished()
        self.scene.keep()
        assert not self.problems, self.problems

    def run(self, number: int, steps: int) -> None:
        """Take ``steps`` steps by chance, then the last ones, and judge."""
        self.scene.reset()
        shutil.rmtree(self.scene.project / TARGET, ignore_errors=True)
        before = len(self.problems)
        for _ in range(steps):
            if self.chance.random() < 0.4:
                self.ask(self.chance.choice(FILES))
            count = self.chance.choice([1, 1, 2])
            chosen = [(self.chance.choice(self.places), self.chance.choice(STEPS)) for _ in range(count)]
            with ExitStack() as stack:
                begun = []
                for place, words in chosen:
                    self.scene.words = words
                    begun.append(stack.enter_context(self.scene.start({"PYTHONPATH": str(place)})))
                for (place, words), process in zip(chosen, begun, strict=True):
                    out, err = process.communicate(timeout=300)
                    self.judge(place, words, process.returncode, out + err, alone=count == 1)
        found = self.finished()
        self.problems += [
            f"in the end {name} is {'another' if name in found else 'missing'}"
            for name, digest in self.expected.items()
            if found.get(name) != digest
        ]
        self.problems[before:] = [f"run {number}: {problem}" for problem in self.problems[before:]]

    def ask(self, packages: Sequence[str]) -> None:
        """Have kaggle-env.toml ask for these packages."""
        (self.scene.project / "kaggle-env.toml").write_text(head(packages))

    def judge(self, place: Path, words: Sequence[str], code: int, said: str, *, alone: bool) -> None:
        """Hold a step against what may come of it."""
        key = place.name, " ".join(words[:2]), code
        self.exits[key] += 1
        self.said.setdefault(key, said.strip().splitlines()[0][:160] if code and said.strip() else "")
        what = f"{' '.join(words)} of {place.name}"
        if code not in CODES or "Traceback" in said:
            self.problems.append(f"{what}: exit {code}: {said[-800:]}")
        if code or not alone:
            return
        try:
            if words[0] == "lock":
                load_lock(self.scene.project / LOCK)
            if words[0] in {"build", "verify"}:
                # Its code is that of a revision, which no list of versions knows.
                found = pack.verify(pack.read(self.scene.project / PACK), proven=True)
                self.problems += [f"{what} ends well, and {item.where}: {item.what}" for item in found]
        except KpackError as error:
            self.problems.append(f"{what} ends well, and left {error}")

    def finished(self) -> dict[str, str]:
        """Have the newest version do everything; return the digest of each file that there is then."""
        self.ask(FILES[0])
        for words in (("lock", "--upgrade"), ("build",), ("verify", PACK), RESTORE, ("cache", "verify")):
            code, said = self.scene.run(words=words)
            if code:
                self.problems.append(f"the last {' '.join(words)} ends with {code}: {said[-800:]}")
        self.problems += [f"left over: {name}" for name in self.scene.left()]
        assert not Cache(self.scene.cache).verify()
        target = self.scene.project / TARGET
        files = [self.scene.project / LOCK, self.scene.project / PACK, *sorted(target.rglob("*"))]
        kept = [path for path in files if path.is_file() and ".kpack" not in path.relative_to(self.scene.project).parts]
        return {
            path.relative_to(self.scene.project).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in kept
        }


def staged(folder: Path, stack: ExitStack, places: Sequence[Path], seed: int) -> Versions:
    """Return a project in ``folder`` that the versions at ``places`` work on."""
    index = served(folder, stack)
    scene = Scene(folder, stack, extra={"KPACK_INDEX_URL": index.url})
    ready(scene)
    (scene.project / "kaggle-env.toml").write_text(head(FILES[0]))
    must(scene, "lock")
    return Versions(scene, places, random.Random(seed))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=40)
    parser.add_argument("--steps", type=int, default=8, help="of a run; two at once count as one")
    parser.add_argument("--revision", action="append", help="of git; as often as wanted")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    socketserver.BaseServer.handle_error = lambda *_: None  # type: ignore[method-assign] # of clients that end early
    with tempfile.TemporaryDirectory(prefix="kpack-versions-") as name, ExitStack() as stack:
        places = [*(taken(one, Path(name, "code")) for one in options.revision or usual()), ROOT]
        versions = staged(Path(name), stack, places, options.seed)
        for number in range(options.runs):
            versions.run(number, options.steps)
        for key, count in sorted(versions.exits.items()):
            place, words, code = key
            print(f"{place}: {words}: exit {code}: {count}  {versions.said[key]}".rstrip())
        count = versions.exits.total()
        print(f"{len(places)} versions, {options.runs} runs, {count} steps, {len(versions.problems)} problems")
        for problem in versions.problems:
            print("  " + problem)
    return int(bool(versions.problems))


if __name__ == "__main__":
    sys.exit(main())
