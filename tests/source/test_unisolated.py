"""What is built with the packages of the image: where the image is, and nowhere else."""

from __future__ import annotations

import json
import shutil
import sys
import tomllib
import zipfile
from typing import TYPE_CHECKING

import pytest

from kpack.errors import NoSolution
from kpack.source.imports import of
from kpack.source.interpreter import described, refuse_others
from tests.cli.run import Done, kpack
from tests.source.conftest import write
from tests.support.index import IndexServer
from tests.support.kernels import base, target
from tests.support.unisolated import FILES, image, kernels

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HERE = f"{sys.version_info[0]}.{sys.version_info[1]}"
ELSEWHERE = "3.12" if HERE != "3.12" else "3.13"


@pytest.fixture
def served(tmp_path: Path) -> Iterator[IndexServer]:
    with IndexServer() as server:
        server.add(kernels(tmp_path / "served"))
        yield server


def lock(
    folder: Path,
    server: IndexServer,
    python: Path,
    *,
    series: str = HERE,
    allowed: str = "no-build-isolation",
    asked: str = "kernels",
) -> Done:
    folder.joinpath("kaggle-env.toml").write_text(
        f'name = "tiny"\npython = "{series}"\nplatform = "manylinux_2_17_x86_64"\n'
        f'packages = ["{asked}"]\n{allowed} = ["Kernels"]\n'
    )
    return kpack(folder, "lock", "--json", **environ(folder, server, python))


def environ(folder: Path, server: IndexServer, python: Path) -> dict[str, str]:
    return {
        "KPACK_INDEX_URL": server.url,
        "KPACK_CACHE": str(folder / "cache"),
        "KPACK_PYTHON": str(python),
        "NO_PROXY": "127.0.0.1",
    }


def test_it_is_built_with_the_torch_of_the_interpreter_that_is_the_target(tmp_path: Path, served: IndexServer) -> None:
    python = image(tmp_path / "image")
    done = lock(tmp_path, served, python)
    assert done.code == 0, done.err
    text = (tmp_path / "pylock.kaggle-env.toml").read_text()
    data = tomllib.loads(text)
    assert data["tool"]["kpack"]["requests"]["no-build-isolation"] == ["kernels"]
    built = kpack(tmp_path, "build", "--json", **environ(tmp_path, served, python))
    assert built.code == 0, built.err
    (found,) = [path for path in (tmp_path / "cache").rglob("*") if path.is_file() and zipfile.is_zipfile(path)]
    with zipfile.ZipFile(found) as wheel:
        assert wheel.read("kernels.py") == b"TORCH = '2.10.0+cu128'\n"
    found.unlink()
    again = kpack(tmp_path, "build", "--json", "--check", **environ(tmp_path, served, python))
    assert again.code == 0, again.err
    assert again.json["id"] == built.json["id"]


@pytest.mark.parametrize("asked", ["./kernels-1.0.tar.gz", "./silent", "./told"])
def test_a_source_of_the_users_own_is_known_by_its_texts_or_by_what_is_made_of_it(
    tmp_path: Path, served: IndexServer, asked: str
) -> None:
    for name, more in (("silent", ""), ("told", '[project]\nname = "Kernels"\nversion = "1.0"\n')):
        (tmp_path / name).mkdir()
        for filename, text in FILES.items():
            (tmp_path / name / filename).write_text(text + (more if filename == "pyproject.toml" else ""))
    (archive,) = (tmp_path / "served").glob("*.tar.gz")
    shutil.copy(archive, tmp_path)
    python = image(tmp_path / "image")
    done = lock(tmp_path, served, python, asked=asked)
    assert done.code == 0, done.err
    built = kpack(tmp_path, "build", "--json", **environ(tmp_path, served, python))
    assert built.code == 0, built.err
    elsewhere = lock(tmp_path, served, python, asked="./told", series=ELSEWHERE)
    assert elsewhere.code == 3
    assert "kernels: no-build-isolation: it is built with what the image has" in elsewhere.error["what"]
    (tmp_path / "silent/setup.py").write_text("import torch, nobodys\n")
    neither = lock(tmp_path, served, python, asked="./silent")
    assert neither.code == 3
    assert "./silent: its build imports torch" in neither.error["what"]
    assert "and ./silent: it cannot be built with what" in neither.error["what"]
    assert "No module named 'nobodys'" in neither.error["what"]
    alone = lock(tmp_path, served, python, asked="./silent", allowed="allow-source")
    assert alone.code == 3
    assert alone.error["what"].startswith("./silent: its build imports torch")
    assert alone.error["next"].startswith('name "torch" beside its build backend in requires of [build-system]')


