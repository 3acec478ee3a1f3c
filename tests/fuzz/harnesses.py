"""What is fuzzed: for each reader of foreign bytes the way in, and files to begin with.

A harness takes bytes that may be anything and returns whatever the reader says; `ALLOWED` are the only exceptions that
a reader may leave by. Where more must hold (what is read back is the same, nothing outside a folder is spoken of), the
harness asserts it. Harnesses of one folder are called one after another, and leave it as they find it.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import sys
import warnings
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from kpack import bootstrap, ledger, pack
from kpack.base import snapshot
from kpack.debian import status
from kpack.environment import edit, meaning_digest, parse
from kpack.errors import KpackError
from kpack.fetch import Download, part
from kpack.importing import Harvest, settle
from kpack.importing import read as import_file
from kpack.lock import dumps as lock_text
from kpack.lock import loads as lock
from kpack.lock import write as lock_write
from kpack.native import elf
from kpack.pack import admission, line, tarfmt
from kpack.pack import manifest as written
from kpack.pack.content import Content, WheelFile
from kpack.pack.wheel import Lax, admit
from kpack.pack.writer import write as write_pack
from kpack.resolve.worker.files import IndexFile
from kpack.resolve.worker.kept_pages import KeptPages
from kpack.resolve.worker.links import Links
from kpack.resolve.worker.metadata import BadMetadata, MetadataStore, checked
from kpack.resolve.worker.pages import Page, read_page
from kpack.resolve.worker.requirements import Markers, Metadata, bare, named, parsed, repaired, together
from kpack.resolve.worker.web import Response, Unreachable, Web
from kpack.restore import deb, installed, journal, manifest, state
from kpack.restore.engine import Options, restore
from kpack.restore.errors import RestoreError
from kpack.restore.manifest import PackedDistribution, PackTarget
from kpack.restore.scheme import for_target
from tests.environment.corpus import VALID
from tests.fuzz import framing
from tests.restore import kit
from tests.support.debs import Deb
from tests.support.elf import make_elf
from tests.support.wheels import make_wheel

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

ALLOWED = (KpackError, RestoreError, Unreachable, BadMetadata)
"""kpack's error, and what stands for it below the command line: in the engine and in the resolver's process."""

HERE = "{}.{}".format(*sys.version_info[:2])
WHEEL = "small-1.0-py3-none-any.whl"


@dataclass(frozen=True)
class Harness:
    """One reader."""

    name: str
    run: Callable[[bytes, Path], object]
    """Takes the bytes, and a folder of the harness's own."""
    seeds: Callable[[Path], Iterable[bytes]]
    """Right files to begin with; the folder may be written to."""


def _fresh(folder: Path, name: str) -> Path:
    found = folder / name
    shutil.rmtree(found, ignore_errors=True)
    found.mkdir(parents=True)
    return found


def _put(folder: Path, name: str, data: bytes) -> Path:
    path = folder / name
    path.write_bytes(data)
    return path


@contextmanager
def _unchanged() -> Iterator[None]:
    """Keep what a restore into this process changes of it."""
    before, environment = sys.path[:], dict(os.environ)
    try:
        yield
    finally:
        sys.path[:] = before
        os.environ.clear()
        os.environ.update(environment)


# -- wheels and packs ------------------------------------------------------------------------------------------------


def _wheel(data: bytes, folder: Path) -> None:
    path = _put(folder, WHEEL, data)
    for lax in (Lax(), Lax(record=True, archive=True)):
        admit(path, WHEEL, lax)


def _wheel_seeds(folder: Path) -> Iterator[bytes]:
    for stored in (True, False):
        yield make_wheel(folder, "small", stored=stored, entry_points="[console_scripts]\nx = small:main\n").read_bytes()


