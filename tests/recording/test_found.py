"""What a run did, and what kaggle-env.toml has to say of it."""

from __future__ import annotations

import hashlib
import json
import sys
from typing import TYPE_CHECKING

import pytest

from kpack.environment.edit_restore import set_restore
from kpack.errors import CheckFailed
from kpack.recording.found import Recorded, found
from kpack.recording.observe import Exchange, Observation, Program, observed
from tests.support.interpreters import found as interpreters
from tests.support.origin import Origin

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DATA = b"weights" * 100
URL = "https://host.example/files/model.ckpt"


def answer(url: str = URL, data: bytes = DATA, **facts: object) -> Exchange:
    digest = hashlib.sha256(data).hexdigest()
    known = {"method": "GET", "status": 200, "location": None, "secret": False, "sha256": digest, "size": len(data)}
    return Exchange(url=url, **{**known, **facts})  # type: ignore[arg-type]


@pytest.fixture
def seen(tmp_path: Path) -> Observation:
    home, folder = tmp_path / "home", tmp_path / "work"
    home.mkdir()
    folder.mkdir()
    return Observation(home=home, folder=folder)


def saved(seen: Observation, path: Path, data: bytes = DATA) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    seen.written.add(path)


def taken(result: Recorded) -> list[tuple[str, str | None]]:
    return [(entry.url, entry.path) for entry in result.entries]


def test_a_file_is_known_by_its_bytes_and_named_by_the_url_that_was_asked_for(seen: Observation) -> None:
    seen.requests = [
        answer("https://host.example/latest", b"", status=302, location="/cdn/x?X-Amz-Signature=abc"),
        answer("https://host.example/cdn/x?X-Amz-Signature=abc"),
    ]
    saved(seen, seen.folder / "renamed.bin")
    result = found(seen)
    assert taken(result) == [("https://host.example/latest", "renamed.bin")]
    assert (result.link, result.left) == (True, [])
    assert result.entries[0].sha256 == hashlib.sha256(DATA).hexdigest()


def test_secrets_are_not_written_and_said_to_be_needed(seen: Observation) -> None:
    seen.requests = [
        answer("https://me:word@host.example/a.bin?token=abc&v=1", b"a" * 99, secret=True),
        answer("https://huggingface.co/org/repo/resolve/v1/w.bin", b"b" * 98, secret=True),
    ]
    saved(seen, seen.folder / "a.bin", b"a" * 99)
    saved(seen, seen.folder / "b.bin", b"b" * 98)
    result = found(seen)
    assert taken(result) == [
        ("https://host.example/a.bin?v=1", "a.bin"),
        ("hf://org/repo@v1/w.bin", "b.bin"),
    ]
    assert not any(secret in str(result) for secret in ("word", "abc"))
    assert "needs credentials, which are not kept: set KPACK_URLS or netrc" in result.left[0]
    assert "run `hf auth login`, or set HF_TOKEN" in result.left[1]


def test_what_no_checkpoint_can_express_is_named(seen: Observation) -> None:
    seen.requests = [
        answer("https://api.example/v1/chat", method="POST", sha256=None),
        answer("https://api.example/v1/chat", method="POST", sha256=None),
        answer("https://host.example/table.csv", b"1,2"),
        answer("https://host.example/files/index.xml", b"<x/>"),
        answer(),
        answer("https://host.example/none", status=404),
    ]
    seen.programs = [
        Program(words=("git", "clone", "https://me:word@host.example/tool.git"), folder=seen.folder),
        Program(words=("curl", "-s", "https://host.example/a"), folder=seen.folder),
        Program(words=("curl", "-d", "x=1", "https://host.example/api"), folder=seen.folder),
    ]
    saved(seen, seen.home / ".cache/x/model.ckpt")
    (seen.home / ".cache/kagglehub/datasets").mkdir(parents=True)
    result = found(seen)
    assert taken(result) == [(URL, "~/.cache/x/model.ckpt")]
    assert not result.link
    tool = "https://host.example/tool.git"
    assert result.left == [
        f'git clone of {tool}: packages = ["NAME @ git+{tool}"], or attach it as an input',
        "curl hands https://host.example/a on: save it as a file, and read that",
        "curl sends data to https://host.example/api: an answer cannot be packed",
        "POST https://api.example/v1/chat: the answer of an API cannot be packed (2 times)",
        "https://host.example/table.csv was read and not saved: save it as a file, and read that",
        "kagglehub brought datasets of Kaggle: attach them to the notebook (Add Input)",
    ]


