"""A build backend as a wheel on a loopback index, and projects that use it."""

from __future__ import annotations

import io
import json
import shutil
import tarfile
import zipfile
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from packaging.version import Version

from kpack.cache import Cache
from kpack.fetch import Fetcher
from kpack.resolve.model import Source, Wheel
from kpack.resolve.wire import IndexAddress
from kpack.source.build import Builder
from kpack.source.environment import Indexes
from tests.support.index import IndexServer
from tests.support.wheels import make_wheel

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from kpack.source.built import BuiltWheel

BACKEND = '''
"""A PEP 517 backend that makes its wheel as carelessly as it can."""
import csv, io, json, os, random, time, zipfile, hashlib, base64
from pathlib import Path

def _facts():
    return json.loads(Path("project.json").read_text())

def get_requires_for_build_wheel(config_settings=None):
    return _facts().get("dynamic", [])

def _metadata(facts):
    lines = ["Metadata-Version: 2.1", f"Name: {facts['name']}", f"Version: {facts['version']}"]
    lines += [f"Requires-Dist: {item}" for item in facts.get("requires", [])]
    return "\\n".join(lines) + "\\n\\n"

def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    facts = _facts()
    if "fail" in facts:
        raise RuntimeError(facts["fail"])
    if "import" in facts:
        __import__(facts["import"])
    info = f"{facts['name']}-{facts['version']}.dist-info"
    tag = facts.get("tag", "py3-none-any")
    files = {str(path): path.read_bytes() for path in sorted(Path(".").glob("src_*.py"))}
    for name, variable in facts.get("variables", {}).items():
        files[name] = os.environ.get(variable, "unset").encode()
    for name in facts.get("random", []):
        files[name] = os.urandom(8)
    files[f"{info}/METADATA"] = _metadata(facts).encode()
    files[f"{info}/WHEEL"] = f"Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: {tag}\\n".encode()
    names = list(files)
    random.SystemRandom().shuffle(names)
    rows = io.StringIO()
    writer = csv.writer(rows)
    for name in names:
        digest = base64.urlsafe_b64encode(hashlib.sha256(files[name]).digest()).rstrip(b"=").decode()
        writer.writerow((name, "sha256=" + digest, len(files[name])))
    writer.writerow((f"{info}/RECORD", "", ""))
    files[f"{info}/RECORD"] = rows.getvalue().encode()
    filename = f"{facts['name']}-{facts['version']}-{tag}.whl"
    with zipfile.ZipFile(Path(wheel_directory, filename), "w", zipfile.ZIP_DEFLATED) as archive:
        for name in [*names, f"{info}/RECORD"]:
            entry = zipfile.ZipInfo(name, time.localtime()[:6])
            entry.external_attr = random.SystemRandom().choice([0o100600, 0o100664]) << 16
            archive.writestr(entry, files[name], zipfile.ZIP_DEFLATED)
    return filename

def prepare_metadata_for_build_wheel(metadata_directory, config_settings=None):
    facts = _facts()
    info = Path(metadata_directory, f"{facts['name']}-{facts['version']}.dist-info")
    info.mkdir()
    (info / "METADATA").write_text(_metadata(facts))
    (info / "WHEEL").write_text("Wheel-Version: 1.0\\n")
    return info.name
'''

PYPROJECT = '[build-system]\nrequires = ["carelessbackend"]\nbuild-backend = "carelessbackend"\n'


def project_files(
    name: str = "fork", version: str = "1.0", *, pyproject: str = PYPROJECT, code: str = "X = 1\n", **facts: object
) -> dict[str, str]:
    """Return the files of a project that the careless backend builds."""
    return {
        "pyproject.toml": pyproject,
        "project.json": json.dumps({"name": name, "version": version, **facts}),
        f"src_{name}.py": code,
    }


def write(folder: Path, files: Mapping[str, str]) -> Path:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def sdist(path: Path, files: Mapping[str, str], *, top: str = "fork-1.0/") -> Path:
    """Write a .tar.gz or .zip whose entries stand below ``top``."""
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w") as packed:
            for name, text in files.items():
                packed.writestr(top + name, text)
    else:
        with tarfile.open(path, "w:gz") as tar:
            for name, text in files.items():
                member = tarfile.TarInfo(top + name)
                member.size = len(text.encode())
                tar.addfile(member, io.BytesIO(text.encode()))
    return path


@dataclass
class Shop:
    """Where projects are written and built."""

    folder: Path
    index: IndexServer
    cache: Cache

    def builder(self, *, offline: bool = False, **changes: object) -> Builder:
        facts: dict[str, object] = {
            "relative_to": self.folder,
            "indexes": Indexes(addresses=(IndexAddress(url=self.index.url),)),
        }
        return Builder(Fetcher(self.cache, offline), **{**facts, **changes})  # type: ignore[arg-type]

    def build(
        self,
        source: Source,
        *,
        name: str = "fork",
        version: str = "1.0",
        expected: Wheel | None = None,
        offline: bool = False,
        **changes: object,
    ) -> BuiltWheel:
        return self.builder(offline=offline, **changes).build(
            source, name=name, version=Version(version), expected=expected
        )

    def project(self, url: str = "fork", **facts: object) -> Source:
        write(self.folder / url, project_files(**facts))  # type: ignore[arg-type]
        return Source(kind="directory", url=url)


def serve(server: IndexServer, folder: Path) -> IndexServer:
    server.add(make_wheel(folder, "carelessbackend", files={"carelessbackend.py": BACKEND}))
    server.add(make_wheel(folder, "helper", files={"helper.py": "X = 1\n"}))
    return server


@pytest.fixture
def index(tmp_path: Path) -> Iterator[IndexServer]:
    """An index that the test may change."""
    with IndexServer() as server:
        yield serve(server, tmp_path / "wheels")


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="session")
def warm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[IndexServer, Cache]]:
    """An index that stays as it is, and a cache in which the plain project is built already."""
    folder = tmp_path_factory.mktemp("warm")
    with IndexServer() as server:
        shop = Shop(folder / "work", serve(server, folder / "wheels"), Cache(folder / "cache"))
        shop.folder.mkdir()
        shop.build(shop.project())
        yield server, shop.cache


@pytest.fixture
def shop(tmp_path: Path, warm: tuple[IndexServer, Cache]) -> Shop:
    server, cache = warm
    shutil.copytree(cache.root, tmp_path / "cache")
    (tmp_path / "work").mkdir()
    return Shop(tmp_path / "work", server, Cache(tmp_path / "cache"))


@pytest.fixture
def own(tmp_path: Path, index: IndexServer) -> Shop:
    """A shop with an index of its own and nothing built yet."""
    (tmp_path / "work").mkdir()
    return Shop(tmp_path / "work", index, Cache(tmp_path / "cache"))
