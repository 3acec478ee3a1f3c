"""The hooks for pre-commit and the recipe for CI."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import tomlkit

from tests.cli.run import ROOT, kpack
from tests.support.long import long_list
from tests.support.wheels import make_wheel

PRE_COMMIT = Path(sys.executable).with_name("pre-commit")
SERIES = f"{sys.version_info[0]}.{sys.version_info[1]}"


def run(folder: Path, *words: str | Path, **environ: str) -> subprocess.CompletedProcess[str]:
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("GIT_", "PRE_COMMIT"))}
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    return subprocess.run(
        [str(word) for word in words],
        cwd=folder,
        env={**kept, "PATH": path, "PYTHONPATH": str(ROOT), "PRE_COMMIT_HOME": str(folder.parent / "hooks"), **environ},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository whose lock speaks for its file."""
    folder = tmp_path / "repository"
    folder.mkdir()
    write(folder, "1.0")
    assert kpack(folder, "lock").code == 0
    folder.joinpath(".gitignore").write_text("dist/\n")
    run(folder, "git", "init", "--quiet")
    run(folder, "git", "add", ".")
    return folder


def write(folder: Path, version: str) -> None:
    wheel = make_wheel(folder / "wheels", "alpha", version)
    folder.joinpath("kaggle-env.toml").write_text(
        f'name = "tiny"\npython = "{SERIES}"\npackages = ["./wheels/{wheel.name}"]\n'
    )


def use_installed(folder: Path) -> None:
    """Use the repository's own hooks with the kpack that is installed, since one of their own needs an index."""
    text = ROOT.joinpath(".pre-commit-hooks.yaml").read_text()
    hooks = "".join(f"      {row}\n" for row in text.replace("language: python", "language: system").splitlines())
    folder.joinpath(".pre-commit-config.yaml").write_text(f"repos:\n  - repo: local\n    hooks:\n{hooks}")
    run(folder, "git", "add", ".pre-commit-config.yaml")


def commit(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return run(folder, PRE_COMMIT, "run", *words)


def test_manifest_of_the_hooks_is_valid() -> None:
    done = run(ROOT, PRE_COMMIT, "validate-manifest", ROOT / ".pre-commit-hooks.yaml")
    assert done.returncode == 0, done.stdout + done.stderr


def test_stale_lock_stops_a_commit_and_a_fresh_one_does_not(repository: Path) -> None:
    use_installed(repository)
    assert commit(repository, "--all-files").returncode == 0
    write(repository, "2.0")
    run(repository, "git", "add", ".")
    done = commit(repository)
    assert done.returncode == 1
    assert "alpha-2.0" in done.stdout
    assert kpack(repository, "lock").code == 0
    run(repository, "git", "add", ".")
    assert commit(repository).returncode == 0


def test_commit_of_other_files_does_not_wake_the_hook(repository: Path) -> None:
    use_installed(repository)
    run(repository, "git", "-c", "user.name=a", "-c", "user.email=a@example.org", "commit", "--quiet", "-mfirst")
    write(repository, "2.0")
    repository.joinpath("notes.txt").write_text("x")
    run(repository, "git", "add", "notes.txt")
    assert "no files to check" in commit(repository).stdout


def test_pack_that_the_lock_does_not_build_any_more_stops_a_push(repository: Path) -> None:
    use_installed(repository)
    assert kpack(repository, "build").code == 0
    words = ("--all-files", "--hook-stage", "pre-push")
    assert commit(repository, *words).returncode == 0
    pack = repository / "dist" / "tiny.kpack.bin"
    pack.write_bytes(pack.read_bytes()[:-1] + b"x")
    done = commit(repository, *words)
    assert done.returncode == 1
    assert "damaged" in done.stdout


@pytest.mark.index
@long_list
def test_pre_commit_installs_the_hooks_from_the_repository(repository: Path, tmp_path: Path) -> None:
    clone = tmp_path / "kaggle-kpack"
    skipped = shutil.ignore_patterns(".git", ".venv", "build", "dist", ".*_cache", "__pycache__", ".hypothesis")
    shutil.copytree(ROOT, clone, ignore=skipped)
    run(clone, "git", "init", "--quiet")
    run(clone, "git", "add", ".")
    run(clone, "git", "-c", "user.name=a", "-c", "user.email=a@example.org", "commit", "--quiet", "-mall")
    words = (PRE_COMMIT, "try-repo", clone, "kpack-lock-check", "--all-files")
    done = run(repository, *words, PYTHONPATH="")
    assert done.returncode == 0, done.stdout + done.stderr
    write(repository, "2.0")
    assert run(repository, *words, PYTHONPATH="").returncode == 1


def recipe() -> list[str]:
    """Return the commands of the documentation's recipe that are kpack's."""
    page = ROOT / "docs" / "how-to" / "team-and-ci.md"
    block: Any = re.search(r"In CI\n.*?```yaml\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    return re.findall(r"^ *- run: kpack (.*)$", block[1], re.MULTILINE)


@pytest.mark.root
def test_recipe_for_ci_passes_on_what_is_right_and_fails_on_what_is_not(repository: Path, tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root, who may make namespaces on every Linux")
    right = kpack(repository, "build", "--json").json["id"]
    shutil.rmtree(repository / "dist")
    steps = recipe()
    assert [step.split()[0] for step in steps] == ["lock", "build", "rehearse"]

    def codes(pack_id: str) -> list[int]:
        return [kpack(repository, *shlex.split(step.replace("$PACK_ID", pack_id))).code for step in steps]

    assert codes(right) == [0, 0, 0]
    shutil.rmtree(repository / "dist")
    assert codes("0" * 64)[:2] == [0, 1]
    table = tomlkit.parse(repository.joinpath("kaggle-env.toml").read_text())
    table["packages"] = []
    repository.joinpath("kaggle-env.toml").write_text(tomlkit.dumps(table))
    assert codes(right)[:2] == [1, 1]
