"""What is done in a fault run, and what must hold after it: a scene for each command.

A scene is a project in a folder, as it is before the command: with an old result where the command makes a new one.
Everything else (an index, a Kaggle) is served on loopback from this process.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import sysconfig
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from kpack import ledger, pack
from kpack.environment import load
from kpack.errors import KpackError
from kpack.lock.read import load as load_lock
from tests.restore import kills, kit
from tests.support.index import IndexServer
from tests.support.kaggle import Kaggle
from tests.support.origin import Origin
from tests.support.wheels import make_wheel

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from contextlib import ExitStack
    from http.server import BaseHTTPRequestHandler

ROOT = Path(__file__).parents[2]
HERE = "{}.{}".format(*sys.version_info[:2])
TOKEN = "KPACK_FAULT_RUN"
"""A variable that every process of a run inherits, by which those are found that outlive it."""
DATASET = "me/tiny-env"
_TRIAL = (b"", b"blat")
"""What Python's ``tempfile`` writes for a trial."""
_SETTINGS = ("KAGGLE", "HF_", "PIP_", "UV_", "KPACK", "COVERAGE", "PYTHON")


@dataclass
class Scene:
    """A project, and the command that is disturbed."""

    folder: Path
    stack: ExitStack
    words: Sequence[str] = ()
    extra: dict[str, str] = field(default_factory=dict)
    """Variables of the command."""
    makes: str = ""
    """The file that the command makes, relative to the project; empty for none."""
    old: bytes = b""
    new: bytes = b""
    """Its content before, and after an undisturbed run."""
    server: type[BaseHTTPRequestHandler] | None = None
    """What answers the command's requests."""
    misled: frozenset[int] = frozenset({0, 4, 5})
    """Exit codes that a lie of the network may lead to."""
    lied_to: bool = False
    """The run was."""

    @property
    def project(self) -> Path:
        """The folder of the project, made anew before each run."""
        return self.folder / "project"

    @property
    def original(self) -> Path:
        """What it is made from."""
        return self.folder / "original"

    @property
    def temporary(self) -> Path:
        """The place for temporary files."""
        return self.folder / "tmp"

    @property
    def cache(self) -> Path:
        """The cache, which is as it was before each run, too."""
        return self.folder / "cache"

    @property
    def folders(self) -> tuple[Path, ...]:
        """Where the command may change files."""
        return (self.project, self.cache, self.temporary)

    def environ(self, more: Mapping[str, str] | None = None) -> dict[str, str]:
        """Return the variables of a run."""
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(_SETTINGS) and not name.lower().endswith("_proxy")
        }
        return {
            **kept,
            "KPACK_CACHE": str(self.cache),
            "TMPDIR": str(self.temporary),
            "NO_PROXY": "127.0.0.1",
            "PYTHONPATH": str(ROOT),
            "PYTHONDONTWRITEBYTECODE": "1",
            "NO_COLOR": "1",
            **self.extra,
            **(more or {}),
        }

    def start(self, environ: Mapping[str, str] | None = None) -> subprocess.Popen[str]:
        """Start the command."""
        return subprocess.Popen(
            [sys.executable, "-m", "kpack", *self.words],
            cwd=self.project,
            env=self.environ(environ),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
        )

    def run(self, environ: Mapping[str, str] | None = None, *, words: Sequence[str] = ()) -> tuple[int, str]:
        """Run the command to its end; return exit code and what it said."""
        before, self.words = self.words, words or self.words
        try:
            with self.start(environ) as process:
                out, err = process.communicate(timeout=300)
                return process.returncode, out + err
        finally:
            self.words = before

    def keep(self) -> None:
        """Take the project as it is now for the one that each run begins with, its cache for the cache."""
        for place, kept in ((self.project, self.original), (self.cache, self.folder / "kept")):
            shutil.rmtree(kept, ignore_errors=True)
            place.mkdir(exist_ok=True)
            shutil.copytree(place, kept, symlinks=True)

    def reset(self) -> None:
        """Bring back what was there before."""
        for place, kept in ((self.project, self.original), (self.cache, self.folder / "kept")):
            shutil.rmtree(place, ignore_errors=True)
            shutil.copytree(kept, place, symlinks=True)
        shutil.rmtree(self.temporary, ignore_errors=True)
        self.temporary.mkdir()

    def good(self) -> None:
        """Keep the project, run the command undisturbed, and remember what it made."""
        self.keep()
        self.old = self.made()
        self.reset()
        code, said = self.run()
        assert code == 0, said
        self.new = self.made()
        assert not self.left(), self.left()

    def made(self) -> bytes:
        """Return the content of the file that the command makes; empty where it is not."""
        path = self.project / self.makes
        return path.read_bytes() if self.makes and path.is_file() else b""

    def wrong(self) -> list[str]:
        """Return what is wrong right after a disturbed run."""
        found = self.made()
        problems = [] if found in (self.old, self.new) else [f"{self.makes} is neither the old one nor the new one"]
        for name in ("kaggle-env.toml", "pylock.kaggle-env.toml"):
            path, before = self.project / name, self.original / name
            if (
                name != self.makes
                and before.exists()
                and (not path.exists() or path.read_bytes() != before.read_bytes())
            ):
                problems.append(f"{name} is another one")
        return problems + self.more_wrong()

    def more_wrong(self) -> list[str]:
        """Return what else is wrong."""
        return []

    def unfinished(self) -> list[str]:
        """Run without disturbance; return what is wrong afterwards."""
        code, said = self.run()
        if code:
            return [f"the next run ends with {code}: {said[-600:]}"]
        problems = [] if self.made() == self.new else [f"the next run makes another {self.makes}"]
        return problems + self.more_wrong() + [f"left over: {name}" for name in self.left()]

    def left(self) -> list[str]:
        """Return temporary files that outlived a run."""
        found = [path for path in self.project.rglob("*") if path.name.endswith((".part", ".tmp", ".claim"))]
        found += (self.cache / "tmp").iterdir() if (self.cache / "tmp").exists() else []
        # By its first temporary file Python tries whether the place takes one, and that may be killed, too.
        found += [path for path in self.temporary.iterdir() if not path.is_file() or path.read_bytes() not in _TRIAL]
        return sorted(str(path.relative_to(self.folder)) for path in found)


