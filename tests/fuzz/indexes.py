"""What indexes and archives say: pages, metadata, package lists."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from kpack.debian import status
from kpack.resolve.worker.kept_pages import KeptPages
from kpack.resolve.worker.links import Links
from kpack.resolve.worker.metadata import MetadataStore, checked
from kpack.resolve.worker.pages import Page, read_page
from kpack.resolve.worker.requirements import Markers, Metadata, bare, named, parsed, repaired, together
from kpack.resolve.worker.web import Response, Web
from tests.fuzz.harness import WHEEL, Harness, put
from tests.support.wheels import make_wheel

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from kpack.resolve.worker.files import IndexFile


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
        kept.remember("https://host.example/", answer, base, page.places, rows)
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
    Metadata.parse(found.dumps())
    found = checked(_own(found), file)
    markers = Markers({"python_version": "3.12", "sys_platform": "linux", "platform_machine": "x86_64"})
    lines = list(markers.active(found, found.extras[:3]))
    list(together([markers.asked(line) for line in lines]))
    for kept in (repaired, parsed, bare, named):
        kept.cache_clear()


def _own(found: Metadata) -> Metadata:
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
    path = put(folder, WHEEL, data)
    store = MetadataStore(Web.__new__(Web), "")
    store(_file(path))


def _remote_seeds(folder: Path) -> Iterator[bytes]:
    yield make_wheel(folder, "small").read_bytes()
    yield make_wheel(folder, "small", stored=True).read_bytes()


def _stanzas(data: bytes, _: Path) -> None:
    rows = status.stanzas(data.decode("utf-8", "replace"))
    status.status({"x": "1.0", "y": "1:2"}, rows, "amd64")


def _stanzas_seeds(_: Path) -> Iterator[bytes]:
    yield b"Package: x\nVersion: 1.0\nDepends: a (>= 1), b:any | c\nProvides: d (= 1)\nMulti-Arch: same\n\nPackage: y\n"


HARNESSES = (
    Harness("page-html", _page("text/html"), _html_seeds),
    Harness("page-json", _page("application/json"), _json_seeds),
    Harness("metadata", _metadata, _metadata_seeds),
    Harness("remote-wheel", _remote_wheel, _remote_seeds),
    Harness("stanzas", _stanzas, _stanzas_seeds),
)