def test_what_kagglehub_brought_is_named_and_no_checkpoint(seen: Observation) -> None:
    service = "https://api.kaggle.com/v1/datasets.DatasetApiService"
    stored = "https://storage.googleapis.com/x/a.ckpt?X-Goog-Signature=abc"
    seen.requests = [
        answer(f"{service}/GetDataset", b"{}", method="POST"),
        answer(f"{service}/DownloadDataset", b"", method="POST", status=302, location=stored),
        answer(stored, secret=True),
    ]
    saved(seen, seen.home / ".cache/kagglehub/datasets/me/weights/versions/1/a.ckpt")
    result = found(seen)
    assert taken(result) == []
    assert result.left == ["kagglehub brought datasets of Kaggle (me/weights): attach them to the notebook (Add Input)"]


@pytest.mark.parametrize(
    ("words", "path"),
    [
        (("wget", "-q", URL), "model.ckpt"),
        (("wget", "-qO", "w/x.bin", URL), "w/x.bin"),
        (("wget", "-P", "w", URL), "w/model.ckpt"),
        (("wget", "--output-document=y.bin", URL), "y.bin"),
        (("curl", "-sSLo", "y.bin", URL), "y.bin"),
        (("curl", "-LO", URL), "model.ckpt"),
        (("curl", "-L", "--remote-name", URL, "--output-dir", "w"), "w/model.ckpt"),
        (("aria2c", "-d", "w", "-o", "y.bin", URL), "w/y.bin"),
    ],
)
def test_programs_that_download_are_read(seen: Observation, words: tuple[str, ...], path: str) -> None:
    seen.programs = [Program(words=words, folder=seen.folder)]
    saved(seen, seen.folder / path)
    result = found(seen)
    assert taken(result) == [(URL, path)]
    assert result.left == []


def test_the_cache_of_the_hub_is_taken_by_its_commits(seen: Observation) -> None:
    for kind, name in (("models", "main"), ("datasets", "v1")):
        folder = seen.home / f".cache/huggingface/hub/{kind}--org--a-b"
        (folder / "refs").mkdir(parents=True)
        (folder / "refs" / name).write_text("a" * 40)
        saved(seen, folder / f"snapshots/{'a' * 40}/sub/w[1].bin")
    result = found(seen)
    assert [(entry.url, entry.path, entry.include) for entry in result.entries] == [
        ("hf://datasets/org/a-b@v1", None, ("sub/w[[]1].bin",)),
        (f"hf://org/a-b@{'a' * 40}", None, ("sub/w[[]1].bin",)),
    ]


def test_caches_in_the_working_folder_that_are_not_of_the_run_are_left(seen: Observation, tmp_path: Path) -> None:
    seen.folder, seen.others = tmp_path, (tmp_path / "old",)
    for place in (seen.home / "hub", tmp_path / "old/hub", tmp_path / "mine"):
        name = "a" if place == seen.home / "hub" else place.name
        saved(seen, place / f"models--org--{name}/snapshots/{'a' * 40}/w.bin")
    seen.others += (seen.home,)
    assert [entry.url for entry in found(seen).entries] == [f"hf://org/{name}@{'a' * 40}" for name in ("a", "mine")]


def test_what_the_hub_s_client_reads_for_itself_is_not_left_to_anybody(seen: Observation) -> None:
    at = f"{seen.endpoint}/org/repo/resolve/{'a' * 40}/w.bin"
    seen.requests = [answer(f"{seen.endpoint}/api/models/org/repo/revision/main", b"{}"), answer(at)]
    saved(seen, seen.folder / "models/w.bin", DATA)
    result = found(seen)
    assert taken(result) == [(f"hf://org/repo@{'a' * 40}/w.bin", "models/w.bin")]
    assert result.left == []


