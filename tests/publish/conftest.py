"""A Kaggle on loopback, and the command line in processes that can reach nothing else."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from tests.restore.kit import make_pack
from tests.support.installed import internet, serve
from tests.support.kaggle import KEY, TOKEN, Kaggle
from tests.support.terminal import ROOT, Terminal
from tests.support.wheels import make_wheel

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from kpack.pack.writer import BuiltPack
    from tests.support.index import IndexServer
    from tests.support.terminal import Done

DATASET = "me/tiny-env"

_SETTINGS = ("KAGGLE", "HF_", "PIP_", "UV_", "KPACK_")


@dataclass
class Desk:
    """A folder, a Kaggle, and a terminal."""

    folder: Path
    kaggle: Kaggle
    terminal: Terminal
    environ: dict[str, str] = field(default_factory=dict)

    def kpack(self, *words: str | Path, debug: bool = False, **environ: str) -> Done:
        """Run ``kpack``; a credential in what it prints fails the test."""
        done = self.terminal.run(
            [*(["--debug"] if debug else []), *(str(word) for word in words)],
            self.folder,
            {**self.surroundings, **environ},
        )
        said = done.out + done.err
        assert "canary" not in said, said
        assert TOKEN not in said
        assert KEY not in said
        assert debug or "Traceback (most recent call last):\n  File" not in said, said  # a notebook's is its own
        return done

    @property
    def surroundings(self) -> dict[str, str]:
        """The variables of a call."""
        inherited = {
            key: value
            for key, value in os.environ.items()
            if not key.startswith(_SETTINGS) and not key.lower().endswith("_proxy")
        }
        return {
            **inherited,
            "PYTHONPATH": str(ROOT),
            "PYTHONDONTWRITEBYTECODE": "1",
            "NO_COLOR": "1",
            "KPACK_CACHE": str(self.folder / "cache"),
            **self.kaggle.environment,
            **self.environ,
        }

    def good(self, *words: str | Path, **environ: str) -> Done:
        """Run ``kpack`` and expect that it works."""
        done = self.kpack(*words, debug=False, **environ)
        assert done.code == 0, done.out + done.err
        return done

    def pack(self, version: str = "1.0", size: int = 300_000, **files: str) -> BuiltPack:
        """Write a pack with a package of that version, modules by name, and a checkpoint of ``size`` bytes."""
        modules = {f"{name}.py": text for name, text in files.items()} or None
        wheel = make_wheel(self.folder / "wheels", "alpha", version, files=modules)
        content = bytes(range(256)) * (size // 256)
        return make_pack(self.folder / "dist", [wheel], checkpoints={"checkpoints/w.bin": content})

    def give_internet(self, index: IndexServer) -> None:
        """Have notebooks with internet know ``index``, which serves kpack itself, too."""
        serve(index, "kaggle-kpack")
        self.kaggle.kernel_environment = internet(index)

    @property
    def stored(self) -> bytes:
        """The pack in the dataset's current version."""
        dataset = self.kaggle.datasets[DATASET]
        return dataset.versions[dataset.current - 1].files["tiny.kpack.bin"][0]


@pytest.fixture(scope="session")
def terminal() -> Iterator[Terminal]:
    with Terminal(kaggle=True) as started:
        yield started


@pytest.fixture
def desk(tmp_path: Path, terminal: Terminal) -> Iterator[Desk]:
    folder = tmp_path / "desk"
    folder.mkdir()
    sessions = tmp_path / "kaggle"
    sessions.mkdir()
    with Kaggle(sessions) as kaggle:
        yield Desk(folder, kaggle, terminal)
