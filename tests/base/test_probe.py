from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from packaging.utils import canonicalize_name

import kpack
from kpack.base import load
from kpack.base.native import facts_of
from kpack.base.probe import cell
from kpack.errors import UsageError
from tests.restore.conftest import kernel, python, series
from tests.restore.kit import purelib
from tests.support.interpreters import found

__all__ = ["kernel", "python", "series"]

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


def test_what_the_interpreter_prints_around_a_snapshot_is_passed_over(tmp_path: Path) -> None:
    plain = run(sys.executable, tmp_path).stdout
    (tmp_path / "plain.json").write_text(plain)
    (tmp_path / "loud.json").write_text(f"hello {{from}} sitecustomize\n{plain}bye\n")
    assert load("./loud.json", tmp_path).fingerprint == load("./plain.json", tmp_path).fingerprint
    (tmp_path / "cut.json").write_text(f"hello\n{plain[:-5]}bye\n")
    with pytest.raises(UsageError, match="not JSON") as caught:
        load("./cut.json", tmp_path)
    assert caught.value.where.endswith("cut.json:1")


def test_it_finds_the_distributions_that_the_import_system_finds(tmp_path: Path) -> None:
    (tmp_path / "kernel.json").write_text(run(sys.executable, tmp_path).stdout)
    base = load("./kernel.json", tmp_path)
    listed = json.loads(subprocess.run(
        [sys.executable, "-m", "pip", "list", "--format=json", "--disable-pip-version-check"],
        capture_output=True, text=True, check=True,
    ).stdout)  # fmt: skip
    assert {canonicalize_name(item["name"]) for item in listed} <= base.distributions.keys()


