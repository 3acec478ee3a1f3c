"""What lies in an environment, and what kpack keeps for itself."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from kpack import ledger, pack
from kpack.errors import UsageError
from kpack.fetch import Download, part
from kpack.notebook.document import with_source as notebook_cell
from kpack.pack import admission
from kpack.pack.copy import SpanMemory
from kpack.publish.kernel import log_text
from kpack.publish.upload import UploadMemory
from kpack.restore import installed, journal, state
from kpack.restore.engine import Options, restore
from kpack.restore.scheme import for_target
from tests.fuzz import framing
from tests.fuzz.harness import HERE, Harness, fresh, put, unchanged
from tests.restore import kit
from tests.support.wheels import make_wheel

if TYPE_CHECKING:
    from collections.abc import Iterator


def _state(data: bytes, folder: Path) -> None:
    """A journal and a mark (``@`` is the folder): what a run believes of them is in its folder, or is not there."""
    target = fresh(folder, "target")
    (target / ".kpack").mkdir()
    for name, content in framing.split(data):
        if name in ("journal.json", "mark-demo.json"):
            put(target / ".kpack", name, content.replace(b"@", os.fsencode(target)))
    found = state.State(for_target(str(target)))
    for mark in found.marks():
        assert mark.name == "demo"
    believed = found.journal()
    if believed is None:
        return
    paths = [*believed.files, *believed.metadata, *believed.staging, *believed.emptied, *believed.folders]
    for pair in believed.aside:
        paths += pair
    for path in paths:
        assert not os.path.lexists(path) or os.path.realpath(path).startswith(f"{target}/"), path
    found.take_back(believed)


def _state_seeds(_: Path) -> Iterator[bytes]:
    entry = journal.Journal(
        run="0123abcd",
        id="0" * 64,
        name="demo",
        folders=["@/a"],
        files=["@/a/b.py", "@/bin/tool"],
        metadata=["@/a-1.0.dist-info"],
        aside=[("@/old.py", "@/.kpack/aside/0")],
        staging=["@/.kpack/new", "@/.kpack/aside"],
        emptied=["@/gone"],
        witnesses=["/tmp/.kpack-0123abcd"],
    )
    for number in (1, 2):
        yield framing.join({"journal.json": json.dumps({"format": number, **entry._asdict()}).encode()})
    mark = state.Mark(
        run="0123abcd",
        id="0" * 64,
        name="demo",
        target="here",
        installed=[{"name": "a", "version": "1.0", "info": "@/a-1.0.dist-info"}],
        checkpoints=[
            {"path": "@/x", "sha256": "0" * 64, "size": 1, "modified": 2, "changed": 3, "inode": 4},
        ],
    )
    yield framing.join({"mark-demo.json": json.dumps({"format": 2, **mark._asdict()}).encode()})


def _environment_there(data: bytes, folder: Path) -> None:
    """Files that other installers left in the folder; a pack that replaces one of them is restored over them."""
    scene = folder / "scene"
    if not scene.exists():
        wheel = make_wheel(folder / "wheels", "small", "2.0", files={"small/__init__.py": "S = 2\n"})
        kit.make_pack(scene, [wheel], series=[HERE], replaces={"small": "1.0"})
    outer = fresh(folder, "outer")
    beside = put(outer, "beside.py", b"stays")
    target = outer / "target"
    target.mkdir()
    for name, content in framing.split(data):
        path = os.path.normpath(target / name)
        if path.startswith(f"{target}/") and "\0" not in path and len(path) < 200:
            try:
                Path(path).parent.mkdir(parents=True, exist_ok=True)
                Path(path).write_bytes(content.replace(b"@", os.fsencode(target)))
            except OSError:
                continue  # a file and a folder of one name
    for item in installed.installed([str(target)]).values():
        installed.unsound(item)
        installed.stated(item)
    found = pack.read(scene / "tiny.kpack.bin")
    with unchanged():
        try:
            restore(str(found.path), found.manifest, id=found.id, options=Options(target=str(target), kaggle=False))
        finally:
            assert beside.read_bytes() == b"stays"
            assert sorted(entry.name for entry in outer.iterdir()) == ["beside.py", "target"]


def _environment_there_seeds(_: Path) -> Iterator[bytes]:
    info = "small-1.0.dist-info"
    about = {f"{info}/METADATA": b"Name: small\nVersion: 1.0\n", "small/__init__.py": b"S = 1\n"}
    rows = f"small/__init__.py,,\n../beside.py,,\n{info}/METADATA,,6\n{info}/RECORD,,\n".encode()
    yield framing.join({**about, f"{info}/RECORD": rows, f"{info}/INSTALLER": b"pip\n"})
    egg = "small-1.0-py3.11.egg-info"
    yield framing.join(
        {f"{egg}/PKG-INFO": b"Name: small\nVersion: 1.0\n", f"{egg}/installed-files.txt": b"../small/__init__.py\n"}
    )
    yield framing.join({**about, f"{info}/direct_url.json": b'{"url": "file:///x", "dir_info": {"editable": true}}'})
    yield framing.join({"small.egg-link": b"@\n.", "easy-install.pth": b"@/x\n", **about, f"{info}/RECORD": b'"a'})


def _kept(data: bytes, folder: Path) -> None:
    """Notes of earlier runs, which are forgotten when they cannot be read."""
    place = folder / "x.kpack.bin"
    put(folder, "x.ledger.json", data)
    ledger.rehearsals(place)
    ledger.pushed(place)
    ledger.remember(place, ledger.Pushed(id="0", ref="a/b", version=1, mountable=True))
    assert ledger.pushed(place) is not None
    kept = admission._read(put(folder, "verdict", data))
    assert kept is None or json.loads(json.dumps(kept.files)) is not None
    SpanMemory(folder).spans(put(folder, f"{'0' * 64}.json", data).stem, [(0, 1)])
    memory = UploadMemory(folder, "x")
    put(folder, memory.path.name, data)
    memory.recall(10)
    for read in (log_text, lambda text: notebook_cell(text, "x", "", "y")):
        with suppress(UsageError):
            read(data.decode("utf-8", "replace"))
    download = Download(name="x", urls=("https://h/x",), sha256="0" * 64, size=None)
    with part.opened(folder, "key", lambda: None) as opened:
        opened.stream.write(b"0" * 100)
        opened.stream.flush()
        put(folder, "key.json", data)
        opened.begin("https://h/x", download)
        assert opened.progress.received <= 100
        opened.note(now=True)
        opened.remove()


def _kept_seeds(_: Path) -> Iterator[bytes]:
    rehearsed = {"id": "0", "where": "local", "ok": True, "at": "2026-11-26T07:10:37Z"}
    yield json.dumps({"kpack-ledger": 1, "rehearsed": {"local": rehearsed}}).encode()
    url = part.digest_of_url("https://h/x")
    yield json.dumps(
        {"url": url, "validator": '"x"', "total": 200, "segments": [[0, 50, 100], [100, 100, 200]]}
    ).encode()
    library = {"path": "x.so"}
    yield json.dumps(
        {
            "name": "x",
            "version": "1",
            "size": 1,
            "cuts": [0],
            "unpacked": 1,
            "files": 1,
            "notes": [],
            "objects": [{**library, "versions": [["a", "b"]]}],
        }
    ).encode()


HARNESSES = (
    Harness("state", _state, _state_seeds),
    Harness("environment", _environment_there, _environment_there_seeds),
    Harness("kept", _kept, _kept_seeds),
)
