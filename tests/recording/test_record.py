"""``kpack record``: the same code finds offline what it downloaded when it was recorded."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import tomllib
import venv
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.e2e.conftest import PYTHON, Workshop
from tests.recording.hub import COMMIT, Hub
from tests.support.index import IndexServer
from tests.support.long import ALL
from tests.support.origin import Origin
from tests.support.sandbox import Sandbox, missing
from tests.support.wheels import make_wheel

if TYPE_CHECKING:
    from collections.abc import Iterator

SANDBOXED = ALL and not missing()
"""Whether to record within a notebook, and to run the same notebook again in a network namespace of its own."""

LIBRARIES = """
# Where libraries keep what they download, as they do it.
import hashlib, os, shutil, urllib.request
URL = os.environ["ORIGIN"]

def kept(url, path):
    path = os.path.expanduser(path)
    if not os.path.exists(path):
        os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
        with urllib.request.urlopen(url) as answer, open(path + ".part", "wb") as out:
            shutil.copyfileobj(answer, out)
        os.replace(path + ".part", path)
    return open(path, "rb").read()

def torch_hub(name):
    home = os.path.expanduser(os.environ.get("TORCH_HOME", "~/.cache/torch"))
    return kept(URL + "/torch/" + name, home + "/hub/checkpoints/" + name)

def nltk(name):
    return kept(URL + "/nltk/packages/corpora/" + name, os.environ.get("NLTK_DATA", "~/nltk_data") + "/corpora/" + name)

def keras(name):
    return kept(URL + "/keras/" + name, os.environ.get("KERAS_HOME", "~/.keras") + "/models/" + name)

def tiktoken(name):
    url = URL + "/encodings/" + name
    folder = os.environ.get("TIKTOKEN_CACHE_DIR", "/nowhere")
    return kept(url, folder + "/" + hashlib.sha1(url.encode()).hexdigest())
