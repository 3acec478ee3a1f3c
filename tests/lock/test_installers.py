"""The lock is really installed by pip and by uv, from the index and from the pack's folder."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from kpack.files import sha256_of
from kpack.lock import dumps, from_resolution, relative, requirements
from kpack.resolve.model import Source, Wheel
from tests.support.index import IndexServer
from tests.support.kernels import base, environment, pin, resolution, target
from tests.support.wheels import make_wheel

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kpack.base import BaseImage
    from kpack.lock import Lock

HERE = f"{sys.version_info[0]}.{sys.version_info[1]}"
ELSEWHERE = "3.13" if HERE != "3.13" else "3.12"

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="locks are for kernels on linux")


@pytest.fixture
def index() -> Iterator[IndexServer]:
    with IndexServer() as server:
        yield server


def image(series: str) -> BaseImage:
    return base({}, name=f"image-{series}", python=f"{series}.0", machine=platform.machine())


@pytest.fixture
def lock(index: IndexServer, tmp_path: Path) -> Lock:
    """Return a lock for this Python and another one, with a name in two versions and a file for each."""
    folder = tmp_path / "wheels"

    def served(name: str, version: str, tag: str = "py3-none-any") -> Wheel:
        path = index.add(make_wheel(folder, name, version, tag=tag))
        return Wheel(
            filename=path.name,
            sha256=sha256_of(path),
            size=path.stat().st_size,
            url=f"{index.root}/files/{path.name}",
            index=index.url,
        )

    here, there = (f"cp{series.replace('.', '')}" for series in (HERE, ELSEWHERE))
    machine = platform.machine()
    return from_resolution(
        environment("shared"),
        resolution(
            (
                target(image(HERE)),
                [
                    pin("shared", "1.0", wheel=served("shared", "1.0")),
                    pin("differs", "1.0", wheel=served("differs", "1.0")),
                    replace(
                        pin("built", "7", wheel=replace(served("built", "7"), url=None, index=None)),
                        source=Source(kind="sdist", url=f"{index.root}/files/built-7.tar.gz", sha256="0" * 64),
                    ),
                    pin("native", "3", wheel=served("native", "3", f"{here}-{here}-linux_{machine}")),
                ],
            ),
            (
                target(image(ELSEWHERE)),
                [
                    pin("shared", "1.0", wheel=served("shared", "1.0")),
                    pin("differs", "2.0", wheel=served("differs", "2.0")),
                    pin("native", "3", wheel=served("native", "3", f"{there}-{there}-linux_{machine}")),
                    pin("only-there", "1", wheel=served("only-there", "1")),
                ],
            ),
        ),
        meaning="0" * 64,
    )


WANTED = {"built-7.dist-info", "shared-1.0.dist-info", "differs-1.0.dist-info", "native-3.dist-info"}


def installed(folder: Path) -> set[str]:
    return {path.name for path in folder.glob("*.dist-info")}


def run(*command: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    environ = {key: value for key, value in os.environ.items() if not key.startswith(("PIP_", "UV_"))}
    environ |= {
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "UV_CACHE_DIR": str(cwd / "uv"),
        "UV_NO_CONFIG": "1",
    }
    return subprocess.run(command, cwd=cwd, env=environ, capture_output=True, text=True, check=False, timeout=120)


def pip_reads_locks() -> bool:
    from pip import __version__

    return int(__version__.split(".")[0]) >= 26


PIP = (sys.executable, "-m", "pip", "install", "--no-cache-dir", "--target", "into")
UV = shutil.which("uv", path=str(Path(sys.executable).parent)) or shutil.which("uv")
needs_pip = pytest.mark.skipif(not pip_reads_locks(), reason="pip before 26.1 reads no lock files")
needs_uv = pytest.mark.skipif(UV is None, reason="there is no uv")


def with_pip(file: str) -> tuple[str, ...]:
    return (*PIP, "-r", file)


def with_uv(file: str) -> tuple[str, ...]:
    assert UV is not None
    return (UV, "pip", "install", "--preview", "--python", sys.executable, "--target", "into", "-r", file)


@pytest.mark.parametrize("command", [pytest.param(with_pip, marks=needs_pip), pytest.param(with_uv, marks=needs_uv)])
def test_installs_from_the_index(lock: Lock, tmp_path: Path, command: object) -> None:
    (tmp_path / "pylock.tiny.toml").write_text(dumps(lock))
    done = run(*command("pylock.tiny.toml"), cwd=tmp_path)  # type: ignore[operator]
    assert done.returncode == 0, done.stdout + done.stderr
    assert installed(tmp_path / "into") == WANTED


@pytest.mark.parametrize("command", [pytest.param(with_pip, marks=needs_pip), pytest.param(with_uv, marks=needs_uv)])
def test_installs_from_the_folder_of_the_pack(lock: Lock, index: IndexServer, tmp_path: Path, command: object) -> None:
    (tmp_path / "pylock.tiny.toml").write_text(relative(lock))
    asked = len(index.requests)
    done = run(*command("pylock.tiny.toml"), cwd=tmp_path)  # type: ignore[operator]
    assert done.returncode == 0, done.stdout + done.stderr
    assert installed(tmp_path / "into") == WANTED
    assert len(index.requests) == asked


@pytest.mark.parametrize("command", [pytest.param(with_pip, marks=needs_pip), pytest.param(with_uv, marks=needs_uv)])
def test_installers_refuse_a_wheel_that_is_not_the_locked_one(lock: Lock, tmp_path: Path, command: object) -> None:
    (tmp_path / "pylock.tiny.toml").write_text(relative(lock))
    with (tmp_path / "wheels/shared-1.0-py3-none-any.whl").open("ab") as stream:
        stream.write(b"\0")
    done = run(*command("pylock.tiny.toml"), cwd=tmp_path)  # type: ignore[operator]
    assert done.returncode != 0


def test_requirements_install_by_hash_without_an_index(lock: Lock, tmp_path: Path) -> None:
    (tmp_path / "requirements.txt").write_text(requirements(lock))
    offline = ("--no-index", "--no-deps", "--find-links", "wheels", "--require-hashes")
    done = run(*PIP, *offline, "-r", "requirements.txt", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert installed(tmp_path / "into") == WANTED


@needs_uv
def test_another_interpreter_is_stopped(index: IndexServer, tmp_path: Path) -> None:
    path = index.add(make_wheel(tmp_path / "wheels", "x", "1"))
    there = from_resolution(
        environment("x"),
        resolution(
            (
                target(image(ELSEWHERE)),
                [
                    pin(
                        "x",
                        "1",
                        wheel=Wheel(
                            filename=path.name, sha256=sha256_of(path), size=None, url=f"{index.root}/files/{path.name}"
                        ),
                    )
                ],
            )
        ),
        meaning="0" * 64,
    )
    (tmp_path / "pylock.tiny.toml").write_text(dumps(there))
    done = run(*with_uv("pylock.tiny.toml"), cwd=tmp_path)
    assert done.returncode != 0
    assert not (tmp_path / "into").exists() or not installed(tmp_path / "into")
