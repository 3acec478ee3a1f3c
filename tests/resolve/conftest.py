"""The scenario every test of this room starts from."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.resolve.scenario import Scenario
from tests.support.index import IndexServer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def scenario(tmp_path: Path) -> Iterator[Scenario]:
    """An empty index on loopback and a folder."""
    with IndexServer() as index:
        yield Scenario(tmp_path, index, cache=tmp_path / "cache")
