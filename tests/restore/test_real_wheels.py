"""Real wheels of different kinds, restored and installed by pip; ``benchmarks.restore.equality`` does it with 150."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.restore.test_install import compare_with_pip

if TYPE_CHECKING:
    from pathlib import Path

KINDS = [
    "six",  # one module
    "greenlet",  # compiled, with headers
    "zope.interface",  # a namespace
    "google-auth",  # another one
    "nbconvert",  # data files
    "jupyter-core",  # scripts
    "setuptools",  # a .pth file, vendored metadata
    "pip",  # commands named after the Python that runs
    "psutil",  # abi3
    "pytz",  # hundreds of data files
    "rank-bm25",  # an old generator
    "regex",  # compiled for one Python
]


@pytest.mark.index
def test_real_wheels_are_restored_as_pip_installs_them(tmp_path: Path) -> None:
    folder = tmp_path / "wheels"
    subprocess.run(
        [
            *[sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:"],
            *["--retries", "5", "--dest", str(folder), *KINDS],
        ],
        check=True,
    )
    wheels = sorted(folder.glob("*.whl"))
    assert len(wheels) == len(KINDS)
    assert compare_with_pip(wheels, tmp_path) > 1500
