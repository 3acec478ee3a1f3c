from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from kpack.environment import load, local
from kpack.errors import UsageError
from tests.environment.corpus import HEAD
from tests.support.wheels import make_wheel

if TYPE_CHECKING:
    from pathlib import Path


def check(folder: Path, *entries: str) -> None:
    path = folder / "kaggle-env.toml"
    path.write_text(HEAD + "packages = [\n" + "".join(f'  "{entry}",\n' for entry in entries) + "]\n")
    local.check(load(path))


def test_folders_wheels_and_archives_that_are_there_pass(tmp_path: Path) -> None:
    for name, file in (("fork", "pyproject.toml"), ("old", "setup.py")):
        (tmp_path / name).mkdir()
        (tmp_path / name / file).touch()
    (tmp_path / "sdist-1.0.tar.gz").touch()
    wheel = make_wheel(tmp_path, "tiny")
    check(tmp_path, "./fork", "./old/", "./sdist-1.0.tar.gz", f"./{wheel.name}", f"{tmp_path}/fork", "numpy")
    check(tmp_path, f"tiny @ {wheel.as_uri()}")


@pytest.mark.parametrize(
    ("entry", "what"),
    [
        ("./nothere", "is not there"),
        ("x @ file:///nothere/x%20y.zip", "is not there"),
        ("./empty", "is no project"),
        ("./tiny.whl", "does not have the name of a wheel"),
        ("./tiny-1.0-py3-none-any.whl", "is no wheel: it is not a zip file"),
        ("./notes.txt", "is neither a folder, a wheel nor a source archive"),
    ],
)
def test_any_other_path_is_refused_with_its_line(tmp_path: Path, entry: str, what: str) -> None:
    (tmp_path / "empty").mkdir()
    for name in ("tiny.whl", "tiny-1.0-py3-none-any.whl", "notes.txt"):
        (tmp_path / name).write_text("x")
    with pytest.raises(UsageError, match=what) as caught:
        check(tmp_path, "numpy", entry)
    assert caught.value.where.endswith("kaggle-env.toml:5")
    assert f'packages[1]: "{entry}"' in caught.value.what
