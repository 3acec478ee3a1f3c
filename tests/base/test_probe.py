from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from packaging.utils import canonicalize_name

from kpack.base import load
from kpack.base.probe import cell
from tests.support.interpreters import found

SYSTEM = "/usr/bin/python3"  # on Debian and Ubuntu patched in the way of Kaggle's own
PYTHONS = [sys.executable, *found().values(), *([SYSTEM] if Path(SYSTEM).exists() else [])]


def run(python: str, cwd: Path, source: str | None = None, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [python, "-c", source or cell()], cwd=cwd, capture_output=True, text=True, check=False, timeout=120,
        env={**os.environ, **environ},
    )  # fmt: skip


pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or Path("/kaggle/working").is_dir(), reason="a probe is for kernels, and prints elsewhere"
)


@pytest.mark.parametrize("python", dict.fromkeys(PYTHONS))
def test_what_the_cell_prints_is_a_base(python: str, tmp_path: Path) -> None:
    done = run(python, tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    (tmp_path / "kernel.json").write_text(done.stdout)
    base = load("./kernel.json", tmp_path)
    says = "import platform, os; print(platform.python_version(), os.confstr('CS_GNU_LIBC_VERSION').split()[1])"
    version, glibc = run(python, tmp_path, says).stdout.split()
    assert base.python_full_version == version
    assert ".".join(map(str, base.glibc)) == glibc
    assert not {"json", "os", "kpack"} & set(base.preloaded)
    assert all(item.requires_dist is not None for item in base.distributions.values())


def test_it_finds_the_distributions_that_the_import_system_finds(tmp_path: Path) -> None:
    (tmp_path / "kernel.json").write_text(run(sys.executable, tmp_path).stdout)
    base = load("./kernel.json", tmp_path)
    listed = json.loads(subprocess.run(
        [sys.executable, "-m", "pip", "list", "--format=json", "--disable-pip-version-check"],
        capture_output=True, text=True, check=True,
    ).stdout)  # fmt: skip
    assert {canonicalize_name(item["name"]) for item in listed} <= base.distributions.keys()


def test_it_says_who_owns_what_was_imported_before(tmp_path: Path) -> None:
    source = cell().replace("from __future__ import annotations", "import packaging.version, json.tool")
    done = run(sys.executable, tmp_path, source)
    (tmp_path / "kernel.json").write_text(done.stdout)
    base = load("./kernel.json", tmp_path)
    assert base.preloaded_by[canonicalize_name("packaging")] == "packaging"
    assert "json" not in base.preloaded


def test_it_reads_no_environment_value_but_the_digest_of_the_image(tmp_path: Path) -> None:
    digest = "sha256:" + "1" * 64
    done = run(
        sys.executable, tmp_path,
        KAGGLE_USER_SECRETS_TOKEN="hunter2", KAGGLE_DOCKER_IMAGE=f"host/image@{digest}?token=hunter2", SECRET="hunter2",
    )  # fmt: skip
    assert "hunter2" not in done.stdout
    assert json.loads(done.stdout)["image"]["digest"] == digest


def test_broken_metadata_and_credentials_do_not_get_far(tmp_path: Path) -> None:
    for name, text in {
        "good-1.dist-info": "Name: Good\nVersion: 1\nRequires-Dist: x @ https://user:hunter2@127.0.0.1/x.whl\n",
        "odd-x.dist-info": "Name: odd\nVersion: not a version\n",
        "broken-1.dist-info": "\n",
    }.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "METADATA").write_text(f"Metadata-Version: 2.1\n{text}")
    done = run(sys.executable, tmp_path, PYTHONPATH=str(tmp_path))
    assert "hunter2" not in done.stdout
    (tmp_path / "kernel.json").write_text(done.stdout)
    base = load("./kernel.json", tmp_path)
    assert base.distributions[canonicalize_name("good")].requires_dist == ("x @ https://127.0.0.1/x.whl",)
    assert "odd" in base.unknown


def test_in_a_notebook_it_writes_a_file_and_says_where(tmp_path: Path) -> None:
    nbformat = pytest.importorskip("nbformat")
    nbclient = pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell())])
    nbclient.NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(tmp_path)}}).execute()
    said = "".join(output.get("text", "") for output in notebook.cells[0].outputs)
    assert 'base = "./kaggle-base.json"' in said
    base = load("./kaggle-base.json", tmp_path)
    assert base.preloaded_by[canonicalize_name("ipykernel")] == "ipykernel"
    assert base.preloaded_by[canonicalize_name("pyzmq")] == "zmq"
