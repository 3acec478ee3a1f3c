"""What a project has: kaggle-env.toml, locks, snapshots, and what `kpack init` reads."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from kpack.base import snapshot
from kpack.environment import edit, edit_packages, meaning_digest, parse
from kpack.errors import KpackError
from kpack.importing import Harvest, settle
from kpack.importing import read as import_file
from kpack.lock import dumps as lock_text
from kpack.lock import loads as lock
from kpack.lock import write as lock_write
from tests.environment.corpus import VALID
from tests.fuzz.harness import Harness, put

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def _toml(data: bytes, folder: Path) -> None:
    path = put(folder, "kaggle-env.toml", data)
    text = edit.open_file(path)[1]
    changes: tuple[Callable[[], str], ...] = (
        lambda: edit_packages.add_packages(text, path, ["numpy>=2", "./fork"]).text,
        lambda: edit_packages.remove_packages(text, path, ["x"]).text,
        lambda: edit.set_base(text, path, "kaggle-cpu-py312-2026-08").text,
    )
    for change in changes:
        try:
            after = change()
        except KpackError:
            continue
        parse(after, path)
    meaning_digest(parse(text, path))


def _toml_seeds(_: Path) -> Iterator[bytes]:
    yield from (text.encode() for text in VALID.values())


def _lock(data: bytes, _: Path) -> None:
    """A lock, its digest made right first."""
    text = data.decode("utf-8", "surrogateescape")
    bare_text = lock_write.DIGEST_LINE.sub("", text, count=1)
    try:
        digest = lock_write.digest_of(bare_text)
    except UnicodeEncodeError:
        return  # a file with such bytes is refused before
    text = lock_write.DIGEST_LINE.sub(f'digest = "{digest}"\n', text, count=1)
    found = lock(text, "pylock.toml")
    assert lock(lock_text(found), "again") == found
    lock_write.requirements(found)


def _lock_seeds(_: Path) -> Iterator[bytes]:
    yield (Path(__file__).parents[1] / "lock" / "golden.toml").read_bytes()


def _snapshot(data: bytes, folder: Path) -> None:
    path = put(folder, "kaggle.json", data)
    snapshot.load("kaggle.json", path.parent)


def _snapshot_seeds(_: Path) -> Iterator[bytes]:
    own = {
        "kpack-base": 1,
        "glibc": "2.35",
        "preloaded": {"numpy": ["numpy"]},
        "native": {"os": "ubuntu", "libraries": ["libc.so.6"]},
        "environment": {
            **dict.fromkeys(snapshot.MARKER_VARIABLES, "x"),
            "python_version": "3.12",
            "python_full_version": "3.12.1",
            "sys_platform": "linux",
            "implementation_name": "cpython",
            "platform_machine": "x86_64",
        },
        "distributions": [{"name": "numpy", "version": "2.0", "requires-dist": ["x>=1"], "top-level": ["numpy"]}],
        "scheme": {"purelib": "/a", "platlib": "/a", "scripts": "/b", "data": "/c", "include": "/d"},
    }
    yield json.dumps(own).encode()
    report = {"version": "1", "pip_version": "26", "installed": [{"metadata": {"name": "numpy", "version": "2.0"}}]}
    yield json.dumps({**report, "environment": own["environment"]}).encode()


_INPUTS = (
    "x.ipynb",
    "x.py",
    "requirements.txt",
    "pyproject.toml",
    "uv.lock",
    "poetry.lock",
    "Pipfile.lock",
    "pylock.toml",
    "Pipfile",
    "environment.yml",
)


def _imported(names: tuple[str, ...]) -> Callable[[bytes, Path], None]:
    def run(data: bytes, folder: Path) -> None:
        for name in names:
            path = put(folder, name, data)
            harvest = Harvest(folder=folder)
            try:
                import_file(path, harvest)
                settle(harvest, [])
            except KpackError:
                continue

    return run


def _notebook(data: bytes, folder: Path) -> None:
    """A notebook's JSON, or code that becomes its one cell."""
    _imported(("x.ipynb",))(data, folder)
    text = data.decode("utf-8", "replace")
    cell: dict[str, object] = {
        "cell_type": "code",
        "source": text,
        "metadata": {},
        "outputs": [],
        "execution_count": None,
    }
    made = {"cells": [cell], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    _imported(("x.ipynb",))(json.dumps(made).encode(), folder)


def _notebook_seeds(_: Path) -> Iterator[bytes]:
    cell: dict[str, object] = {
        "cell_type": "code",
        "source": ["!pip install x\n"],
        "metadata": {},
        "outputs": [],
        "execution_count": 1,
    }
    yield json.dumps({"cells": [cell], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}).encode()
    yield b"%pip install -U 'numpy>=2' -f https://x/y\nimport torch\nV='1'\n!pip install x=={V}\n"
    yield b"%%bash\ncd /tmp && git clone https://github.com/a/b && pip install -e ./b\nwget -O x https://h/y\n"
    yield b"from transformers import AutoModel\nAutoModel.from_pretrained('a/b', revision='main')\n"
    yield b"import os, sys\nsys.path.append('../input/x')\nos.system('pip install y')\ntorch.hub.load('a/b', 'c')\n"
    yield b"import kagglehub\nkagglehub.model_download('a/b/c/d')\nget_ipython().system('pip install x')\n"


def _project_seeds(_: Path) -> Iterator[bytes]:
    yield (
        b"-r other.txt\n-c limits.txt\nnumpy>=1 ; python_version<'3'\n-e git+https://h/o/r@x#egg=r\n--pre\n"
        b"x==1 \\\n --hash=sha256:00\n"
    )
    yield (
        b'[project]\nname="p"\ndependencies=["a>=1"]\n[project.optional-dependencies]\nx=["b"]\n'
        b'[dependency-groups]\ng=["c",{include-group="g"}]\n'
    )
    yield (
        b'[tool.poetry.dependencies]\npython="^3.11"\na="~1.2"\n'
        b'b={version="*",extras=["x"],git="https://h/r",rev="1"}\n'
    )
    yield (
        b'[tool.uv.sources]\na={git="https://h/r",tag="v"}\n'
        b'[[package]]\nname="a"\nversion="1"\nsource={registry="https://h"}\n'
    )
    yield (
        b'lock-version="1.0"\n[[packages]]\nname="a"\nversion="1"\nmarker="x"\n'
        b'[packages.vcs]\nurl="https://h/r"\ncommit-id="0"\n'
    )
    yield b'{"default": {"a": {"version": "==1", "markers": "x"}}, "_meta": {"requires": {"python_version": "3.12"}}}'
    yield b"name: x\nchannels: [c]\ndependencies:\n - python=3.11\n - numpy>=1=x\n - pip:\n   - a==1\n   - -r r.txt\n"
    yield (
        b'[packages]\na="*"\nb={version="==1",markers="x",path="."}\n[dev-packages]\nc="*"\n'
        b'[requires]\npython_version="3.12"\n'
    )


HARNESSES = (
    Harness("toml", _toml, _toml_seeds),
    Harness("lock", _lock, _lock_seeds),
    Harness("snapshot", _snapshot, _snapshot_seeds),
    Harness("notebook", _notebook, _notebook_seeds),
    Harness("projects", _imported(_INPUTS[1:]), _project_seeds),
)
