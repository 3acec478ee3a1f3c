"""Restores that die: at a given change of the file system, or at a given moment.

``python -m tests.restore.kills --kills 300`` kills that many restores and reports what it found; the tests use the
same parts with fewer.
"""

from __future__ import annotations

import argparse
import csv
import json
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from tests.restore import kit
from tests.support.wheels import make_wheel

HOOK = """
import os, signal, sys
class Count:
    left = {number}
CHANGES = ("os.rename", "os.mkdir", "os.remove", "os.rmdir", "os.symlink", "os.truncate", "os.chmod")
def hook(event, args):
    if event == "open":
        flags = args[2] if isinstance(args[2], int) else 0
        if not flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
            return
    elif event not in CHANGES:
        return
    if not any({place!r} in os.fsdecode(arg) for arg in args[:2] if isinstance(arg, (str, bytes))):
        return
    Count.left -= 1
    if not Count.left:
        {act}
sys.addaudithook(hook)
import atexit
atexit.register(lambda: open({trace!r}, "w").write(str({number} - Count.left)))
"""
KILL = "os.kill(os.getpid(), signal.SIGKILL)"
REFUSE = "raise OSError(28, 'No space left on device', str(args[0]))"


@dataclass(frozen=True)
class Scene:
    """A folder with an old installation, a pack that replaces a part of it, and what must come of it."""

    folder: Path
    pack: Path
    before: dict[str, tuple[int, str]]
    after: dict[str, tuple[int, str]]
    changes: int
    """Changes of the file system that an undisturbed restore makes."""
    seconds: float
    """How long it takes."""

    @property
    def target(self) -> Path:
        """The folder that is restored into."""
        return self.folder / "target"

    def reset(self) -> None:
        """Bring back the old installation."""
        shutil.rmtree(self.target, ignore_errors=True)
        shutil.copytree(self.folder / "original", self.target, symlinks=True)

    def command(self, hook: str) -> list[str]:
        """Return the command of a restore."""
        options = json.dumps({"json": True, "kaggle": False, "target": str(self.target)})
        return [sys.executable, "-I", "-c", hook + kit.RUN, str(self.pack), options, ""]

    def restore(self, number: int = 0, act: str = KILL) -> subprocess.CompletedProcess[str]:
        """Restore, and act at the change of that number."""
        hook = HOOK.format(number=number, act=act, place=str(self.target), trace=str(self.folder / "trace"))
        return subprocess.run(self.command(hook), capture_output=True, text=True, check=False, timeout=120)

    def wrong(self) -> list[str]:
        """Return what is wrong with the folder as a run left it: a mixture that passes for whole."""
        marked = (self.target / ".kpack/mark-scene.json").exists()
        if marked:
            found = files(kit.listing(self.target, without=[".kpack"]))
            return [] if found == files(self.after) else ["marked, but " + difference(found, self.after)]
        return [
            f"{info.name} is visible and not whole"
            for info in self.target.glob("*.dist-info")
            if (info / "METADATA").exists() and not whole(info)
        ]

    def unfinished(self) -> list[str]:
        """Restore again without disturbance and return what is wrong afterwards."""
        done = self.restore()
        if done.returncode:
            return ["the next run failed: " + done.stdout + done.stderr]
        return self.missing()

    def missing(self) -> list[str]:
        """Return what is wrong with the folder after a run that nothing disturbed."""
        found = kit.listing(self.target, without=[".kpack"])
        state = sorted(path.name for path in (self.target / ".kpack").iterdir())
        problems = [] if found == self.after else ["the next run gave " + difference(found, self.after)]
        return problems + ([] if state == ["lock", "mark-scene.json"] else [f"left behind: {state}"])


def files(listing: dict[str, tuple[int, str]]) -> dict[str, tuple[int, str]]:
    """Leave folders out: empty ones of the old installation are removed last of all."""
    return {name: value for name, value in listing.items() if not name.endswith("/")}


def difference(found: dict[str, tuple[int, str]], expected: dict[str, tuple[int, str]]) -> str:
    more, less = sorted(found.keys() - expected.keys()), sorted(expected.keys() - found.keys())
    other = sorted(name for name in found.keys() & expected.keys() if found[name] != expected[name])
    return f"too many: {more[:5]}, missing: {less[:5]}, different: {other[:5]}"


