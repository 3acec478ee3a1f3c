"""Wheels of what is installed here, so that a loopback index can serve kpack and all that it needs."""

from __future__ import annotations

import atexit
import functools
import os
import shutil
import tempfile
import zipfile
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.support.wheels import record_digest

if TYPE_CHECKING:
    from tests.support.index import IndexServer

ROOT = Path(__file__).parents[2]


@functools.cache
def _wheel(name: str) -> Path:
    """Return the wheel of an installed distribution, made once in a process of tests."""
    return repacked(metadata.distribution(name), _folder())


@functools.cache
def _folder() -> Path:
    place = Path(tempfile.mkdtemp(prefix="kpack-installed-"))
    atexit.register(shutil.rmtree, place, ignore_errors=True)
    return place


def serve(index: IndexServer, name: str) -> None:
    """Serve a wheel of the installed distribution ``name`` and of everything that it requires."""
    seen: set[str] = set()
    waiting = [name]
    while waiting:
        one = canonicalize_name(waiting.pop())
        if one in seen:
            continue
        seen.add(one)
        index.add(_wheel(one))
        for text in metadata.distribution(one).requires or []:
            requirement = Requirement(text)
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                waiting.append(requirement.name)


def internet(index: IndexServer) -> dict[str, str]:
    """Return the variables by which pip, uv and kpack know ``index`` alone."""
    return {
        "UV_DEFAULT_INDEX": index.url,
        "UV_NO_CONFIG": "1",
        "UV_OFFLINE": "0",
        "UV_PYTHON_DOWNLOADS": "never",
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_INDEX_URL": index.url,
        "KPACK_INDEX_URL": index.url,
        "NO_PROXY": "127.0.0.1",
    }


def repacked(found: metadata.Distribution, folder: Path) -> Path:
    """Return a wheel with the installed files of a distribution; of an editable kpack, with its sources."""
    info = f"{found.metadata['Name'].replace('-', '_').replace('.', '_')}-{found.version}.dist-info"
    tags = [row[5:] for row in (found.read_text("WHEEL") or "").splitlines() if row.startswith("Tag: ")]
    tag = next(tag for tag in reversed(tags) if not tag.startswith("py2-"))
    content: dict[str, bytes] = {}
    editable = (ROOT / "kpack", ROOT) if canonicalize_name(found.metadata["Name"]) == "kaggle-kpack" else None
    for item in found.files or []:
        place = Path(str(found.locate_file(item)))
        if ".." in item.parts or "__pycache__" in item.parts or item.suffix in (".pyc", ".pth") or not place.is_file():
            continue
        if item.parts[0].endswith(".dist-info"):
            if item.name in ("RECORD", "INSTALLER", "REQUESTED", "direct_url.json"):
                continue
            content["/".join((info, *item.parts[1:]))] = place.read_bytes()
        else:
            content[item.as_posix()] = place.read_bytes()
    if editable is not None:
        sources, root = editable
        for place in sorted(sources.rglob("*")):
            if place.is_file() and "__pycache__" not in place.parts:
                content[place.relative_to(root).as_posix()] = place.read_bytes()
    rows = [f"{name},{record_digest(data)},{len(data)}" for name, data in content.items() if "," not in name]
    content[f"{info}/RECORD"] = "\n".join([*rows, f"{info}/RECORD,,", ""]).encode()
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{info.removesuffix('.dist-info')}-{tag}.whl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name, data in content.items():
            archive.writestr(name, data)
    return path