class LockScene(Scene):
    """A stale lock is there; the file asks for one package more."""

    def more_wrong(self) -> list[str]:
        try:
            load_lock(self.project / self.makes)
        except KpackError as error:
            return [str(error)]
        return []

    def unfinished(self) -> list[str]:
        # Where the lock is made already, the next run looks at nothing else: one that has work to do takes away what
        # the killed one left in the cache.
        if self.made() == self.new:
            code, said = self.run(words=["lock", "--upgrade"])
            if code:
                return [f"an upgrade ends with {code}: {said[-600:]}"]
        return super().unfinished()


class BuildScene(Scene):
    """The pack of an older lock is there."""

    def more_wrong(self) -> list[str]:
        try:
            return [f"{item.where}: {item.what}" for item in pack.verify(pack.read(self.project / self.makes))]
        except KpackError as error:
            return [str(error)]


@dataclass
class PushScene(Scene):
    """A pack that is not on Kaggle yet, and a Kaggle that has an older one."""

    kaggle: Kaggle | None = None
    pushed: bytes = b""

    def reset(self) -> None:
        super().reset()
        if self.kaggle is not None:
            self.kaggle.datasets.clear()
            self.kaggle.blobs.clear()
            self.kaggle.breaks = []
            self.kaggle.faults.clear()

    def more_wrong(self) -> list[str]:
        assert self.kaggle is not None
        held = self.kaggle.datasets.get(DATASET)
        versions = held.versions if held is not None else []
        return ["a version is not the pack" for one in versions if one.files["tiny.kpack.bin"][0] != self.pushed]

    def unfinished(self) -> list[str]:
        problems = super().unfinished()
        assert self.kaggle is not None
        count = len(self.kaggle.datasets[DATASET].versions) if DATASET in self.kaggle.datasets else 0
        return problems + ([] if count == 1 else [f"{count} versions of the dataset"])


