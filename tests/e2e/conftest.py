"""A project on a loopback index, and the command line in processes of its own."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from tests.cli.run import terminal
from tests.support.index import IndexServer
from tests.support.wheels import make_wheel

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from tests.support.terminal import Done

PYTHON = f"{sys.version_info[0]}.{sys.version_info[1]}"


@dataclass
class Workshop:
    """A folder with a kaggle-env.toml, an index of tiny wheels, and a cache of its own."""

    folder: Path
    index: IndexServer
    environment: dict[str, str] = field(default_factory=dict)

    def write(self, text: str) -> Path:
        """Write kaggle-env.toml."""
        path = self.folder / "kaggle-env.toml"
        path.write_text(text, encoding="utf-8")
        return path

    def kpack(self, *words: str | Path, env: Mapping[str, str] | None = None, cwd: Path | None = None) -> Done:
        """Run ``kpack`` in a process of its own."""
        return terminal().run(
            [str(word) for word in words],
            cwd or self.folder,
            {
                **os.environ,
                "KPACK_INDEX_URL": self.index.url,
                "KPACK_CACHE": str(self.folder / "cache"),
                "NO_PROXY": "127.0.0.1",
                **self.environment,
                **(env or {}),
            },
        )

    def good(self, *words: str | Path, env: Mapping[str, str] | None = None) -> Done:
        """Run ``kpack`` and expect that it works."""
        done = self.kpack(*words, env=env)
        assert done.code == 0, done.out + done.err
        return done

    @property
    def pack(self) -> Path:
        """The pack."""
        return self.folder / "dist" / "tiny.kpack.bin"

    @property
    def lock(self) -> Path:
        """The lock."""
        return self.folder / "pylock.kaggle-env.toml"

    def built(self) -> Any:
        """Lock and build; return what ``build --json`` says."""
        self.good("lock")
        return self.good("build", "--json").json


@pytest.fixture
def workshop(tmp_path: Path) -> Iterator[Workshop]:
    """A project with two packages, one of them a dependency with a script, and a checkpoint."""
    wheels = tmp_path / "wheels"
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "weights.ckpt").write_bytes(b"weights" * 5000)
    with IndexServer() as index:
        index.add(make_wheel(wheels, "alpha", "1.0", requires=["beta>=1"]))
        index.add(make_wheel(wheels, "alpha", "0.9", requires=["beta"]), upload_time="2025-01-01T00:00:00Z")
        index.add(
            make_wheel(
                wheels,
                "beta",
                "1.5",
                files={
                    "beta/__init__.py": "def main():\n    print('beta says hello')\n",
                    "beta/größe.txt": "ü",
                    "beta-1.5.data/scripts/beta-script": "#!python\nimport beta\nbeta.main()\n",
                    "beta-1.5.data/data/share/beta/x.txt": "data\n",
                },
                entry_points="[console_scripts]\nbeta = beta:main\n",
                executable=["beta-1.5.data/scripts/beta-script"],
            )
        )
        place = Workshop(folder, index)
        place.write(
            f"""
name = "tiny"
python = "{PYTHON}"
platform = "manylinux_2_17_x86_64"
packages = ["alpha"]

[[checkpoints]]
url = "file:weights.ckpt"
path = "checkpoints/weights.ckpt"
"""
        )
        yield place