def test_the_hub_s_client_downloads_where_it_can_be_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "libraries/huggingface_hub"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("from huggingface_hub.constants import HF_HUB_DISABLE_XET as PLAIN\n")
    (package / "constants.py").write_text(
        "import os\nHF_HUB_ENABLE_HF_TRANSFER = os.environ['HF_HUB_ENABLE_HF_TRANSFER'] == '1'\n"
        "HF_HUB_DISABLE_XET = False\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(package.parent))
    code = (
        "import os\nos.environ['HF_HUB_ENABLE_HF_TRANSFER'] = '1'\n"
        "import huggingface_hub, huggingface_hub.constants as c\n"
        "assert (huggingface_hub.PLAIN, c.HF_HUB_ENABLE_HF_TRANSFER) == (True, False)\n"
    )
    (tmp_path / "code.py").write_text(code)
    with observed(tmp_path / "code.py", python=sys.executable, folder=None):
        pass


@pytest.fixture
def origin() -> Iterator[Origin]:
    with Origin() as server:
        server.files["/m.bin"] = DATA
        yield server


def notebook(path: Path, *cells: str) -> Path:
    path.write_text(json.dumps({"cells": [{"cell_type": "code", "source": text} for text in cells], "nbformat": 4}))
    return path


@pytest.mark.parametrize("series", ["3.8", "3.12"])
def test_a_notebook_runs_without_ipython(series: str, tmp_path: Path, origin: Origin) -> None:
    if series not in interpreters():
        pytest.skip(f"there is no Python {series}")
    code = notebook(
        tmp_path / "nb.ipynb",
        f"import os, urllib.request as web\nURL = '{origin.url}/m.bin'\n%env WHERE=sub\n%matplotlib inline",
        "!mkdir {os.environ['WHERE']}\n%cd sub\nlisted = !echo one",
        "assert listed == ['one']\nimport asyncio\nawait asyncio.sleep(0)",
        "web.urlretrieve(URL, 'm.bin')",
        "%%bash\necho done",
        "%%writefile note.txt\nhello",
    )
    with observed(code, python=str(interpreters()[series]), folder=None) as seen:
        result = found(seen)
    assert taken(result) == [(f"{origin.url}/m.bin", "sub/m.bin")]
    assert result.left == ["%matplotlib inline was not run: this interpreter has no IPython"]


CLIENTS = {
    "httpx": "data = {name}.get(url).content",
    "httpx stream": "with {name}.stream('GET', url) as r:\n    data = b''.join(r.iter_bytes(100))",
    "httpx async": """
async def main():
    async with {name}.AsyncClient() as client:
        return (await client.get(url)).content
import asyncio
data = asyncio.run(main())
""",
    "aiohttp": """
async def main():
    async with aiohttp.ClientSession() as session, session.get(url) as answer:
        return await answer.read()
import asyncio
data = asyncio.run(main())
""",
    "aiohttp chunks": """
async def main():
    async with aiohttp.ClientSession() as session, session.get(url) as answer:
        return b"".join([piece async for piece in answer.content.iter_chunked(100)])
import asyncio
data = asyncio.run(main())
""",
}


@pytest.mark.parametrize("name", ["httpx", "httpx2", "aiohttp"])
def test_other_clients_are_watched_by_the_bytes_that_they_bring(name: str, tmp_path: Path, origin: Origin) -> None:
    pytest.importorskip(name)
    rows = [f"import {name}"]
    expected = []
    for number, (kind, code) in enumerate(CLIENTS.items()):
        if kind.split()[0] == name.rstrip("2"):
            origin.files[f"/{number}.bin"] = DATA + kind.encode()
            rows += [f"url = '{origin.url}/{number}.bin'", code.format(name=name)]
            rows.append(f"open('under-another-name-{number}', 'wb').write(data)")
            expected.append((f"{origin.url}/{number}.bin", f"under-another-name-{number}"))
    script = tmp_path / "code.py"
    script.write_text("\n".join(rows))
    with observed(script, python=sys.executable, folder=None) as seen:
        result = found(seen)
    assert taken(result) == expected
    assert result.left == []


def test_code_that_fails_is_said_to_and_its_cell(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    code = notebook(tmp_path / "nb.ipynb", "x = 1", "raise ValueError('no\\nway')")
    with pytest.raises(CheckFailed, match="cell 2: ValueError: no way"), observed(code, python=None, folder=None):
        pass
    script = tmp_path / "code.py"
    script.write_text("import sys\nsys.exit(3)\n")
    with pytest.raises(CheckFailed, match="it ended with 3"), observed(script, python=sys.executable, folder=None):
        pass


def test_the_table_of_restore_keeps_its_comments(tmp_path: Path) -> None:
    text = 'name = "x"\npython = "3.12"\n\n[restore]  # mine\nenv = { A = "1" }  # and this\n'
    edit = set_restore(text, tmp_path / "kaggle-env.toml", env={"B": "2"}, link=True)
    assert "[restore]  # mine\n" in edit.text
    assert "# and this\n" in edit.text
    assert 'B = "2"' in edit.text
    assert edit.added == ["[restore] env B", "[restore] link"]
    assert set_restore(edit.text, tmp_path / "kaggle-env.toml", env={"B": "2"}, link=True).text == edit.text
    fresh = set_restore('name = "x"\npython = "3.12"\n', tmp_path / "kaggle-env.toml", env={}, link=True)
    assert fresh.text.endswith("[restore]\nlink = true\n")
