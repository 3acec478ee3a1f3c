"""Builds at the same time, killed builds and a prune meanwhile do not hurt each other."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from kpack import claims
from kpack.cache import Cache
from tests.e2e.conftest import PYTHON, Workshop
from tests.support.index import IndexServer
from tests.support.wheels import make_wheel

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def workshop(tmp_path: Path) -> Iterator[Workshop]:
    folder = tmp_path / "project"
    folder.mkdir()
    with IndexServer() as index:
        names = [f"pkg{number}" for number in range(6)]
        for name in names:
            index.add(make_wheel(tmp_path / "wheels", name, files={f"{name}.bin": os.urandom(200_000)}))
        place = Workshop(folder, index)
        place.write(f'name = "tiny"\npython = "{PYTHON}"\npackages = {json.dumps(names)}\n')
        place.good("lock")
        yield place


def start(workshop: Workshop, out: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "kpack", "build", "--json", "-o", out],
        cwd=workshop.folder,
        env={**os.environ, "KPACK_CACHE": str(workshop.folder / "builds"), "NO_PROXY": "127.0.0.1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_builds_at_the_same_time_fetch_each_file_once_and_agree(workshop: Workshop) -> None:
    workshop.index.requests.clear()
    workshop.index.latency = 0.1
    builds = [start(workshop, f"{number}.kpack.bin") for number in range(3)]
    outs = [build.communicate(timeout=100) for build in builds]
    assert [build.returncode for build in builds] == [0, 0, 0], outs
    assert len({json.loads(out)["sha256"] for out, _ in outs}) == 1
    files = [path for path in workshop.index.requests if path.startswith("/files/")]
    assert len(files) == len(set(files)) == 6
    assert Cache(workshop.folder / "builds").verify() == ()


def test_builds_into_one_file_leave_a_whole_pack(workshop: Workshop) -> None:
    builds = [start(workshop, "same.kpack.bin") for _ in range(3)]
    outs = [build.communicate(timeout=100) for build in builds]
    assert [build.returncode for build in builds] == [0, 0, 0], outs
    assert workshop.good("verify", "same.kpack.bin", "--json").json["ok"]
    assert [path.name for path in workshop.folder.iterdir() if path.name.startswith(".same")] == []


def test_killed_build_leaves_the_old_pack_and_the_next_one_finishes(workshop: Workshop) -> None:
    first = start(workshop, "a.kpack.bin")
    out, err = first.communicate(timeout=100)
    assert first.returncode == 0, err
    before = (workshop.folder / "a.kpack.bin").read_bytes()
    Cache(workshop.folder / "builds").prune()
    workshop.index.latency = 0.3
    for delay in (0.3, 0.6, 0.9):
        with start(workshop, "a.kpack.bin") as build:
            time.sleep(delay)
            build.send_signal(signal.SIGKILL)
        assert (workshop.folder / "a.kpack.bin").read_bytes() == before
    workshop.index.latency = 0
    abandoned, owned = (workshop.folder / f".a.kpack.bin.{name}.part" for name in ("killed", "alive"))
    for path in (abandoned, owned):
        path.write_bytes(b"half a pack")
    with owned.open("rb+") as stream:
        assert claims.claim(stream, owned)
        last = start(workshop, "a.kpack.bin")
        again, err = last.communicate(timeout=100)
    assert last.returncode == 0, err
    assert json.loads(again)["sha256"] == json.loads(out)["sha256"]
    assert not abandoned.exists()
    assert owned.exists()