class RehearseScene(Scene):
    """A pack; nothing but the memory of a rehearsal comes of one."""

    def made(self) -> bytes:
        """Whether a rehearsal is remembered; the moment does not count."""
        found = ledger.rehearsals(self.project / "dist" / "tiny.kpack.bin")
        return b"".join(f"{item.id} {item.ok}".encode() for item in found)

    def more_wrong(self) -> list[str]:
        same = (self.project / "dist/tiny.kpack.bin").read_bytes() == (
            self.original / "dist/tiny.kpack.bin"
        ).read_bytes()
        return [] if same else ["the pack is another one"]


class RecordScene(Scene):
    """A script that downloads two files; kaggle-env.toml gets two checkpoints, with the digests of what came."""

    def wrong(self) -> list[str]:
        return self.more_wrong() if self.lied_to else super().wrong()

    def unfinished(self) -> list[str]:
        problems = super().unfinished()
        if not self.lied_to:
            return problems
        # Told the truth, it mends what it wrote, in the order in which that stands.
        tables = [sorted(data.decode().split("\n\n")) for data in (self.made().strip(), self.new.strip())]
        return [problem for problem in problems if "makes another" not in problem or tables[0] != tables[1]]

    def more_wrong(self) -> list[str]:
        try:
            load(self.project / self.makes)
        except KpackError as error:
            return [str(error)]
        return []


@dataclass
class RestoreScene(Scene):
    """A folder with an old installation, and a pack that replaces a part of it; the project is that folder."""

    staged: kills.Scene | None = None

    @property
    def project(self) -> Path:
        return self.folder / "target"

    def more_wrong(self) -> list[str]:
        assert self.staged is not None
        return self.staged.wrong()

    def unfinished(self) -> list[str]:
        assert self.staged is not None
        return super().unfinished() + self.staged.missing()


def head(packages: Sequence[str]) -> str:
    machine = sysconfig.get_platform().partition("-")[2]
    return (
        f'# mine\nname = "tiny"\npython = "{HERE}"\nplatform = "manylinux_2_17_{machine}"\n'
        f"packages = {json.dumps(list(packages))}\n"
    )


def served(folder: Path, stack: ExitStack) -> IndexServer:
    index = stack.enter_context(IndexServer())
    for number in range(4):
        files: dict[str, bytes | str] = {
            f"pkg{number}.bin": hashlib.sha256(bytes([number])).digest() * 3000,
            f"pkg{number}.py": "X = 1\n",
        }
        needs = [f"pkg{number + 1}"] if number == 0 else []
        index.add(make_wheel(folder / "wheels", f"pkg{number}", files=files, requires=needs))
    return index


def lock_scene(folder: Path, stack: ExitStack) -> Scene:
    """Return the scene of ``kpack lock``."""
    index = served(folder, stack)
    scene = LockScene(
        folder, stack, ["lock"], {"KPACK_INDEX_URL": index.url}, "pylock.kaggle-env.toml", server=index.handler
    )
    # A page without links is what an index has of a project without files: kpack cannot tell it from a lie.
    scene.misled |= {3}
    ready(scene)
    (scene.project / "kaggle-env.toml").write_text(head(["pkg0"]))
    must(scene, "lock")
    (scene.project / "kaggle-env.toml").write_text(head(["pkg0", "pkg2", "pkg3"]))
    shutil.rmtree(scene.cache)
    scene.good()
    return scene


