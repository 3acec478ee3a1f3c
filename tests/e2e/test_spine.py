"""From kaggle-env.toml to a restored kernel, by the command line alone."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import venv
from typing import TYPE_CHECKING

import nbformat
import pytest
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

if TYPE_CHECKING:
    from pathlib import Path

    from tests.e2e.conftest import Workshop

WEIGHTS = hashlib.sha256(b"weights" * 5000).hexdigest()


@pytest.fixture
def kernel(tmp_path: Path) -> Path:
    """A fresh interpreter that stands for the kernel's."""
    venv.create(tmp_path / "kernel", with_pip=False, symlinks=True)
    return tmp_path / "kernel" / "bin" / "python"


def mounted(workshop: Workshop, tmp_path: Path, place: str = "datasets/me/tiny-env") -> Path:
    """Put the pack where Kaggle mounts inputs and return the root."""
    folder = tmp_path / "input" / place
    folder.mkdir(parents=True)
    shutil.copy(workshop.pack, folder)
    return tmp_path / "input"


def paste(line: str, python: Path, root: Path, cwd: Path, *after: str) -> subprocess.CompletedProcess[str]:
    """Run the line by ``python -c``, then more code."""
    return subprocess.run(
        [python, "-c", "\n".join([line, *after])],
        cwd=cwd,
        env={"PATH": os.environ["PATH"], "KPACK_INPUT": str(root)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_lock_build_verify_and_restore(workshop: Workshop, kernel: Path, tmp_path: Path) -> None:
    locked = workshop.good("lock", "--json").json
    assert locked["changed"]
    assert [p["name"] for p in locked["targets"][0]["packed"]] == ["alpha", "beta"]
    assert locked["checkpoints"][0]["sha256"] == WEIGHTS
    assert not workshop.good("lock", "--json").json["changed"]
    built = workshop.good("build", "--json").json
    assert built["sha256"] == hashlib.sha256(workshop.pack.read_bytes()).hexdigest()
    assert built["size"] == workshop.pack.stat().st_size
    assert workshop.good("bootstrap", workshop.pack).out.strip() == built["bootstrap"]
    verified = workshop.good("verify", workshop.pack, "--expect", built["id"], "--json").json
    empty: dict[str, object] = {"problems": [], "notes": [], "native": []}
    assert verified == {"pack": str(workshop.pack), "id": built["id"], "ok": True, **empty}

    done = paste(built["bootstrap"], kernel, mounted(workshop, tmp_path), tmp_path, "import beta; beta.main()")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "beta says hello"
    assert (tmp_path / "checkpoints" / "weights.ckpt").read_bytes() == b"weights" * 5000
    assert subprocess.run([kernel.with_name("beta")], capture_output=True, check=True).stdout == b"beta says hello\n"
    assert subprocess.run([kernel.with_name("beta-script")], capture_output=True, check=True).stdout
    assert (kernel.parent.parent / "share" / "beta" / "x.txt").read_text() == "data\n"


def test_lock_says_about_how_large_the_pack_will_be(workshop: Workshop) -> None:
    said = re.search(r"the pack will have about ([0-9.]+) kB", workshop.good("lock").out)
    assert said is not None
    workshop.good("build")
    assert float(said[1]) == pytest.approx(workshop.pack.stat().st_size / 1000, rel=0.15)


def test_second_paste_is_a_no_op_that_says_so(workshop: Workshop, kernel: Path, tmp_path: Path) -> None:
    built = workshop.built()
    root = mounted(workshop, tmp_path)
    first = paste(built["bootstrap"], kernel, root, tmp_path)
    second = paste(built["bootstrap"], kernel, root, tmp_path)
    assert "restored: 2 packages, 1 checkpoint" in first.stdout
    assert "is restored already" in second.stdout


@pytest.mark.parametrize(
    "place",
    [
        "tiny-env",
        "datasets/me/tiny-env",
        "datasets/me/tiny-env/dist",
        "notebooks/me/builder/dist",
        "models/me/tiny/pytorch/default/1",
    ],
)
def test_line_finds_the_pack_wherever_kaggle_mounts_it(
    workshop: Workshop, kernel: Path, tmp_path: Path, place: str
) -> None:
    built = workshop.built()
    done = paste(built["bootstrap"], kernel, mounted(workshop, tmp_path, place), tmp_path, "import alpha")
    assert done.returncode == 0, done.stderr


def test_line_takes_the_folder_that_the_pack_became(workshop: Workshop, kernel: Path, tmp_path: Path) -> None:
    built = workshop.built()
    folder = tmp_path / "input" / "datasets" / "me" / "tiny-env" / "tiny.kpack"
    folder.mkdir(parents=True)
    subprocess.run(["tar", "xf", workshop.pack, "-C", folder], check=True)
    done = paste(built["bootstrap"], kernel, tmp_path / "input", tmp_path, "import beta; beta.main()")
    assert done.returncode == 0, done.stderr


def test_pinned_version_wins_when_two_are_attached(workshop: Workshop, kernel: Path, tmp_path: Path) -> None:
    old = workshop.built()
    root = mounted(workshop, tmp_path, "datasets/me/a-old")
    workshop.write(workshop.folder.joinpath("kaggle-env.toml").read_text() + '\n[restore]\nenv = { NEW = "1" }\n')
    new = workshop.built()
    assert new["id"] != old["id"]
    mounted_new = root / "datasets" / "me" / "b-new"
    mounted_new.mkdir()
    shutil.copy(workshop.pack, mounted_new)
    done = paste(new["bootstrap"], kernel, root, tmp_path, "import os; print(os.environ['NEW'])")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "1"


def test_line_lists_what_it_found_instead(workshop: Workshop, kernel: Path, tmp_path: Path) -> None:
    old = workshop.built()
    root = mounted(workshop, tmp_path)
    workshop.write(workshop.folder.joinpath("kaggle-env.toml").read_text() + '\n[restore]\nenv = { NEW = "1" }\n')
    new = workshop.built()
    done = paste(new["bootstrap"], kernel, root, tmp_path)
    assert done.returncode == 5
    assert "other pack, id" in done.stderr
    assert old["id"][:12] in done.stderr
    nothing = paste(new["bootstrap"], kernel, tmp_path / "empty", tmp_path)
    assert nothing.returncode == 7
    assert "attach or update it" in nothing.stderr
    assert "Traceback" not in done.stderr + nothing.stderr


def test_line_works_in_a_real_notebook(workshop: Workshop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    built = workshop.built()
    root = mounted(workshop, tmp_path)
    target = tmp_path / "kernel"
    venv.create(target, with_pip=False, symlinks=True, system_site_packages=False)
    site = next((target / "lib").glob("python*/site-packages"))
    # ipykernel of this environment, seen by the kernel's own interpreter: the kernel installs into itself.
    (site / "ipykernel_from_outside.pth").write_text(
        "\n".join(path for path in sys.path if path.endswith("site-packages")) + "\n"
    )
    spec = tmp_path / "jupyter" / "kernels" / "kaggle"
    spec.mkdir(parents=True)
    python = str(target / "bin" / "python")
    spec.joinpath("kernel.json").write_text(
        json.dumps(
            {
                "argv": [python, "-m", "ipykernel_launcher", "-f", "{connection_file}"],
                "display_name": "kaggle",
                "language": "python",
                "env": {
                    "KPACK_INPUT": str(root),
                    "PATH": f"{target / 'bin'}{os.pathsep}{os.environ['PATH']}",  # as the image has its own
                },
            }
        )
    )
    notebook = nbformat.v4.new_notebook()
    notebook.cells = [
        nbformat.v4.new_code_cell(built["bootstrap"]),
        nbformat.v4.new_code_cell("import alpha, beta, sys\nbeta.main()\nprint(alpha.__file__)"),
        nbformat.v4.new_code_cell("!beta"),
    ]
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "jupyter"))
    NotebookClient(
        notebook, timeout=120, kernel_name="kaggle", resources={"metadata": {"path": str(tmp_path)}}
    ).execute()
    said = ["".join(o.get("text", "") for o in cell.outputs) for cell in notebook.cells]
    assert "restored: 2 packages, 1 checkpoint" in said[0]
    assert said[1].startswith("beta says hello")
    assert str(site) in said[1]
    assert "beta says hello" in said[2]

    workshop.pack.unlink()
    shutil.rmtree(root)
    failing = nbformat.v4.new_notebook()
    failing.cells = [nbformat.v4.new_code_cell(built["bootstrap"])]
    with pytest.raises(CellExecutionError, match=r"no .*kpack\.bin of id"):
        NotebookClient(
            failing, timeout=120, kernel_name="kaggle", resources={"metadata": {"path": str(tmp_path)}}
        ).execute()


@pytest.mark.root
def test_restores_without_network_from_a_read_only_mount(workshop: Workshop, kernel: Path, tmp_path: Path) -> None:
    if os.geteuid() != 0 or shutil.which("unshare") is None:
        pytest.skip("needs root and unshare for network and mount namespaces")
    built = workshop.built()
    root = mounted(workshop, tmp_path)
    script = (
        f"mount --bind {root} {root} && mount -o remount,bind,ro {root} && "
        f'! touch {root}/x 2>/dev/null && exec {kernel} -c "$LINE\nimport beta; beta.main()"'
    )
    done = subprocess.run(
        ["unshare", "--net", "--mount", "sh", "-c", script],
        cwd=tmp_path,
        env={
            "PATH": os.environ["PATH"],
            "KPACK_INPUT": str(root),
            "LINE": built["bootstrap"],
            "http_proxy": "http://127.0.0.1:9",
            "https_proxy": "http://127.0.0.1:9",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "beta says hello"


def test_build_says_where_checkpoints_will_be_in_the_kernel(workshop: Workshop) -> None:
    (found,) = workshop.built()["checkpoints"]
    assert found["lands"] == f"/kaggle/tmp/{found['path']}"
    assert f"in the kernel: {found['lands']}" in workshop.good("build").out


def test_same_lock_gives_same_bytes_elsewhere(workshop: Workshop, tmp_path: Path) -> None:
    first = workshop.built()
    elsewhere = tmp_path / "else where"
    elsewhere.mkdir()
    for name in ("kaggle-env.toml", "pylock.kaggle-env.toml", "weights.ckpt"):
        shutil.copy(workshop.folder / name, elsewhere)
    second = subprocess.run(
        ["sh", "-c", 'umask 077; exec "$0" -m kpack build --json', sys.executable],
        cwd=elsewhere,
        env={
            **os.environ,
            "KPACK_CACHE": str(tmp_path / "other cache"),
            "TZ": "Pacific/Kiritimati",
            "LC_ALL": "C",
            "PYTHONHASHSEED": "4711",
            "NO_PROXY": "127.0.0.1",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert second.returncode == 0, second.stderr
    assert json.loads(second.stdout)["id"] == first["id"]
    assert (elsewhere / "dist" / "tiny.kpack.bin").read_bytes() == workshop.pack.read_bytes()
    workshop.good("build", "--check", "--expect", first["id"])
    assert workshop.kpack("build", "--check", "--expect", "0" * 64).code == 1


def test_build_offline_uses_the_cache_alone(workshop: Workshop) -> None:
    built = workshop.built()
    workshop.index.requests.clear()
    workshop.pack.unlink()
    assert workshop.good("build", "--offline", "--json").json["id"] == built["id"]
    assert workshop.index.requests == []
    empty = workshop.kpack("build", "--offline", env={"KPACK_CACHE": str(workshop.folder / "none")})
    assert empty.code == 4


def test_an_old_pack_serves_as_a_source(workshop: Workshop) -> None:
    built = workshop.built()
    old = workshop.pack.rename(workshop.folder / "old.kpack.bin")
    workshop.folder.joinpath("weights.ckpt").unlink()
    env = {"KPACK_CACHE": str(workshop.folder / "none"), "KPACK_INDEX_URL": "http://127.0.0.1:9/simple/"}
    workshop.index.files.clear()
    assert workshop.good("build", "--from", old, "--json", env=env).json["id"] == built["id"]
