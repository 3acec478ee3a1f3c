"""Restores without room: at each change of the file system, by a limit on files, and on a full file system.

``python -m tests.restore.full_disks --runs 300`` makes that many and reports what it found. After each the old
installation must be there as it was (or the new one, whole), and the next restore, with room, must succeed.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from tests.restore import kit
from tests.restore.kills import HOOK, REFUSE, Scene, difference, files, stage

if TYPE_CHECKING:
    from collections.abc import Iterator

LIMIT = """
import resource, signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, ({size}, {size}))
"""
ROOM = 64 << 20
"""Bytes of the file system that is filled."""


@contextlib.contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    """Mount a file system in memory at ``folder``; needs root."""
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={ROOM}", "tmpfs", folder], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", folder], check=True)


def judged(scene: Scene, code: int) -> list[str]:
    """Return what is wrong with the folder after a restore that ended with ``code``."""
    found = files(kit.listing(scene.target, without=[".kpack"]))
    if code == 0:
        return [] if found == files(scene.after) else ["exit 0, but " + difference(found, scene.after)]
    if code != 7:
        return [f"exit {code}"]
    return [] if found == files(scene.before) else ["exit 7, but " + difference(found, scene.before)]


def injected(scene: Scene, number: int) -> int:
    """Refuse the change of that number for want of room."""
    return scene.restore(number, REFUSE).returncode


def limited(scene: Scene, chance: random.Random) -> int:
    """Let no file grow beyond a size."""
    hook = LIMIT.format(size=int(2 ** chance.uniform(0, 21)))
    return subprocess.run(scene.command(hook), capture_output=True, check=False, timeout=120).returncode


def filled(scene: Scene, chance: random.Random) -> int:
    """Leave a few kilobytes of the file system that the scene is on."""
    stat = os.statvfs(scene.folder)
    filler = scene.folder / "filler"
    with filler.open("wb") as stream:
        os.posix_fallocate(stream.fileno(), 0, max(1, stat.f_bavail * stat.f_bsize - int(2 ** chance.uniform(10, 21))))
    try:
        hook = HOOK.format(number=0, act="pass", place=str(scene.target), trace=os.devnull)
        return subprocess.run(scene.command(hook), capture_output=True, check=False, timeout=120).returncode
    finally:
        filler.unlink()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    chance = random.Random(options.seed)
    counts: Counter[str] = Counter()
    bad: list[str] = []
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="kpack-full-")))
        scenes = {"injected": stage(folder / "injected"), "limited": stage(folder / "limited")}
        if os.geteuid() == 0:
            disk = stack.enter_context(small_disk(folder / "disk"))
            scenes["filled"] = stage(disk / "scene")
        for run in range(options.runs):
            kind = list(scenes)[run % len(scenes)]
            scene = scenes[kind]
            scene.reset()
            if kind == "injected":
                at = run // len(scenes) % scene.changes + 1
                code = injected(scene, at)
            else:
                code = limited(scene, chance) if kind == "limited" else filled(scene, chance)
            counts[f"{kind}, exit {code}"] += 1
            bad += [f"{kind} {run}: {problem}" for problem in judged(scene, code) or scene.unfinished()]
    print(f"{options.runs} restores without room ({dict(sorted(counts.items()))}), {len(bad)} bad states")
    for problem in bad:
        print("  " + problem)
    return bool(bad)


if __name__ == "__main__":
    sys.exit(main())