"""

CELLS = [
    "import os, hashlib, libraries as lib\nfound = {}\n%env RECORDED=1",
    "found['plain'] = lib.kept(lib.URL + '/moved/a.ckpt?token=SECRET', 'checkpoints/a.ckpt')",
    "if not os.path.exists('c.bin'):\n    !curl -sSLo c.bin {lib.URL}/c.bin",
    "found['curl'] = open('c.bin', 'rb').read()",
    "found.update(torch=lib.torch_hub('r-1.pth'), nltk=lib.nltk('words.zip'), keras=lib.keras('k.h5'))",
    "found['tiktoken'] = lib.tiktoken('x.tiktoken')",
    "import huggingface_hub\nfound['hub'] = open(huggingface_hub.hf_hub_download('org/repo', 'w.bin'), 'rb').read()",
    "print({name: hashlib.sha256(data).hexdigest()[:8] for name, data in sorted(found.items())})",
]
FILES = {
    "/a.ckpt": b"plain" * 3000,
    "/c.bin": b"by curl" * 100,
    "/torch/r-1.pth": b"torch" * 100,
    "/nltk/packages/corpora/words.zip": b"nltk" * 100,
    "/keras/k.h5": b"keras" * 100,
    "/encodings/x.tiktoken": b"tiktoken" * 100,
}


def notebook(*cells: str) -> str:
    """Return a notebook of code cells."""
    held: list[dict[str, object]] = [
        {"cell_type": "code", "id": f"c{n}", "metadata": {}, "execution_count": None, "outputs": [], "source": text}
        for n, text in enumerate(cells)
    ]
    return json.dumps({"cells": held, "metadata": {}, "nbformat": 4, "nbformat_minor": 5})


def as_script(cells: list[str]) -> str:
    """Return the cells as the plain Python that a kernel without IPython runs."""
    text = "\n".join(cells).replace("%env RECORDED=1", "").replace("!curl", "raise SystemExit('asked again') #")
    return "import sys; sys.path.insert(0, '')\n" + text


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[tuple[Workshop, Origin]]:
    """A project with a notebook that downloads in many ways, from a server on loopback."""
    folder = tmp_path / "project"
    folder.mkdir()
    files = {"w.bin": b"hub" * 100, "other.bin": b"x"}
    with Origin() as origin, IndexServer() as index, Hub(files) as hub:
        origin.files.update(FILES)
        origin.redirects["/moved/a.ckpt?token=SECRET"] = origin.url + "/a.ckpt"
        origin.redirects["/moved/a.ckpt"] = origin.url + "/a.ckpt"
        index.add(make_wheel(tmp_path / "wheels", "alpha"))
        place = Workshop(folder, index, {"HF_ENDPOINT": hub.url, "ORIGIN": origin.url})
        place.write(
            f'# mine\nname = "tiny"\npython = "{PYTHON}"\npackages = ["alpha"]  # kept\n\n'
            f'[restore]\ndirectory = "{tmp_path / "store"}"  # large\n'
        )
        (folder / "libraries.py").write_text(LIBRARIES)
        (folder / "nb.ipynb").write_text(notebook(*CELLS))
        yield place, origin


def recorded(place: Workshop, tmp_path: Path) -> str:
    """Record the notebook, within a notebook as Kaggle runs it in the long list; return what was said."""
    if not SANDBOXED:
        return place.good("record", "nb.ipynb").out
    with Sandbox(tmp_path) as builder:
        for name in ("kaggle-env.toml", "libraries.py", "nb.ipynb"):
            shutil.copyfile(place.folder / name, builder.working / name)
        cells = ["import sys", "!kpack record nb.ipynb --python {sys.executable}"]
        ran = builder.run(notebook(*cells), internet=True, environment=place.environment, longest=120)
        assert ran.ok, ran.text
        shutil.copyfile(builder.working / "kaggle-env.toml", place.folder / "kaggle-env.toml")
    return ran.text


def run_again(place: Workshop, line: str, url: str, tmp_path: Path) -> tuple[str, Path]:
    """Run the line, then the same cells, which reach nobody; return what it printed and its working folder."""
    environ = {"KAGGLE_KERNEL_RUN_TYPE": "Batch", "HF_ENDPOINT": "http://127.0.0.1:9", "ORIGIN": url}
    if SANDBOXED:
        with Sandbox(tmp_path) as session:
            session.mount("datasets/me/tiny/tiny.kpack.bin", place.pack)
            (session.working / "libraries.py").write_text(LIBRARIES)
            ran = session.run(notebook(line, *CELLS), internet=False, environment=environ, longest=120)
            assert ran.ok, ran.text
            return ran.text, session.working
    import huggingface_hub

    kernel, work, home = tmp_path / "kernel", tmp_path / "work", tmp_path / "home"
    venv.create(kernel, with_pip=False, symlinks=True)
    work.mkdir()
    home.mkdir()
    (work / "libraries.py").write_text(LIBRARIES)
    (work / "code.py").write_text(f"{line}\n{as_script(CELLS)}")
    done = subprocess.run(
        [kernel / "bin" / "python", "code.py"],
        cwd=work,
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "KPACK_PACK": str(place.pack),
            "PYTHONPATH": str(Path(huggingface_hub.__file__).parents[1]),
            **environ,
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout, work


def test_the_same_notebook_finds_offline_what_it_downloaded(shop: tuple[Workshop, Origin], tmp_path: Path) -> None:
    pytest.importorskip("huggingface_hub", reason="needs the extra hf")
    place, origin = shop
    file = place.folder / "kaggle-env.toml"
    before = file.read_text()
    said = recorded(place, tmp_path)
    text = file.read_text()
    assert before.splitlines()[0] in text
    assert 'packages = ["alpha"]  # kept' in text
    assert "SECRET" not in text + said
    held = tomllib.loads(text)
    key = hashlib.sha1(f"{origin.url}/encodings/x.tiktoken".encode()).hexdigest()
    assert {one["url"].removeprefix(origin.url): one.get("path") for one in held["checkpoints"]} == {
        f"hf://org/repo@{COMMIT}": None,
        "/c.bin": "c.bin",
        "/torch/r-1.pth": "~/.cache/torch/hub/checkpoints/r-1.pth",
        "/keras/k.h5": "~/.keras/models/k.h5",
        "/nltk/packages/corpora/words.zip": "~/nltk_data/corpora/words.zip",
        "/moved/a.ckpt": "checkpoints/a.ckpt",
        "/encodings/x.tiktoken": f"tiktoken/{key}",
    }
    assert held["checkpoints"][0]["include"] == ["w.bin"]
    assert held["restore"]["env"] == {"TIKTOKEN_CACHE_DIR": "{directory}/tiktoken"}
    assert held["restore"]["link"] is True
    expected = {
        "curl": FILES["/c.bin"],
        "hub": b"hub" * 100,
        "keras": FILES["/keras/k.h5"],
        "nltk": FILES["/nltk/packages/corpora/words.zip"],
        "plain": FILES["/a.ckpt"],
        "tiktoken": FILES["/encodings/x.tiktoken"],
        "torch": FILES["/torch/r-1.pth"],
    }
    built = place.built()
    url = origin.url
    origin.__exit__()

    printed, work = run_again(place, built["bootstrap"], url, tmp_path)
    digests = {name: hashlib.sha256(data).hexdigest()[:8] for name, data in expected.items()}
    assert printed.splitlines()[-1] == str(digests)
    assert (work / "c.bin").is_symlink()
