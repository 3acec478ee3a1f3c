"""Where there is no POSIX, kpack starts, locks and builds: all but what runs in the kernel, which is Linux."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from pathlib import Path

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
