"""Where there is no POSIX, kpack starts, locks and builds: all but what runs in the kernel, which is Linux."""

from __future__ import annotations

import json
import pickle
import platform
import runpy
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from kpack import pack
from kpack.files import sha256_of
from tests.pack.test_pack import content

ROOT = Path(__file__).parents[2]
KERNEL = ("kpack.bootstrap", "kpack.restore", "kpack.rehearse", "kpack.base.probe_cell", "kpack.recording.child")
"""What is imported in the kernel or in a recorded child alone, and the rehearsal, which says that it needs Linux."""
PROGRAM = """
import tests.support.without_posix
import importlib, json, os, pathlib, pickle, pkgutil, sys
import kpack
from kpack import pack

names = [item.name for item in pkgutil.walk_packages(kpack.__path__, "kpack.")]
for name in names:
    if not name.startswith({kernel!r}):
        importlib.import_module(name)
content = pickle.loads(pathlib.Path("content").read_bytes())
made = pack.write(content, pathlib.Path("there.kpack.bin"))
problems = [str(item) for item in pack.verify(pack.read(made.path))]
print(json.dumps([len(names), hasattr(os, "pread"), "fcntl" in sys.modules, problems, made.sha256]))
"""


def test_without_posix_every_module_of_home_is_imported_and_a_build_has_the_same_bytes(tmp_path: Path) -> None:
    packed = content(tmp_path / "in")
    (tmp_path / "content").write_bytes(pickle.dumps(packed))
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(kernel=KERNEL)],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT), "PATH": "", "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    count, reads, locks, problems, digest = json.loads(done.stdout)
    assert count > 200
    assert not reads
    assert not locks
    assert problems == []
    here = pack.write(packed, tmp_path / "here.kpack.bin")
    assert digest == here.sha256 == sha256_of(here.path)


@pytest.mark.parametrize(
    ("system", "machine", "fits"),
    [("linux", "x86_64", True), ("linux", "aarch64", False), ("darwin", "arm64", False), ("win32", "AMD64", False)],
)
def test_the_demo_restores_where_its_pack_fits(
    monkeypatch: pytest.MonkeyPatch, system: str, machine: str, fits: bool
) -> None:
    monkeypatch.setattr(sys, "platform", system)
    monkeypatch.setattr(platform, "machine", lambda: machine)
    why = runpy.run_path(str(ROOT / "examples/demo.py"))["unfit"]()
    assert why.startswith("" if fits else "not here: this is ")
    assert bool(why) is not fits
    assert machine in why or fits


def test_a_workflow_asks_of_a_system_what_it_can_do() -> None:
    jobs = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text(encoding="utf-8"))["jobs"]
    for job in jobs.values():
        words = [word for step in job["steps"] for word in step.get("run", "").split()]
        assert all((ROOT / word).exists() for word in words if word.startswith(("tests/", "examples/", ".ci/")))
        systems = job["strategy"]["matrix"].get("os", []) if "strategy" in job else []
        # The gate restores packs; what runs in a kernel is Linux's.
        assert not systems or not {".ci/run", "tests/restore", "tests/bootstrap", "tests/rehearse"} & set(words)
