"""Sources on disk: an archive unpacked, a repository at its commit, a copy of a folder."""

from __future__ import annotations

import hashlib
import lzma
import os
import shutil
import stat
import struct
import subprocess
import tarfile
import zipfile
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

from kpack import tether
from kpack.errors import IntegrityError, MachineError, NetworkError, UsageError, room_advice
from kpack.files import sha256_of
from kpack.git import GitAccess, access
from kpack.urls import has_user, redacted, shown

if TYPE_CHECKING:
    from collections.abc import Iterable

_NOT_SOURCE = frozenset(
    {".git", ".hg", ".svn", "__pycache__", "build", "dist", ".venv", "venv", ".tox", ".nox", ".mypy_cache"}
    | {".pytest_cache", ".ruff_cache", ".hypothesis", ".ipynb_checkpoints", "node_modules"}
)
UNREADABLE = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    struct.error,
    ValueError,
    IndexError,
    NotImplementedError,
    RuntimeError,
    OverflowError,
)
"""What the standard library's readers of archives raise at bytes that are none, beside what the system says."""

_OPTIONS = ("-c", "core.autocrlf=false", "-c", "advice.detachedHead=false", "-c", "core.hooksPath=/dev/null")
_GIT_URL_SCHEMES = ("git+https://", "git+http://", "git+ssh://", "git+file://")


def unpack(archive: Path, folder: Path, *, name: str) -> Path:
    """Unpack a verified sdist or archive into ``folder`` and return the project's root in it.

    Raises:
        IntegrityError: it is neither a tar nor a zip, or damaged, or has entries outside its folder.
        MachineError: the disk is full.

    """
    try:
        if zipfile.is_zipfile(archive):
            _unzip(archive, folder)
        else:
            if not hasattr(tarfile, "data_filter"):
                raise MachineError(
                    "this Python cannot unpack an archive safely", where=name, next="use Python 3.11.4 or newer"
                )
            with tarfile.open(archive) as tar:
                tar.extractall(folder, filter="data")
    except (tarfile.TarError, OSError, *UNREADABLE) as error:
        if isinstance(error, OSError) and (advice := room_advice(error)) is not None:
            what = f"the source cannot be unpacked: {error.strerror}"
            raise MachineError(what, where=name, next=advice) from error
        raise IntegrityError(
            f"the source archive cannot be unpacked: {error}", where=name, next="give a .tar.gz or a .zip"
        ) from error
    inside = list(folder.iterdir())
    return inside[0] if len(inside) == 1 and inside[0].is_dir() else folder


def _unzip(archive: Path, folder: Path) -> None:
    with zipfile.ZipFile(archive) as packed:
        for entry in packed.infolist():
            written = Path(packed.extract(entry, folder))  # strips what would lead out of the folder
            mode = entry.external_attr >> 16
            if stat.S_ISREG(mode) and mode & 0o111:
                written.chmod(0o755)


def check_out(url: str, commit: str, folder: Path) -> Path:
    """Clone a repository and check out a commit, submodules included; return the folder.

    Raises:
        UsageError: the URL is not one of git over https, http, ssh or file.
        NetworkError: git fails to get it.

    """
    if not url.startswith(_GIT_URL_SCHEMES):
        raise UsageError("cannot build from it", where=shown(url), next="git+https://…@ref is supported")
    address = url.removeprefix("git+")
    if url.startswith("git+ssh://") and not has_user(address):
        # A lock holds no user; the one of every git host over ssh is git.
        address = address.replace("ssh://", "ssh://git@", 1)
    how = access(address, os.environ)
    _git(how, ["clone", "--quiet", "--no-checkout", "--", how.url, str(folder)], url)
    if not _has_commit(folder, commit):
        # On no branch and no tag: refs/pull/7/head, or a branch that was pushed anew since.
        _git(how, ["-C", str(folder), "fetch", "--quiet", "origin", commit], url)
    _git(how, ["-C", str(folder), "checkout", "--quiet", "--detach", commit], url)
    if (folder / ".gitmodules").exists():
        _git(how, ["-C", str(folder), "submodule", "--quiet", "update", "--init", "--recursive"], url)
    return folder