def _wheel_files(data: bytes, folder: Path) -> None:
    """A wheel whose checksums are right; what the gate lets in is packed and restored, and stays in its folder."""
    path = _put(folder, WHEEL, framing.wheel(framing.split(data)))
    admitted = admit(path, WHEEL)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    item = PackedDistribution("small", str(admitted.version), f"wheels/{WHEEL}")
    target = PackTarget(label="here", base=None, python=HERE, machine=kit.MACHINE, glibc=(2, 17), distributions=(item,))
    content = Content(
        name="fuzz",
        lock_name="pylock.toml",
        lock_text="",
        requirements="",
        targets=(target,),
        wheels=(WheelFile(filename=WHEEL, sha256=digest, path=path),),
        blobs=(),
        checkpoints=(),
    )
    built = write_pack(content, folder / "fuzz.kpack.bin")
    outer = _fresh(folder, "outer")
    with _unchanged():
        try:
            head = pack.read(built.path)
            restore(
                str(built.path), head.manifest, id=head.id, options=Options(target=str(outer / "target"), kaggle=False)
            )
        finally:
            assert [entry.name for entry in outer.iterdir()] in ([], ["target"]), "it wrote beside its folder"
    assert pack.verify(head) == ()


def _wheel_files_seeds(folder: Path) -> Iterator[bytes]:
    info = "small-1.0.dist-info"
    about = {
        f"{info}/METADATA": b"Metadata-Version: 2.1\nName: small\nVersion: 1.0\n",
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    ending = {f"{info}/RECORD": b""}
    yield framing.join({"small.py": b"S = 1\n", **about, **ending})
    yield framing.join(
        {
            "small/__init__.py": b"S = 1\n",
            "small.pth": b"import os\n",
            "small-1.0.data/scripts/tool": b"#!python\n",
            "small-1.0.data/data/share/x": b"",
            "small-1.0.data/headers/x.h": b"",
            **about,
            f"{info}/entry_points.txt": b"[console_scripts]\nx = small:main\n[gui_scripts]\ny=small:main [z]\n",
            **ending,
        }
    )


def _pack(data: bytes, folder: Path) -> None:
    path = _put(folder, "flips.kpack.bin", data)
    found = pack.read(path)
    pack.verify(found)


def _pack_seeds(folder: Path) -> Iterator[bytes]:
    wheel = make_wheel(folder / "wheels", "small")
    yield kit.make_pack(folder, [wheel], series=[HERE], checkpoints={"a.ckpt": b"a"}).path.read_bytes()


def _manifest(data: bytes, folder: Path) -> None:
    """A manifest that the bootstrap of its pack pins: all that it says is then looked at, and a restore planned."""
    model = manifest.loads(data)
    assert manifest.loads(written.dumps(model)) == model
    code = line.generate(hashlib.sha256(data).hexdigest(), len(data))
    whole = b""
    for name, content in ((tarfmt.BOOTSTRAP, code), (tarfmt.MANIFEST, data)):
        whole += tarfmt.header(name, len(content)) + content + bytes(tarfmt.padding(len(content)))
    seed = folder / "rest"
    if not seed.exists():
        made = next(iter(_pack_seeds(_fresh(folder, "seed"))))
        seed.write_bytes(made[_origin(made) :])
    path = _put(folder, "tiny.kpack.bin", whole + seed.read_bytes())
    found = pack.read(path)
    pack.verify(found)
    with _unchanged():
        bootstrap.parts(str(path), hashlib.sha256(data).hexdigest(), len(data))
        options = Options(target=str(folder / "target"), kaggle=False, dry_run=True)
        restore(str(path), model, id=found.id, options=options)


def _origin(made: bytes) -> int:
    """Return where the members of a pack begin that its manifest names."""
    first = tarfmt.first_size(made[: tarfmt.BLOCK]) or 0
    code = made[tarfmt.BLOCK : tarfmt.BLOCK + first]
    size = line.parse(code, "").manifest_size
    return 2 * tarfmt.BLOCK + first + tarfmt.padding(first) + size + tarfmt.padding(size)


def _manifest_seeds(folder: Path) -> Iterator[bytes]:
    wheels = [make_wheel(folder / "wheels", "small")]
    plain = kit.make_pack(folder, wheels, series=[HERE], checkpoints={"a.ckpt": b"a"}).path
    leaning = kit.make_pack(
        folder,
        wheels,
        name="leans",
        series=["3.8", HERE],
        leans={"torch": ("2.10", [("who", "torch>=2")])},
        replaces={"small": "0.9"},
        env={"A": "b"},
    ).path
    for path in (plain, leaning):
        made = path.read_bytes()
        at = made.index(b'{"', tarfmt.BLOCK + (tarfmt.first_size(made[: tarfmt.BLOCK]) or 0))
        yield made[at : made.index(b"\0", at)]


# -- what lies in an environment -------------------------------------------------------------------------------------


def _state(data: bytes, folder: Path) -> None:
    """A journal and a mark (``@`` is the folder): what a run believes of them is in its folder, or is not there."""
    target = _fresh(folder, "target")
    (target / ".kpack").mkdir()
    for name, content in framing.split(data):
        if name in ("journal.json", "mark-demo.json"):
            _put(target / ".kpack", name, content.replace(b"@", os.fsencode(target)))
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
    outer = _fresh(folder, "outer")
    beside = _put(outer, "beside.py", b"stays")
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
    with _unchanged():
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


# -- what a project has ----------------------------------------------------------------------------------------------


def _toml(data: bytes, folder: Path) -> None:
    path = _put(folder, "kaggle-env.toml", data)
    text = edit.open_file(path)[1]
    for change in (
        lambda: edit.add_packages(text, path, ["numpy>=2", "./fork"]).text,
        lambda: edit.remove_packages(text, path, ["x"]).text,
        lambda: edit.set_base(text, path, "kaggle-cpu-py312-2026-08").text,
    ):
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
    path = _put(folder, "kaggle.json", data)
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
            path = _put(folder, name, data)
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
    cell = {"cell_type": "code", "source": text, "metadata": {}, "outputs": [], "execution_count": None}
    made = {"cells": [cell], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    _imported(("x.ipynb",))(json.dumps(made).encode(), folder)


def _notebook_seeds(_: Path) -> Iterator[bytes]:
    cell = {"cell_type": "code", "source": ["!pip install x\n"], "metadata": {}, "outputs": [], "execution_count": 1}
    yield json.dumps({"cells": [cell], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}).encode()
    yield b"%pip install -U 'numpy>=2' -f https://x/y\nimport torch\nV='1'\n!pip install x=={V}\n"
    yield b"%%bash\ncd /tmp && git clone https://github.com/a/b && pip install -e ./b\nwget -O x https://h/y\n"
    yield b"from transformers import AutoModel\nAutoModel.from_pretrained('a/b', revision='main')\n"
    yield b"import os, sys\nsys.path.append('../input/x')\nos.system('pip install y')\ntorch.hub.load('a/b', 'c')\n"
    yield b"import kagglehub\nkagglehub.model_download('a/b/c/d')\nfor i in range(3): get_ipython().system(f'pip {i}')\n"


def _project_seeds(_: Path) -> Iterator[bytes]:
    yield b"-r other.txt\n-c limits.txt\nnumpy>=1 ; python_version<'3'\n-e git+https://h/o/r@x#egg=r\n--pre\nx==1 \\\n --hash=sha256:00\n"
    yield b'[project]\nname="p"\ndependencies=["a>=1"]\n[project.optional-dependencies]\nx=["b"]\n[dependency-groups]\ng=["c",{include-group="g"}]\n'
    yield b'[tool.poetry.dependencies]\npython="^3.11"\na="~1.2"\nb={version="*",extras=["x"],git="https://h/r",rev="1"}\n'
    yield b'[tool.uv.sources]\na={git="https://h/r",tag="v"}\n[[package]]\nname="a"\nversion="1"\nsource={registry="https://h"}\n'
    yield b'lock-version="1.0"\n[[packages]]\nname="a"\nversion="1"\nmarker="x"\n[packages.vcs]\nurl="https://h/r"\ncommit-id="0"\n'
    yield b'{"default": {"a": {"version": "==1", "markers": "x"}}, "_meta": {"requires": {"python_version": "3.12"}}}'
    yield b"name: x\nchannels: [c]\ndependencies:\n - python=3.11\n - numpy>=1=x\n - pip:\n   - a==1\n   - -r r.txt\n"
    yield b'[packages]\na="*"\nb={version="==1",markers="x",path="."}\n[dev-packages]\nc="*"\n[requires]\npython_version="3.12"\n'


# -- indexes ---------------------------------------------------------------------------------------------------------


def _page(kind: str) -> Callable[[bytes, Path], None]:
    def run(data: bytes, folder: Path) -> None:
        answer = Response(200, "https://host.example/simple/small/", kind, data, headers={"etag": "x"})
        rows, base = read_page("small", answer)
        page = Page("small", "https://host.example/simple/", rows, base)
        for file in page.files:
            page.rows_of(file.version)
            page.rows_above(file.version)
            file.requires_python, file.flaw  # noqa: B018 - lazily read
        found = Links(rows, base)
        found.rows("small")
        kept = KeptPages(str(folder))
        kept.remember("https://host.example/", answer, base, page.filenames, rows)
        kept.write()
        again = kept.find("https://host.example/")
        assert again is None or list(again.rows) == list(rows)

    return run


def _html_seeds(_: Path) -> Iterator[bytes]:
    yield (
        b'<!DOCTYPE html><html><head><base href="/x/"></head><body><a href="small-1.0-py3-none-any.whl#sha256='
        + b"0" * 64
        + b'" data-requires-python="&gt;=3.8" data-core-metadata="sha256=00" data-yanked="why">x</a>'
        b"<a href='../small-1.0.tar.gz'>y</a></body></html>"
    )


def _json_seeds(_: Path) -> Iterator[bytes]:
    row = {
        "filename": WHEEL,
        "url": "https://files.example/x/small-1.0-py3-none-any.whl",
        "hashes": {"sha256": "0" * 64},
        "requires-python": ">=3.8",
        "yanked": "why",
        "core-metadata": {"sha256": "0" * 64},
        "size": 10,
        "upload-time": "2026-01-01T00:00:00.1Z",
    }
    sdist = {**row, "filename": "small-1.1.tar.gz", "url": "../x/small-1.1.tar.gz"}
    yield json.dumps({"meta": {"api-version": "1.1"}, "name": "small", "files": [row, sdist]}).encode()


def _metadata(data: bytes, _: Path) -> None:
    file = _file(Path("/nowhere"))
    found = Metadata.parse(data)
    assert Metadata.parse(found.dumps()).name == found.name or "\x85" in found.name or not found.name.isprintable()
    found = checked(replace_name(found), file)
    markers = Markers({"python_version": "3.12", "sys_platform": "linux", "platform_machine": "x86_64"})
    lines = list(markers.active(found, found.extras[:3]))
    list(together([markers.asked(line) for line in lines]))
    for kept in (repaired, parsed, bare, named):
        kept.cache_clear()


def replace_name(found: Metadata) -> Metadata:
    """Return metadata that is the file's own, so that its requirements are looked at."""
    return Metadata("small", "1.0", found.requires, found.extras, found.requires_python, found.license)


def _file(wheel: Path) -> IndexFile:
    row = {"filename": WHEEL, "url": wheel.as_uri()}
    (found,) = Page("small", "", [row], "file:///", simple=False).files
    return found


def _metadata_seeds(_: Path) -> Iterator[bytes]:
    yield (
        b"Metadata-Version: 2.4\nName: small\nVersion: 1.0\nRequires-Python: >=3.8\nProvides-Extra: x\n"
        b"License-Expression: MIT OR Apache-2.0\nLicense: BSD\nClassifier: License :: OSI Approved :: MIT License\n"
        b"Requires-Dist: a>=1.7.*\nRequires-Dist: b (<2,!=1.5) ; extra == 'x' and python_version < '4'\n"
        b"Requires-Dist: c @ https://h/c.whl ; sys_platform == 'linux'\n  and extra == 'y'\n\nbody\n"
    )


def _remote_wheel(data: bytes, folder: Path) -> None:
    """A wheel of an index of which METADATA alone is read."""
    path = _put(folder, WHEEL, data)
    store = MetadataStore(Web.__new__(Web), "")
    store(_file(path))


# -- system packages and native code ---------------------------------------------------------------------------------


def _deb(data: bytes, folder: Path) -> None:
    path = str(_put(folder, "x.deb", data))
    deb.control(path)
    with deb.entries(path) as entries:
        for _, read in entries:
            for _piece in read():
                pass


def _deb_seeds(_: Path) -> Iterator[bytes]:
    made = Deb(name="x", files={"usr/lib/libx.so.1": b"x", "usr/bin/x*": b"y"}, links={"usr/lib/libx.so": "libx.so.1"})
    yield made.build()
    yield made.build(compress=lambda data: data, suffix="")


def _stanzas(data: bytes, _: Path) -> None:
    rows = status.stanzas(data.decode("utf-8", "replace"))
    status.status({"x": "1.0", "y": "1:2"}, rows, "amd64")


def _stanzas_seeds(_: Path) -> Iterator[bytes]:
    yield b"Package: x\nVersion: 1.0\nDepends: a (>= 1), b:any | c\nProvides: d (= 1)\nMulti-Arch: same\n\nPackage: y\n"


def _elf(data: bytes, _: Path) -> None:
    elf.read(data, "x.so")
    elf.read(data, "x", executable=True)


def _elf_seeds(_: Path) -> Iterator[bytes]:
    yield make_elf(needed=["libc.so.6"], soname="libx.so", runpath="$ORIGIN", versions={"libc.so.6": ["GLIBC_2.17"]})
    yield make_elf(symbols=["cudaMalloc"], order=">", bits=32)


# -- what kpack keeps for itself -------------------------------------------------------------------------------------


def _kept(data: bytes, folder: Path) -> None:
    """Notes of earlier runs, which are forgotten when they cannot be read."""
    place = folder / "x.kpack.bin"
    _put(folder, "x.ledger.json", data)
    ledger.rehearsals(place)
    ledger.pushed(place)
    ledger.remember(place, ledger.Pushed(id="0", ref="a/b", version=1, mountable=True))
    assert ledger.pushed(place) is not None
    kept = admission._read(_put(folder, "verdict", data))
    assert kept is None or json.loads(json.dumps(kept.files)) is not None
    download = Download(name="x", urls=("https://h/x",), sha256="0" * 64, size=None)
    with part.opened(folder, "key", lambda: None) as opened:
        opened.stream.write(b"0" * 100)
        opened.stream.flush()
        _put(folder, "key.json", data)
        opened.begin("https://h/x", download)
        assert opened.progress.received <= 100
        opened.note(now=True)
        opened.remove()


def _kept_seeds(_: Path) -> Iterator[bytes]:
    rehearsed = {"id": "0", "where": "local", "ok": True, "at": "2026-11-26T07:10:37Z"}
    yield json.dumps({"kpack-ledger": 1, "rehearsed": {"local": rehearsed}}).encode()
    url = part.digest_of_url("https://h/x")
    yield json.dumps({"url": url, "validator": '"x"', "total": 200, "segments": [[0, 50, 100], [100, 100, 200]]}).encode()
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


ALL = {
    harness.name: harness
    for harness in (
        Harness("wheel", _wheel, _wheel_seeds),
        Harness("wheel-files", _wheel_files, _wheel_files_seeds),
        Harness("pack", _pack, _pack_seeds),
        Harness("manifest", _manifest, _manifest_seeds),
        Harness("state", _state, _state_seeds),
        Harness("environment", _environment_there, _environment_there_seeds),
        Harness("toml", _toml, _toml_seeds),
        Harness("lock", _lock, _lock_seeds),
        Harness("snapshot", _snapshot, _snapshot_seeds),
        Harness("notebook", _notebook, _notebook_seeds),
        Harness("projects", _imported(_INPUTS[1:]), _project_seeds),
        Harness("page-html", _page("text/html"), _html_seeds),
        Harness("page-json", _page("application/json"), _json_seeds),
        Harness("metadata", _metadata, _metadata_seeds),
        Harness("remote-wheel", _remote_wheel, _wheel_seeds),
        Harness("deb", _deb, _deb_seeds),
        Harness("stanzas", _stanzas, _stanzas_seeds),
        Harness("elf", _elf, _elf_seeds),
        Harness("kept", _kept, _kept_seeds),
    )
}