@pytest.mark.parametrize("case", ["another-python", "no-torch"])
def test_elsewhere_it_is_exit_3_with_the_two_ways_out(tmp_path: Path, served: IndexServer, case: str) -> None:
    python = image(tmp_path / "image", torch=case != "no-torch")
    done = lock(tmp_path, served, python, series=ELSEWHERE if case == "another-python" else HERE)
    assert done.code == 3, done.err
    error = done.error
    assert ELSEWHERE in error["what"] if case == "another-python" else "torch" in error["what"]
    assert "URL" in error["next"]
    assert "kpack notebook --relock" in error["next"]


def test_metadata_that_is_promised_does_not_hide_that_it_cannot_be_built(tmp_path: Path, served: IndexServer) -> None:
    promise = "Metadata-Version: 2.2\nName: kernels\nVersion: 1.0\n"
    from tests.source.conftest import sdist

    served.files.clear()
    served.add(sdist(tmp_path / "kernels-1.0.tar.gz", {**FILES, "PKG-INFO": promise}, top="kernels-1.0/"))
    done = lock(tmp_path, served, image(tmp_path / "image", torch=False))
    assert done.code == 3, done.err
    assert "No module named 'torch'" in done.error["what"]
    done = lock(tmp_path, served, image(tmp_path / "image", torch=False), series=ELSEWHERE)
    assert done.code == 3
    assert "kpack notebook --relock" in done.error["next"]


def test_an_interpreter_that_cannot_be_run_is_named(tmp_path: Path, served: IndexServer) -> None:
    done = lock(tmp_path, served, tmp_path / "nowhere")
    assert done.code == 7
    assert "KPACK_PYTHON" in done.error["next"]


def test_a_build_that_misses_a_package_of_the_image_says_what_to_write(tmp_path: Path, served: IndexServer) -> None:
    done = lock(tmp_path, served, image(tmp_path / "image"), allowed="exclude = ['torch==2.10.0+cu128']\nallow-source")
    assert done.code == 3
    error = done.error
    assert "torch" in error["what"]
    assert 'no-build-isolation = ["kernels"]' in error["next"]


def test_compiled_code_of_another_torch_than_the_images_is_refused() -> None:
    fits = target(base({"torch": "2.10.0+cu128", "numpy": "2.0.2"}))
    refuse_others("kernels", [("torch", "2.10.0+cu128"), ("unknown", "1")], fits)
    with pytest.raises(NoSolution, match=r"torch 2\.10\.0\+cpu, image has 2\.10\.0\+cu128"):
        refuse_others("kernels", [("torch", "2.10.0+cpu")], fits)


def test_what_a_build_looks_at_is_told_by_its_files(tmp_path: Path) -> None:
    files = {
        "setup.py": "import os, setuptools\nODD = '\\d'\ndef f():\n    from torch.utils import cpp_extension\n",
        "pyproject.toml": '[build-system]\nrequires = ["setuptools", "NumPy>=2", "not a requirement !"]\n',
    }
    assert of(write(tmp_path, files), name="x") == {"os", "torch", "numpy"}
    assert of(write(tmp_path, {"setup.py": "print 'Python 2'"}), name="x") == {"numpy"}


def test_an_interpreter_is_known_by_what_it_has(tmp_path: Path) -> None:
    with_torch, without = described(str(image(tmp_path / "a"))), described(str(image(tmp_path / "b", torch=False)))
    assert with_torch.versions_of({"torch", "numpy"}) == (("torch", "2.10.0+cu128"),)  # type: ignore[arg-type]
    assert with_torch.fingerprint != without.fingerprint
    assert with_torch.unlike(target(python="3.8.20"))
    assert json.dumps(with_torch.environment)