def install(folder: Path, name: str, files: dict[str, str], *, listed: str = "RECORD", info: str = "") -> None:
    """Lay a distribution out in ``folder`` as an installer would; paths may climb with ``..``."""
    info = info or f"{name}-1.0.dist-info"
    metadata = f"{info}/METADATA" if info.endswith(".dist-info") else f"{info}/PKG-INFO"
    for path, text in {**files, metadata: f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n"}.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    rows = [*files, f"{info}/METADATA", "mod/__pycache__/x.cpython-312.pyc"]
    if listed == "RECORD":
        (folder / info / listed).write_text("".join(f'"{path}",,\n' for path in rows))
    elif listed:
        (folder / info / listed).write_text("".join(f"../{path}\n" for path in files))


def probed(python: Path, cwd: Path, **environ: str) -> dict[str, dict[str, object]]:
    done = run(str(python), cwd, **environ)
    assert done.returncode == 0, done.stderr
    (cwd / "kernel.json").write_text(done.stdout)
    load("./kernel.json", cwd)
    return {row["name"]: row for row in json.loads(done.stdout)["distributions"]}


def test_it_writes_down_which_files_are_whose(python: Path, tmp_path: Path) -> None:
    site = purelib(python)
    prefix = python.parents[1]
    install(site, "whole", {"whole/__init__.py": "", "whole/deep/a.py": "", "whole_single.py": "", "LICENSE": ""})
    script = os.path.relpath(prefix / "bin" / "whole", site)
    install(site, "one", {"ns/one/__init__.py": "", "ns/shared.py": "", "tests/__init__.py": "", script: ""})
    install(site, "two", {"ns/two/__init__.py": "", "ns/two/sub/x.py": ""})
    rows = probed(python, tmp_path)
    assert rows["whole"]["top-level"] == ["whole", "whole_single"]
    assert rows["whole"]["outside"] == ["LICENSE", "whole_single.py"]
    assert rows["one"]["top-level"] == ["ns", "tests"]
    assert rows["one"]["outside"] == [str(prefix / "bin" / "whole"), "ns/one/", "ns/shared.py", "tests/__init__.py"]
    assert rows["two"]["outside"] == ["ns/two/"]
    assert {row["removal"] for row in rows.values()} == {"record"}
    assert not any("library" in row for row in rows.values())


def test_it_writes_down_what_cannot_give_way(python: Path, tmp_path: Path) -> None:
    site = purelib(python)
    install(site, "bare", {"bare.py": ""}, listed="")
    install(site, "egg", {"egg/__init__.py": ""}, listed="installed-files.txt", info="egg-1.0.egg-info")
    install(site, "unlisted", {"unlisted/__init__.py": ""}, listed="", info="unlisted-1.0.egg-info")
    (site / "unlisted-1.0.egg-info" / "top_level.txt").write_text("unlisted\n")
    (site / "file-1.0.egg-info").write_text("Metadata-Version: 1.0\nName: file\nVersion: 1.0\n")
    later, before = tmp_path / "later", tmp_path / "before"
    install(later, "later", {"later.py": ""})
    install(before, "before", {"before.py": ""})
    (site / "later.pth").write_text(f"{later}\n")
    for name, said in (("garbled", b"\xff,,\n"), ("wide", b"x" * 200_000 + b",,\n")):
        install(site, name, {f"{name}.py": ""})
        (site / f"{name}-1.0.dist-info/RECORD").write_bytes(said)
    rows = probed(python, tmp_path, PYTHONPATH=str(before))
    assert {name: row["removal"] for name, row in rows.items()} == {
        "bare": "none",
        "before": "hides",
        "egg": "installed-files",
        "file": "none",
        "garbled": "none",
        "later": "hidden",
        "unlisted": "none",
        "wide": "none",
    }
    assert (rows["later"]["library"], rows["before"]["library"]) == (str(later), str(before))
    assert rows["unlisted"]["top-level"] == ["unlisted"]
    assert "outside" not in rows["unlisted"]
    assert not {"top-level", "outside"} & rows["bare"].keys()
    assert (rows["egg"]["top-level"], rows["egg"]["outside"]) == (["egg"], [])


@pytest.mark.parametrize("python", dict.fromkeys(PYTHONS))
def test_it_says_where_a_restore_would_install(python: str, tmp_path: Path) -> None:
    engine = str(Path(kpack.__file__).parent)
    says = (
        f"import json, sys, types; package = types.ModuleType('kpack'); package.__path__ = [{engine!r}]; "
        "sys.modules['kpack'] = package; from kpack.restore.scheme import default; "
        "print(json.dumps({k: v for k, v in default()._asdict().items() if k != 'target'}))"
    )
    told = json.loads(run(python, tmp_path, says).stdout)
    assert json.loads(run(python, tmp_path).stdout)["scheme"] == told


def test_a_large_image_is_written_down_in_little(kernel: Path, tmp_path: Path) -> None:
    site = purelib(kernel)
    for number in range(100):
        name = f"d{number}"
        files = {f"{name}/sub{part % 7}/m{part}.py": "" for part in range(40)}
        install(site, name, {**files, f"shared/{name}/x.py": "", os.path.relpath(f"/usr/local/bin/{name}", site): ""}
                if number % 3 == 0 else files)  # fmt: skip
    install(site, "wide", {f"tests/part{number}.py": "" for number in range(65)})
    install(site, "huge", {f"shared/x{number}.py": "" for number in range(2001)})
    rows = probed(kernel, tmp_path)
    assert (tmp_path / "kernel.json").stat().st_size < 60_000
    assert rows["d0"]["outside"] == ["/usr/local/bin/d0", "shared/d0/"]
    assert (rows["wide"]["top-level"], rows["wide"]["outside"]) == (["tests"], [])
    assert rows["huge"]["top-level"] == ["shared"]
    assert "outside" not in rows["huge"]


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


def test_it_writes_down_libraries_of_the_loader_symbol_versions_and_system_packages(
    kernel: Path, tmp_path: Path
) -> None:
    (tmp_path / "more").mkdir()
    for name in ("libmine.so.3", "notes.txt", "libmine.so.3.1.py"):
        (tmp_path / "more" / name).touch()
    site = purelib(kernel)
    install(site, "native", {"native/lib/libnative.so.2": "", "native.libs/libgrafted-1a2b3c4d.so.1": "", "n.py": ""})
    smi = tmp_path / "bin" / "nvidia-smi"
    smi.parent.mkdir()
    smi.write_text("#!/bin/sh\necho 'Tesla T4, 7.5'\necho 'Tesla T4, 7.5'\necho 'No devices were found'\n")
    smi.chmod(0o755)
    programs = f"{smi.parent}{os.pathsep}{os.environ['PATH']}"
    done = run(str(kernel), tmp_path, LD_LIBRARY_PATH=f"{tmp_path}/missing:{tmp_path}/more:", PATH=programs)
    assert done.stderr == ""
    (tmp_path / "kernel.json").write_text(done.stdout)
    base = load("./kernel.json", tmp_path)
    assert base.native is not None
    assert base.native.libraries is not None
    assert base.native.gpus == ("Tesla T4, 7.5", "Tesla T4, 7.5")
    assert {"libmine.so.3", "libc.so.6"} <= set(base.native.libraries)
    assert not {"notes.txt", "libmine.so.3.1.py"} & set(base.native.libraries)
    facts = facts_of(base)
    assert facts.glibc.exact
    assert facts.library("libmine.so.3").there
    assert facts.library("libnobody.so.3").there is False
    assert facts.wheels("libnative.so.2") == ("native",)
    assert facts.wheels("libgrafted-1a2b3c4d.so.1") == ()
    if Path("/var/lib/dpkg/status").is_file():
        assert facts.packages["libc6"].startswith(".".join(map(str, base.glibc)))


def test_outside_a_kernel_it_does_not_claim_to_know_what_one_loads(tmp_path: Path) -> None:
    done = run(sys.executable, tmp_path)
    said = json.loads(done.stdout)
    assert said["kernel"] is False
    assert said["certainty"].startswith("exact for distributions")
    (tmp_path / "kernel.json").write_text(done.stdout)
    base = load("./kernel.json", tmp_path)
    assert "packaging" in base.preloaded  # as in Kaggle's kernels
    assert "was not seen" in base.certainty


def test_in_a_kernel_it_is_exact(tmp_path: Path) -> None:
    (tmp_path / "IPython.py").write_text(
        "class Shell:\n    kernel = object()\n\n\ndef get_ipython():\n    return Shell()\n"
    )
    (tmp_path / "cell.py").write_text(cell())
    source = "import IPython, runpy; runpy.run_path('cell.py', run_name='__main__')"
    known = load("kaggle-gpu-py312-2026-08", tmp_path).images[0]
    done = run(sys.executable, tmp_path, source, PYTHONPATH=str(tmp_path), KAGGLE_DOCKER_IMAGE=f"x@{known}")
    assert done.returncode == 0, done.stderr
    base = load("./kaggle-base.json", tmp_path)
    assert base.certainty == "exact: written down by the kernel itself"
    assert f"image: {known} (kaggle-gpu-py312-2026-08)" in done.stdout
    assert base.preloaded[0] == "IPython"
    assert "PIL" not in base.preloaded


def test_it_writes_down_the_archives_of_apt_without_credentials(tmp_path: Path) -> None:
    sources = {
        "a.list": "# deb http://h/no x main\ndeb [arch=amd64] https://user:word@h/ubuntu jammy main universe # x\n",
        "b.sources": "Types: deb deb-src\nURIs: http://h/d\nSuites: jammy jammy-updates\nComponents: main\n\n"
        "Types: deb\nURIs: http://h/off\nSuites: jammy\nEnabled: no\n",
        "c.save": "deb http://h/old jammy main\n",
    }
    for name, text in sources.items():
        (tmp_path / name).write_text(text)
    says = f"{cell()}\n".replace('"/etc/apt/sources.list.d"', repr(str(tmp_path))).replace("    probe()", "    pass")
    read = f"{says}\nprint(json.dumps([row for row in archives() if '//h/' in row]))"
    assert json.loads(run(sys.executable, tmp_path, read).stdout) == [
        "https://h/ubuntu jammy main universe",
        "http://h/d jammy main",
        "http://h/d jammy-updates main",
    ]
