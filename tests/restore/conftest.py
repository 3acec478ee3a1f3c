"""Interpreters to restore into."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.restore import kit
from tests.support.interpreters import SERIES, found

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(params=SERIES)
def series(request: pytest.FixtureRequest) -> str:
    """Every series of CPython that kpack restores into."""
    name = str(request.param)
    if name not in found():
        pytest.skip(f"there is no CPython {name} here")
    return name


@pytest.fixture
def python(series: str, tmp_path: Path) -> Path:
    """A fresh virtual environment of every series."""
    return kit.make_venv(series, tmp_path / f"venv-{series}")


@pytest.fixture
def kernel(tmp_path: Path) -> Path:
    """A fresh virtual environment of one series, for what does not depend on it."""
    name = "3.12" if "3.12" in found() else [*found()][-1]
    return kit.make_venv(name, tmp_path / "kernel")
