"""Packs of which one byte is another: what the pasted line, the engine and ``kpack verify`` say of each.

``python -m tests.pack.flips --flips 5500 --seed 0`` changes that many bytes, an equal share in each class of bytes that
a pack has (of the line fewer), and reports what came of them. A flip is good when the restore is refused and nothing
counts as installed, or when the restore is right to the last byte and the class is one of those that a restore does not
read (`HARMLESS`). ``verify`` must find every one. Every `BY_LINE`-th flip is tried by the pasted line in an interpreter
of its own, too.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from kpack import bootstrap, pack
from kpack.errors import KpackError
from kpack.pack import line as lines
from kpack.pack import tarfmt
from kpack.restore.engine import Options, restore
from kpack.restore.errors import RestoreError
from kpack.restore.manifest import loads
from tests.restore import kit
from tests.support.wheels import make_wheel

if TYPE_CHECKING:
    from collections.abc import Iterator

HARMLESS = {
    "headers of tar": "a restore finds members by the offsets of the manifest",
    "padding and end": "the same",
    "lock and requirements": "they are there for whoever installs by hand",
    "another target": "its wheels are not this interpreter's",
    "the line": "what the line says of packs that it passes over, and how far it looks",
}
"""The classes of bytes of which a change may do nothing, and why."""

BY_LINE = 99


@dataclass(frozen=True)
class Flip:
    """One byte of a pack (or of its line, when ``kind`` is that) and the bits that change in it."""

    kind: str
    offset: int
    bits: int

    def on(self, data: bytes) -> bytes:
        """Return ``data`` with that byte changed."""
        changed = bytearray(data)
        changed[self.offset] ^= self.bits
        return bytes(changed)


class Scene:
    """A pack of every kind of member, what it restores to, and where its bytes belong."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        here = "{}.{}".format(*sys.version_info[:2])
        wheels = kit.rich_wheels(folder / "wheels")
        noise = random.Random(3).randbytes(60_000)
        wheels.append(make_wheel(folder / "wheels", "noise", files={"noise.bin": noise, "noise.py": "N = 1\n"}))
        wheels[0] = make_wheel(folder / "wheels", "small", files={"small/__init__.py": "S = 1\n", "small.txt": "é"})
        other = make_wheel(folder / "wheels", "elsewhere", files={"elsewhere.py": "E = 1\n" * 300})
        weights = {"models/a.ckpt": random.Random(2).randbytes(20_000), "b.ckpt": b"small"}
        built = kit.make_pack(
            folder / "pack", wheels, name="flips", checkpoints=weights, series=[here], elsewhere={"3.7": [other]}
        )
        self.path = built.path
        self.good = built.path.read_bytes()
        self.line = pack.read(built.path).line
        self.target = folder / "target"
        self.place = self.target
        self.restore(self.good)
        self.right = {self.place: self.listing()}
        # The line restores into the interpreter that runs it, and checkpoints into the working folder.
        self.kernel = folder / "kernel"
        kit.make_venv(here, folder / "pristine")
        self.place = self.kernel
        assert not self.by_line(self.good, self.line)
        self.right[self.place] = self.listing()

    def listing(self) -> dict[str, tuple[int, str]]:
        """Return what the last restore's place holds, without kpack's own state."""
        found = kit.listing(self.place)
        return {name: value for name, value in found.items() if ".kpack" not in name.split("/")}

    def classes(self) -> dict[str, list[range]]:
        """Return the ranges of the file's bytes by their class."""
        found: dict[str, list[range]] = {}
        read = pack.read(self.path)
        first = tarfmt.first_size(self.good[: tarfmt.BLOCK]) or 0
        place = 0
        heads = [("bootstrap.py", first), ("kpack.json", lines.parse(pack.bootstrap_of(read), "").manifest_size)]
        members = [(member.path, member.size) for member in read.manifest.members]
        mine = {item.wheel for item in next(iter(read.manifest.targets)).distributions}
        for path, size in [*heads, *members]:
            head = len(tarfmt.header(path, size))
            found.setdefault("headers of tar", []).append(range(place, place + head))
            place += head
            kind = {"bootstrap.py": "the bootstrap", "kpack.json": "the manifest", "restore.bin": "the engine"}.get(
                path
            )
            if kind is None:
                kind = "lock and requirements"
                if path.startswith("checkpoints/"):
                    kind = "checkpoints"
                if path.startswith("wheels/"):
                    kind = "wheels" if path in mine else "another target"
            found.setdefault(kind, []).append(range(place, place + size))
            place += size
            found.setdefault("padding and end", []).append(range(place, place + tarfmt.padding(size)))
            place += tarfmt.padding(size)
        found["padding and end"].append(range(place, len(self.good)))
        found["the line"] = [range(len(self.line))]
        return found

    def restore(self, data: bytes) -> str:
        """Restore a pack of these bytes in this process, by the steps of line and bootstrap; return who refused it."""
        self.place = self.target
        shutil.rmtree(self.place, ignore_errors=True)
        self.path.write_bytes(data)
        # The line: the bytes that it pins, and no parser of anything before.
        size = tarfmt.first_size(self.good[: tarfmt.BLOCK]) or 0
        code = data[tarfmt.BLOCK : tarfmt.BLOCK + size]
        if hashlib.sha256(code).digest() != hashlib.sha256(self.good[tarfmt.BLOCK : tarfmt.BLOCK + size]).digest():
            return "the line"
        pinned = lines.parse(code, "bootstrap.py")
        before, environment = sys.path[:], dict(os.environ)
        try:
            _, manifest, _ = bootstrap.parts(str(self.path), pinned.manifest_sha256, pinned.manifest_size)
            options = Options(target=str(self.target), kaggle=False)
            restore(str(self.path), loads(manifest), id=hashlib.sha256(code).hexdigest(), options=options)
        except (bootstrap.Untrusted, OSError):
            return "the bootstrap"
        except RestoreError:
            return "the engine"
        finally:
            sys.path[:] = before
            os.environ.clear()
            os.environ.update(environment)
        return ""

    def by_line(self, data: bytes, line: str) -> str:
        """Restore by a pasted line in an interpreter of its own; return who refused it."""
        self.place = self.kernel
        shutil.rmtree(self.place, ignore_errors=True)
        shutil.copytree(self.folder / "pristine", self.place, symlinks=True)
        (self.place / "work").mkdir()
        self.path.write_bytes(data)
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("KPACK", "KAGGLE", "PYTHON"))}
        done = subprocess.run(
            [str(self.place / "bin" / "python"), "-I", "-c", line],
            env={**kept, "KPACK_PACK": str(self.path)},
            cwd=self.place / "work",
            check=False,
            capture_output=True,
            timeout=120,
        )
        return "" if not done.returncode else "the line's process"

    def wrong(self, flip: Flip, refused: str) -> str:
        """Return what is wrong with the last restore's place after a flip."""
        found, right = self.listing(), self.right[self.place]
        if refused:
            before = kit.listing(self.folder / "pristine") if self.place == self.kernel else {}
            left = [name for name in found.keys() - before.keys() if not name.endswith("/")]
            left += map(str, self.place.rglob("mark-*.json"))
            return f"refused by {refused}, but there is {sorted(left)}" if left else ""
        if found != right:
            return "restored, and not what it was"
        return "" if flip.kind in HARMLESS else "restored although a byte of it is another"

    def verified(self) -> bool:
        """Tell whether ``kpack verify`` finds nothing."""
        try:
            found = pack.read(self.path)
            return found.id == self.id and not pack.verify(found)
        except KpackError:
            return False

    @property
    def id(self) -> str:
        """The id of the right pack: what ``verify --expect`` is given."""
        size = tarfmt.first_size(self.good[: tarfmt.BLOCK]) or 0
        return hashlib.sha256(self.good[tarfmt.BLOCK : tarfmt.BLOCK + size]).hexdigest()


