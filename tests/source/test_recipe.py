"""The recipe that a Kaggle user wrote by hand, as one file: sources, a checkpoint, built twice to the same bytes."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import venv
from typing import TYPE_CHECKING

import pytest

from tests.e2e.conftest import PYTHON, Workshop
from tests.source.conftest import BACKEND, project_files, sdist, write
from tests.source.test_build import git, needs_git, repository
from tests.support.index import IndexServer
from tests.support.wheels import make_wheel

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

WEIGHTS = b"weights" * 1000


@pytest.fixture
def recipe(tmp_path: Path) -> Iterator[Workshop]:
    """An extra of an index package, a patched fork by zip URL, an sdist-only dependency, a folder, a checkpoint."""
    wheels, folder = tmp_path / "wheels", tmp_path / "project"
    write(folder / "mine", project_files("mine", "0.1", code="import flash\n"))
    (wheels / "toxic-1.0.ckpt").parent.mkdir(parents=True, exist_ok=True)
    with IndexServer() as index:
        index.add(make_wheel(wheels, "carelessbackend", files={"carelessbackend.py": BACKEND}))
        index.add(make_wheel(wheels, "flash", requires=['docparse; extra == "text"', "plain"], provides_extra=["text"]))
        index.add(make_wheel(wheels, "plain"))
        index.add(sdist(wheels / "docparse-0.13.tar.gz", project_files("docparse", "0.13"), top="docparse-0.13/"))
        index.add(sdist(wheels / "fork-abc.zip", project_files("fork", "2.0", requires=["plain"]), top="fork-abc/"))
        (wheels / "weights-1.ckpt").write_bytes(WEIGHTS)
        index.add(wheels / "weights-1.ckpt")
        place = Workshop(folder, index)
        place.write(
            f"""
name = "tiny"
python = "{PYTHON}"
packages = ["flash[text]", "fork @ {index.root}/files/fork-abc.zip", "./mine"]
allow-source = ["docparse"]