def build_scene(folder: Path, stack: ExitStack) -> Scene:
    """Return the scene of ``kpack build``."""
    index = served(folder, stack)
    scene = BuildScene(
        folder, stack, ["build"], {"KPACK_INDEX_URL": index.url}, "dist/tiny.kpack.bin", server=index.handler
    )
    ready(scene)
    (scene.project / "weights.ckpt").write_bytes(b"weights" * 50_000)
    table = '\n[[checkpoints]]\nurl = "file:weights.ckpt"\npath = "w.ckpt"\n'
    for packages in (["pkg0"], ["pkg0", "pkg2", "pkg3"]):
        (scene.project / "kaggle-env.toml").write_text(head(packages) + table)
        must(scene, "lock")
        if len(packages) == 1:
            must(scene, "build")
    shutil.rmtree(scene.cache)
    scene.good()
    return scene


def _packed(scene: Scene) -> bytes:
    wheel = make_wheel(scene.folder / "wheels", "alpha", files={"alpha.py": "A = 1\n"})
    weights = {"w.bin": bytes(range(256)) * 8000}
    return kit.make_pack(scene.project / "dist", [wheel], series=[HERE], checkpoints=weights).path.read_bytes()


def push_scene(folder: Path, stack: ExitStack) -> Scene:
    """Return the scene of ``kpack push``."""
    (folder / "kaggle").mkdir()
    kaggle = stack.enter_context(Kaggle(folder / "kaggle"))
    words = ["push", "dist/tiny.kpack.bin", "--dataset", DATASET]
    scene = PushScene(folder, stack, words, dict(kaggle.environment), server=kaggle.handler, kaggle=kaggle)
    ready(scene)
    scene.pushed = _packed(scene)
    scene.good()
    return scene


def rehearse_scene(folder: Path, stack: ExitStack) -> Scene:
    """Return the scene of ``kpack rehearse``; needs root for its walls."""
    words = ["rehearse", "dist/tiny.kpack.bin", "--python", sys.executable]
    scene = RehearseScene(folder, stack, words)
    ready(scene)
    _packed(scene)
    scene.good()
    return scene


def rehearse_on_kaggle_scene(folder: Path, stack: ExitStack) -> Scene:
    """Return the scene of ``kpack rehearse --kaggle``, of a pushed pack; needs root for its walls."""
    (folder / "kaggle").mkdir()
    kaggle = stack.enter_context(Kaggle(folder / "kaggle"))
    place = ["dist/tiny.kpack.bin", "--dataset", DATASET]
    words = ["rehearse", *place, "--kaggle"]
    scene = RehearseScene(folder, stack, words, dict(kaggle.environment), server=kaggle.handler)
    ready(scene)
    _packed(scene)
    must(scene, "push", *place)
    scene.good()
    return scene


def record_scene(folder: Path, stack: ExitStack) -> Scene:
    """Return the scene of ``kpack record``."""
    origin = stack.enter_context(Origin())
    origin.files.update({"/a.bin": b"a" * 200_000, "/b.bin": b"b" * 200_000})
    scene = RecordScene(
        folder, stack, ["record", "get.py"], {"ORIGIN": origin.url}, "kaggle-env.toml", server=origin.handler
    )
    scene.misled |= {1}  # the script fails
    ready(scene)
    (scene.project / "kaggle-env.toml").write_text(head(["pkg0"]))
    (scene.project / "get.py").write_text(
        "import os, urllib.request\nfor name in ('a.bin', 'b.bin'):\n"
        "    with urllib.request.urlopen(os.environ['ORIGIN'] + '/' + name) as answer, open(name, 'wb') as out:\n"
        "        out.write(answer.read())\n"
    )
    scene.good()
    return scene


def restore_scene(folder: Path, stack: ExitStack) -> Scene:
    """Return the scene of ``kpack restore``; `tests.restore.kills` disturbs the same without the command line."""
    staged = kills.stage(folder)
    staged.reset()
    words = ["restore", str(staged.pack), "--target", str(staged.target)]
    scene = RestoreScene(folder, stack, words, staged=staged)
    ready(scene)
    scene.keep()
    return scene


def ready(scene: Scene) -> None:
    for place in scene.folders:
        place.mkdir(parents=True, exist_ok=True)


def must(scene: Scene, *words: str) -> None:
    code, said = scene.run(words=words)
    assert code == 0, said