def flips(scene: Scene, count: int, seed: int) -> Iterator[Flip]:
    """Yield ``count`` flips: an equal share of every class, of the line as many as are tried by it."""
    chance = random.Random(seed)
    classes = scene.classes()
    kinds = [kind for kind in classes if kind != "the line"]
    for number in range(count):
        kind = "the line" if number % BY_LINE == BY_LINE - 1 else kinds[number % len(kinds)]
        ranges = [one for one in classes[kind] if one]
        place = chance.choices(ranges, weights=list(map(len, ranges)))[0]
        yield Flip(kind, chance.choice(place), 1 << chance.randrange(8))


@dataclass
class Outcome:
    """What came of many flips."""

    counts: Counter[tuple[str, str]]
    """By class of bytes, and by who refused it ("" is nobody)."""
    problems: list[str]


def run(scene: Scene, count: int, seed: int, *, by_line: int = BY_LINE) -> Outcome:
    """Try ``count`` flips."""
    outcome = Outcome(Counter(), [])
    for number, flip in enumerate(flips(scene, count, seed)):
        if flip.kind == "the line":
            # A letter more or less would be another program: what Python makes of it is tried in a process.
            line = flip.on(scene.line.encode()).decode("latin-1")
            refused = scene.by_line(scene.good, line)
        else:
            data = flip.on(scene.good)
            refused = scene.restore(data)
            if scene.verified():
                outcome.problems.append(f"{flip}: verify finds nothing")
            if by_line and number % by_line == 0:
                before = scene.wrong(flip, refused)
                if bool(scene.by_line(data, scene.line)) != bool(refused):
                    outcome.problems.append(f"{flip}: line and engine differ")
                outcome.problems += [f"{flip}: {before}"] if before else []
        wrong = scene.wrong(flip, refused)
        outcome.counts[flip.kind, refused] += 1
        outcome.problems += [f"{flip}: {wrong}"] if wrong else []
    return outcome


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--flips", type=int, default=5500)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="kpack-flips-") as folder:
        outcome = run(Scene(Path(folder)), options.flips, options.seed)
    for (kind, refused), count in sorted(outcome.counts.items()):
        said = f"refused by {refused}" if refused else f"harmless: {HARMLESS.get(kind, 'NO')}"
        print(f"{kind}: {count} {said}")
    print(f"{sum(outcome.counts.values())} flips, {len(outcome.problems)} problems")
    for problem in outcome.problems:
        print(f"  {problem}")
    return int(bool(outcome.problems))


if __name__ == "__main__":
    sys.exit(main())