[[checkpoints]]
url = "{index.root}/files/weights-1.ckpt"
path = "checkpoints/weights.ckpt"
"""
        )
        yield place


def test_one_file_replaces_the_recipe_and_builds_twice_to_the_same_bytes(recipe: Workshop, tmp_path: Path) -> None:
    locked = recipe.good("lock", "--json").json
    packed = {item["name"]: item["file"] for item in locked["targets"][0]["packed"]}
    assert packed == {
        "docparse": "docparse-0.13-py3-none-any.whl",
        "flash": "flash-1.0-py3-none-any.whl",
        "fork": "fork-2.0-py3-none-any.whl",
        "mine": "mine-0.1-py3-none-any.whl",
        "plain": "plain-1.0-py3-none-any.whl",
    }
    first = recipe.good("build", "--json").json

    other = Workshop(tmp_path / "elsewhere" / "deep", recipe.index)
    other.folder.parent.mkdir()
    shutil.copytree(recipe.folder, other.folder, ignore=shutil.ignore_patterns("cache", "dist"))
    surroundings = {"TZ": "Asia/Tokyo", "LC_ALL": "C", "PYTHONHASHSEED": "3"}
    old = os.umask(0o077)
    try:
        second = other.kpack("build", "--json", env=surroundings)
    finally:
        os.umask(old)
    assert second.code == 0, second.err
    assert (second.json["id"], second.json["sha256"]) == (first["id"], first["sha256"])

    kernel = tmp_path / "kernel"
    venv.create(kernel, with_pip=False, symlinks=True)
    code = "\nimport flash, plain, src_docparse, src_fork, src_mine\nprint(open('checkpoints/weights.ckpt').read(7))"
    mount = tmp_path / "input" / "datasets" / "me" / "env"
    mount.mkdir(parents=True)
    shutil.copy(recipe.pack, mount)
    done = subprocess.run(
        [kernel / "bin" / "python", "-c", first["bootstrap"] + code],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "KPACK_INPUT": str(tmp_path / "input")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "weights"


def test_edit_in_a_local_folder_makes_the_lock_stale(recipe: Workshop) -> None:
    recipe.write(f'name = "tiny"\npython = "{PYTHON}"\npackages = ["./mine"]\n')
    recipe.good("lock")
    recipe.good("lock", "--check")
    (recipe.folder / "mine" / "src_mine.py").write_text("Y = 2\n")
    stale = recipe.kpack("lock", "--check")
    assert stale.code == 1
    assert "mine changed" in stale.out + stale.err
    assert recipe.kpack("build").code == 1
    assert json.loads(recipe.good("lock", "--json").out)["changed"]
    recipe.good("build")


@pytest.mark.skipif(sys.platform != "linux", reason="a Linux wheel")
def test_compiled_source_for_another_python_names_the_two_ways_out(recipe: Workshop) -> None:
    tag = f"cp{PYTHON.replace('.', '')}-cp{PYTHON.replace('.', '')}-linux_x86_64"
    write(recipe.folder / "mine", project_files("mine", "0.1", tag=tag))
    other = "3.10" if PYTHON != "3.10" else "3.12"
    recipe.write(f'name = "tiny"\npython = "{other}"\npackages = ["./mine"]\n')
    done = recipe.kpack("lock")
    assert done.code == 6, done.err
    assert "chained kernel" in done.err
    assert "path of a wheel" in done.err


def test_wheels_by_url_and_by_path_are_locked_with_their_sizes(recipe: Workshop, tmp_path: Path) -> None:
    remote = recipe.index.add(make_wheel(tmp_path / "w", "remote"))
    local = make_wheel(recipe.folder, "local")
    url = f"{recipe.index.root}/files/{remote.name}"
    recipe.write(f'name = "tiny"\npython = "{PYTHON}"\npackages = ["remote @ {url}", "./{local.name}"]\n')
    packed = recipe.good("lock", "--json").json["targets"][0]["packed"]
    assert [(item["name"], item["size"]) for item in packed] == [
        ("local", local.stat().st_size),
        ("remote", remote.stat().st_size),
    ]
    recipe.good("build")
    make_wheel(recipe.folder, "local", files={"local.py": "changed"})
    assert recipe.kpack("build").code == 1


@needs_git
def test_git_ref_is_pinned_to_its_commit_until_it_is_let_go(recipe: Workshop) -> None:
    repo = recipe.folder.parent / "repo"
    commit = repository(repo)
    git(repo, "branch", "stable")
    recipe.write(f'name = "tiny"\npython = "{PYTHON}"\npackages = ["fork @ git+{repo.as_uri()}@stable"]\n')
    recipe.good("lock")
    lock = recipe.lock.read_text()
    assert f'commit = "{commit}"' in lock
    assert 'revision = "stable"' in lock
    first = recipe.good("build", "--json").json
    write(repo, project_files(code="X = 2\n"))
    git(repo, "commit", "-qam", "two")
    git(repo, "branch", "-f", "stable")
    recipe.good("lock")
    assert recipe.lock.read_text() == lock
    (recipe.folder / "cache").rename(recipe.folder / "kept")
    assert recipe.good("build", "--json").json["id"] == first["id"], "built again"
    shutil.rmtree(recipe.folder / "cache")
    (recipe.folder / "kept").rename(recipe.folder / "cache")
    recipe.write(
        f'name = "tiny"\npython = "{PYTHON}"\npackages = ["fork @ git+{repo.as_uri()}@stable"]\nexclude = ["other"]\n'
    )
    recipe.good("lock")
    assert f'commit = "{commit}"' in recipe.lock.read_text(), "another key changed, not the branch"
    assert 'revision = "stable"' in recipe.lock.read_text()
    recipe.good("lock", "--upgrade-package", "fork")
    assert f'commit = "{git(repo, "rev-parse", "HEAD")}"' in recipe.lock.read_text()
    assert 'revision = "stable"' in recipe.lock.read_text()
    git(repo, "commit", "-q", "--amend", "-m", "another two")
    git(repo, "branch", "-f", "stable")
    git(repo, "reflog", "expire", "--expire=now", "--all")
    git(repo, "gc", "-q", "--prune=now")
    before = recipe.lock.read_text()
    recipe.write(f'name = "tiny"\npython = "{PYTHON}"\npackages = ["fork @ git+{repo.as_uri()}@stable"]\n')
    lost = recipe.kpack("lock")
    assert lost.code == 4
    assert "if the repository has lost that commit, let go of it: kpack lock --upgrade-package NAME" in lost.err
    assert recipe.lock.read_text() == before
