"""What is said when the image's packages cannot be installed for a rehearsal."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from kpack.errors import NoSolution
from kpack.rehearse import real

if TYPE_CHECKING:
    from pathlib import Path

SAID = """WARNING: Location 'file:///wheels/fsspec/' is ignored: it is neither a file nor a directory.
ERROR: Cannot install torch==2.11.0 because these package versions have conflicting dependencies.
ERROR: ResolutionImpossible: for help visit the pages of pip
"""


def test_of_what_pip_says_the_warnings_are_left_out(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    failed = subprocess.CompletedProcess([], 1, "", SAID)
    monkeypatch.setattr("kpack.tether.run", lambda *_, **__: failed)
    with pytest.raises(NoSolution) as caught:
        real.closure(["torch"], {}, tmp_path / "bin" / sys.executable.rpartition("/")[2])
    assert caught.value.what.startswith("the image's packages cannot be installed here: Cannot install torch==2.11.0")
    assert "WARNING" not in caught.value.what
    assert "--real" in caught.value.next


def test_passwords_of_indexes_are_on_no_command_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked: list[tuple[list[str], dict[str, str]]] = []

    def run(command: list[str], *, env: dict[str, str]) -> subprocess.CompletedProcess[str]:
        asked.append((command, env))
        return subprocess.CompletedProcess(command, 0, '{"install": []}', "")

    monkeypatch.setattr("kpack.tether.run", run)
    monkeypatch.setenv("KPACK_INDEX_URL", "https://u:s3cret@h/simple")
    monkeypatch.setenv("PIP_EXTRA_INDEX_URL", "https://mine/simple")
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    indexes = (("--extra-index-url", "https://u:s3cret@corp/simple"), ("--find-links", "file:///wheels"))
    (tmp_path / "bin").mkdir()
    real.closure(["torch"], {}, tmp_path / "bin" / "python", indexes=indexes)
    ((command, env),) = asked
    assert "s3cret" not in " ".join(command)
    assert env["PIP_INDEX_URL"] == "https://u:s3cret@h/simple"
    assert env["PIP_EXTRA_INDEX_URL"] == "https://mine/simple https://u:s3cret@corp/simple"
    assert env["PIP_FIND_LINKS"] == "file:///wheels"