def _has_commit(folder: Path, commit: str) -> bool:
    done = tether.run(["git", "-C", str(folder), "cat-file", "-e", f"{commit}^{{commit}}"], env=_without_git())
    return done.returncode == 0


def _git(how: GitAccess, words: list[str], url: str) -> None:
    if shutil.which("git") is None:
        raise MachineError("git is not installed", where=shown(url), next="install git, or give an archive's URL")
    done = tether.run(
        ["git", *_OPTIONS, *how.options, *words],
        env={**_without_git(), **how.variables, "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C.UTF-8"},
    )
    if done.returncode:
        said = [row for row in done.stderr.strip().splitlines() if row] or ["it said nothing"]
        raise NetworkError(
            f"git failed: {redacted(said[-1])}",
            where=shown(url),
            next="check the URL, the ref and your credentials (git's own: ssh agent, credential store)",
        )


def copy_folder(source: Path, folder: Path) -> Path:
    """Copy a project folder without what is no source, and return the copy.

    Version control stays visible to the build (a version may come from it), but is not written to.
    """
    names = tracked(source)
    folder.mkdir(parents=True)
    for name in names:
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source / name, target)
        target.chmod(0o755 if os.access(source / name, os.X_OK) else 0o644)
    repository = source / ".git"
    if repository.is_dir():
        (folder / ".git").write_text(f"gitdir: {repository.absolute()}\n", encoding="utf-8")
    elif repository.is_file():
        shutil.copyfile(repository, folder / ".git")
    return folder


def tracked(folder: Path) -> tuple[str, ...]:
    """Return the files of a project folder, POSIX paths sorted: git's word in a repository, else all but leftovers.

    Raises:
        MachineError: there is no such folder.

    """
    if not folder.is_dir():
        raise MachineError("there is no such folder", where=str(folder), next="check the path in kaggle-env.toml")
    listed = _tracked_by_git(folder)
    return tuple(sorted(_walked(folder) if listed is None else (name for name in listed if (folder / name).is_file())))


def _without_git() -> dict[str, str]:
    """Return the environment without what a hook of git sets: it would point to another repository."""
    places = {"GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_PREFIX"}
    return {key: value for key, value in os.environ.items() if key not in places}


def _tracked_by_git(folder: Path) -> list[str] | None:
    if not (folder / ".git").exists():
        return None
    command = ["git", "-C", str(folder), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    environment = {**_without_git(), "GIT_OPTIONAL_LOCKS": "0"}
    try:
        listed = subprocess.run(command, check=True, capture_output=True, env=environment).stdout
    except (OSError, subprocess.CalledProcessError):
        return None  # no git here, or not its owner's: what lies in the folder counts
    return [os.fsdecode(name) for name in listed.split(b"\0") if name]


def _walked(folder: Path) -> Iterable[str]:
    for place, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if name not in _NOT_SOURCE and not name.endswith(".egg-info")]
        for name in names:
            path = Path(place) / name
            if path.is_file() and not name.endswith((".pyc", ".pyo")):
                yield path.relative_to(folder).as_posix()


def digest_of_folder(folder: Path) -> str:
    """Return the SHA-256 over the names, executable bits and contents of a folder's source files."""
    hasher = hashlib.sha256()
    for name in tracked(folder):
        path = folder / name
        executable = "x" if os.access(path, os.X_OK) else "-"
        hasher.update(f"{executable} {sha256_of(path)} {name}\n".encode("utf-8", "surrogateescape"))
    return hasher.hexdigest()


def inside(root: Path, subdirectory: str | None, *, name: str) -> Path:
    """Return the folder below ``root`` that holds the project.

    Raises:
        UsageError: there is no such folder, or no project in it.

    """
    project = root / subdirectory if subdirectory else root
    if not project.resolve().is_relative_to(root.resolve()) or not project.is_dir():
        raise UsageError(f"the source has no folder {subdirectory!r}", where=name)
    if not any((project / file).exists() for file in ("pyproject.toml", "setup.py", "setup.cfg")):
        raise UsageError("the source has neither pyproject.toml nor setup.py", where=name, next="check the URL")
    return project
