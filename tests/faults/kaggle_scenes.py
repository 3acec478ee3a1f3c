"""Scenes of commands that talk to Kaggle by its own clients: ``kaggle`` and ``kagglehub``, served on loopback."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from kpack.base import load as load_base
from kpack.errors import KpackError
from tests.checkpoints.servers import KaggleServer
from tests.faults.scenes import DATASET, BuildScene, LockScene, RecordScene, Scene, head, must, ready
from tests.support.index import IndexServer
from tests.support.installed import internet, serve
from tests.support.kaggle import Kaggle
from tests.support.origin import Origin
from tests.support.wheels import make_wheel

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from contextlib import ExitStack
    from pathlib import Path


@dataclass
class ProbeScene(Scene):
    """An older snapshot is there; Kaggle runs the cell."""

    kaggle: Kaggle | None = None

    def reset(self) -> None:
        super().reset()
        if self.kaggle is not None:
            self.kaggle.kernels.clear()

    def more_wrong(self) -> list[str]:
        try:
            load_base(f"./{self.makes}", self.project)
        except KpackError as error:
            return [str(error)]
        return []


@dataclass
class StatusScene(Scene):
    """A pack that is on Kaggle: what is said of it is what Kaggle says, or that nobody could be asked."""

    truth: dict[str, object] = field(default_factory=dict)

    def run(self, environ: Mapping[str, str] | None = None, *, words: Sequence[str] = ()) -> tuple[int, str]:
        code, said = super().run(environ, words=words)
        if self.truth and not words:
            told = self.told(said)
            return (code if told == self.truth or not told["asked"] else -1), said
        return code, said

    @staticmethod
    def told(said: str) -> dict[str, object]:
        """Return what is said of the dataset; notes for a person stand behind the object."""
        found: dict[str, object] = json.JSONDecoder().raw_decode(said)[0]["dataset"]
        return found

    def unfinished(self) -> list[str]:
        code, said = self.run()
        return [] if not code and self.told(said) == self.truth else [f"the next run says {said}"]


@dataclass
class NotebooksScene(Scene):
    """A pair of notebooks that is not on Kaggle, the second with the line of an older pack; Kaggle runs both."""

    kaggle: Kaggle | None = None

    def reset(self) -> None:
        super().reset()
        if self.kaggle is not None:
            for run in [run for runs in self.kaggle.kernels.values() for run in runs]:
                run.done.wait(self.kaggle.longest)  # one that was begun and is not waited for
            self.kaggle.kernels.clear()

    def run(self, environ: Mapping[str, str] | None = None, *, words: Sequence[str] = ()) -> tuple[int, str]:
        code, said = super().run(environ, words=words)
        return (-1 if not words and not code and not self.proved() else code), said

    def proved(self) -> bool:
        """Tell whether Kaggle has built the pack, and restored it without internet by the line that is there now."""
        assert self.kaggle is not None
        newest = {ref: runs[-1] for ref, runs in self.kaggle.kernels.items()}
        if set(newest) != {"me/tiny-builder", "me/tiny-inference"}:
            return False
        told = newest["me/tiny-inference"].request
        same = self.line(told["text"]) == self.line(self.made()) and told["enableInternet"] is False
        return same and all(run.ran is not None and run.ran.ok for run in newest.values())

    @staticmethod
    def line(notebook: str | bytes) -> str:
        """Return the line of an inference notebook."""
        return next(
            "".join(cell["source"]) for cell in json.loads(notebook)["cells"] if "w='" in "".join(cell["source"])
        )


def notebooks_scene(folder: Path, stack: ExitStack) -> Scene:
    """Return the scene of ``kpack push --notebooks``; needs root for the notebooks that Kaggle runs."""
    (folder / "kaggle").mkdir()
    kaggle = stack.enter_context(Kaggle(folder / "kaggle"))
    index = stack.enter_context(IndexServer())
    index.add(make_wheel(folder / "wheels", "alpha"))
    serve(index, "kaggle-kpack")
    kaggle.kernel_environment = internet(index)
    scene = NotebooksScene(
        folder,
        stack,
        ["push", "--notebooks"],
        {**kaggle.environment, "KPACK_INDEX_URL": index.url},
        "notebooks/inference/inference.ipynb",
        server=kaggle.handler,
        kaggle=kaggle,
    )
    scene.misled |= {1}  # Kaggle says that a notebook failed
    ready(scene)
    for packages in ([], ["alpha"]):
        (scene.project / "kaggle-env.toml").write_text(head(packages))
        must(scene, "lock")
        must(scene, "build")
        before = scene.made()
        must(scene, "notebook", "--owner", "me")
    (scene.project / scene.makes).write_bytes(before)
    scene.good()
    return scene


def probe_scene(folder: Path, stack: ExitStack) -> Scene:
    """Return the scene of ``kpack probe --kaggle``; needs root for the notebook that Kaggle runs."""
    (folder / "kaggle").mkdir()
    kaggle = stack.enter_context(Kaggle(folder / "kaggle"))
    words = ["probe", "--kaggle", "cpu", "-o", "base.json", "--no-use"]
    scene = ProbeScene(
        folder, stack, words, dict(kaggle.environment), "base.json", server=kaggle.handler, kaggle=kaggle
    )
    scene.misled |= {1}  # Kaggle says that the notebook failed
    ready(scene)
    (scene.project / "kaggle-env.toml").write_text('# mine\nname = "tiny"\nbase = "./base.json"\npackages = []\n')
    must(scene, *words)
    made = json.loads((scene.project / "base.json").read_text())
    (scene.project / "base.json").write_text(json.dumps({**made, "taken": "2026-01-01"}))
    scene.good()
    return scene


def status_scene(folder: Path, stack: ExitStack) -> Scene:
    """Return the scene of ``kpack status``, of a pushed pack."""
    (folder / "kaggle").mkdir()
    kaggle = stack.enter_context(Kaggle(folder / "kaggle"))
    scene = StatusScene(folder, stack, ["status", "--json"], dict(kaggle.environment), server=kaggle.handler)
    scene.misled = frozenset({0})
    ready(scene)
    (scene.project / "weights.ckpt").write_bytes(b"weights" * 5_000)
    (scene.project / "kaggle-env.toml").write_text(
        head([]) + f'[[checkpoints]]\nurl = "file:weights.ckpt"\npath = "w.ckpt"\n[publish]\ndataset = "{DATASET}"\n'
    )
    for word in ("lock", "build", "push"):
        must(scene, word)
    scene.good()
    scene.truth = scene.told(scene.run()[1])
    assert scene.truth["asked"]
    assert scene.truth["mountable"]
    return scene


def _weights(folder: Path, stack: ExitStack) -> tuple[Scene, str]:
    """Return a project, and a table that asks for two files of a dataset and one of a model."""
    files = {"a.ckpt": bytes(range(256)) * 800, "b.txt": b"beta" * 100}
    kaggle = stack.enter_context(KaggleServer({"me/weights": {1: files}}, {"me/net/pytorch/base": {2: files}}))
    scene = Scene(folder, stack, extra=dict(kaggle.variables), server=kaggle.handler)
    urls = {"w": "kaggle://datasets/me/weights", "m.ckpt": "kaggle://models/me/net/pytorch/base/a.ckpt"}
    return scene, "".join(f'\n[[checkpoints]]\nurl = "{url}"\npath = "{path}"\n' for path, url in urls.items())


def lock_from_kaggle_scene(folder: Path, stack: ExitStack) -> Scene:
    """Return the scene of ``kpack lock`` of files on Kaggle, by ``kagglehub``."""
    made, table = _weights(folder, stack)
    scene = LockScene(folder, stack, ["lock"], made.extra, "pylock.kaggle-env.toml", server=made.server)
    ready(scene)
    (scene.project / "kaggle-env.toml").write_text(head([]))
    must(scene, "lock")
    (scene.project / "kaggle-env.toml").write_text(head([]) + table)
    scene.good()
    return scene


def build_from_kaggle_scene(folder: Path, stack: ExitStack) -> Scene:
    """Return the scene of ``kpack build`` of files on Kaggle, by ``kagglehub``."""
    made, table = _weights(folder, stack)
    scene = BuildScene(folder, stack, ["build"], made.extra, "dist/tiny.kpack.bin", server=made.server)
    ready(scene)
    for text in (head([]), head([]) + table):
        (scene.project / "kaggle-env.toml").write_text(text)
        must(scene, "lock")
        if text == head([]):
            must(scene, "build")
    shutil.rmtree(scene.cache)
    scene.good()
    return scene


def record_from_kaggle_scene(folder: Path, stack: ExitStack) -> Scene:
    """Return the scene of ``kpack record`` of a script that asks ``kagglehub``, and fetches one file itself."""
    made, _ = _weights(folder, stack)
    origin = stack.enter_context(Origin())
    origin.files["/a.bin"] = b"a" * 200_000
    extra = {**made.extra, "ORIGIN": origin.url}
    scene = RecordScene(folder, stack, ["record", "get.py"], extra, "kaggle-env.toml", server=made.server)
    scene.misled |= {1}  # the script fails
    ready(scene)
    (scene.project / "kaggle-env.toml").write_text(head(["pkg0"]))
    (scene.project / "get.py").write_text(
        "import os, urllib.request, kagglehub\n"
        "kagglehub.dataset_download('me/weights')\n"
        "kagglehub.model_download('me/net/pytorch/base', path='a.ckpt')\n"
        "urllib.request.urlretrieve(os.environ['ORIGIN'] + '/a.bin', 'a.bin')\n"
    )
    scene.good()
    return scene
