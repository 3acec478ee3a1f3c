"""A repository of the Hub, from one line of kaggle-env.toml to a kernel that finds it offline."""

from __future__ import annotations

import os
import shutil
import subprocess
import venv
from pathlib import Path

import pytest

from tests.checkpoints.servers import put_repository
from tests.e2e.conftest import PYTHON, Workshop
from tests.support.index import IndexServer
from tests.support.origin import Origin
from tests.support.wheels import make_wheel

huggingface_hub = pytest.importorskip("huggingface_hub", reason="needs the extra hf")

FILES = {"config.json": b"{}", "model.safetensors": b"weights" * 10_000}


def test_repository_is_found_by_the_hubs_client_in_a_kernel_without_network(tmp_path: Path) -> None:
    with Origin() as origin, IndexServer() as index:
        commit = put_repository(origin, "org/repo", FILES, large=("model.safetensors",))
        index.add(make_wheel(tmp_path / "wheels", "alpha"))
        folder = tmp_path / "project"
        folder.mkdir()
        shop = Workshop(folder, index, {"HF_ENDPOINT": origin.url})
        shop.write(
            f'name = "tiny"\npython = "{PYTHON}"\npackages = ["alpha"]\n\n[[checkpoints]]\nurl = "hf://org/repo"\n'
        )
        shop.good("lock")
        assert f"hf://org/repo@{commit}/config.json#main" in shop.lock.read_text()
        built = shop.good("build", "--json").json
        shutil.rmtree(folder / "cache")
        assert shop.good("build", "--json").json["id"] == built["id"]

    kernel, cwd = tmp_path / "kernel", tmp_path / "cwd"
    venv.create(kernel, with_pip=False, symlinks=True)
    cwd.mkdir()
    code = (
        f"{built['bootstrap']}\n"
        "import huggingface_hub\n"
        "print(huggingface_hub.hf_hub_download('org/repo', 'model.safetensors'))\n"
    )
    done = subprocess.run(
        [kernel / "bin" / "python", "-c", code],
        cwd=cwd,
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(tmp_path),
            "KPACK_PACK": str(shop.pack),
            "HF_ENDPOINT": "http://127.0.0.1:9",
            "PYTHONPATH": str(Path(huggingface_hub.__file__).parents[1]),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = Path(done.stdout.splitlines()[-1])
    assert found.is_relative_to(cwd)
    assert found.read_bytes() == FILES["model.safetensors"]
