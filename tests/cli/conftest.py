"""A folder with a kaggle-env.toml, and command lines that run in this process: no worker of a terminal is needed."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from kpack import cli
from tests.support.index import IndexServer
from tests.support.wheels import make_wheel

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SERIES = f"{sys.version_info[0]}.{sys.version_info[1]}"


@dataclass
class Desk:
    """A project whose index is empty: its packages are wheels that lie beside the file."""

    folder: Path
    index: IndexServer
    capture: pytest.CaptureFixture[str]

    def wants(self, *wheels: tuple[str, str], more: str = "", **facts: Any) -> None:
        """Write a kaggle-env.toml that asks for these names and versions."""
        made = [make_wheel(self.folder / "wheels", *each, **facts).name for each in wheels]
        packages = ", ".join(f'"./wheels/{name}"' for name in made)
        text = f'name = "tiny"\npython = "{SERIES}"\npackages = [{packages}]\n{more}'
        self.folder.joinpath("kaggle-env.toml").write_text(text, encoding="utf-8")

    def __call__(self, *words: str, code: int = 0) -> str:
        """Run ``kpack`` with ``words`` and return what it said; with ``--json`` only what stands on stdout."""
        ended = cli.run(list(words))
        said = self.capture.readouterr()
        assert ended == code, said
        return said.out if "--json" in words else said.out + said.err


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Iterator[Desk]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KPACK_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with IndexServer() as index:
        monkeypatch.setenv("KPACK_INDEX_URL", index.url)
        yield Desk(tmp_path, index, capfd)