def whole(info: Path) -> bool:
    """Tell whether all that RECORD lists is there, with its size; pip lists scripts of --target where they are not."""
    try:
        with (info / "RECORD").open(newline="", encoding="utf-8") as stream:
            return all(
                not size or path.startswith("../") or (info.parent / path).stat().st_size == int(size)
                for path, _, size in csv.reader(stream)
            )
    except OSError:
        return False


def stage(folder: Path, *, large: int = 200_000) -> Scene:
    """Make a scene: one distribution is replaced, two come new, with scripts and checkpoints."""
    old = make_wheel(
        folder / "wheels",
        "thing",
        "1.0",
        files={
            "thing/__init__.py": "old = 1\n",
            "thing/gone.py": "",
            "thing/data/old.txt": "old",
            "thing/turns/into/a": "file",
            "thing/opens": "into a folder",
        },
        entry_points="[console_scripts]\nthing-old = thing:main\n",
    )
    subprocess.run(
        [
            sys.executable,
            "-m",
            "pip",
            "install",
            "--quiet",
            "--no-index",
            "--no-deps",
            "--target",
            str(folder / "original"),
            str(old),
        ],
        check=True,
    )
    (folder / "original" / "unrelated.py").write_text("stays\n")
    wheels = [
        make_wheel(
            folder / "wheels",
            "thing",
            "2.0",
            files={
                "thing/__init__.py": "new = 2\n",
                "thing/data/new.txt": "new",
                "thing/more/x.py": "",
                "thing/turns": "a file",
                "thing/opens/inner/x.py": "",
            },
            entry_points="[console_scripts]\nthing = thing:main\n",
        ),
        *kit.rich_wheels(folder / "wheels"),
        make_wheel(folder / "wheels", "large", files={"large.bin": random.Random(1).randbytes(large)}),
    ]
    checkpoints = {"models/a.ckpt": random.Random(2).randbytes(3 * large), "b.ckpt": b"small"}
    pack = kit.make_pack(
        folder / "pack", wheels, name="scene", checkpoints=checkpoints, replaces={"thing": "1.0"}, series=[series()]
    )
    empty = Scene(folder, pack.path, {}, {}, 0, 0.0)
    empty.reset()
    before = kit.listing(empty.target)
    began = time.monotonic()
    done = empty.restore()
    seconds = time.monotonic() - began
    assert done.returncode == 0, done.stdout + done.stderr
    changes = int((folder / "trace").read_text())
    return Scene(folder, pack.path, before, kit.listing(empty.target, without=[".kpack"]), changes, seconds)


def series() -> str:
    return f"{sys.version_info[0]}.{sys.version_info[1]}"


def kill_after(scene: Scene, seconds: float) -> bool:
    """Kill a restore after a while; tell whether it was still running."""
    with subprocess.Popen(scene.command(""), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as child:
        try:
            child.wait(seconds)
        except subprocess.TimeoutExpired:
            child.send_signal(signal.SIGKILL)
            child.wait()
            return True
    return False


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--large", type=int, default=20_000_000, help="bytes of the large file of the timed kills")
    options = parser.parse_args()
    chance = random.Random(options.seed)
    bad: Counter[str] = Counter()
    kinds: Counter[str] = Counter()
    with tempfile.TemporaryDirectory(prefix="kpack-kills-") as name:
        scenes = [stage(Path(name) / "small"), stage(Path(name) / "large", large=options.large)]
        number = 0
        while sum(kinds.values()) < options.kills:
            number += 1
            scene = scenes[number % 3 == 0]
            scene.reset()
            if number % 3:
                at = number * 2 // 3 if number * 2 // 3 <= scene.changes else chance.randint(1, scene.changes)
                killed = scene.restore(at).returncode == -signal.SIGKILL
                kind = "at a change"
            else:
                killed = kill_after(scene, chance.uniform(0.02, scene.seconds))
                kind = "at a moment"
            kinds[kind] += killed
            problems = scene.wrong()
            if not problems and number % 5 == 0:
                again = scene.restore(chance.randint(1, scene.changes)).returncode == -signal.SIGKILL
                kinds["again, while cleaning up"] += again
                problems = scene.wrong()
            problems = problems or scene.unfinished()
            bad.update(f"{kind} {number}: {problem}" for problem in problems)
    print(f"{sum(kinds.values())} kills ({dict(kinds)}), {sum(bad.values())} bad states")
    for problem in bad:
        print("  " + problem)
    return bool(bad)


if __name__ == "__main__":
    sys.exit(main())
