"""What the index says of the distributions of an image: requirements, extras, top-level names.

A distribution of an image is found by name and version; of its wheels the one that fits the image best is read by
Range, its METADATA and its list of files, never all of it. Without a wheel, the sdist's own metadata is taken, as
far as it is static. What was read is kept, since a released version does not change.
"""

from __future__ import annotations

import io
import json
import tarfile
import threading
import zipfile
from email.parser import HeaderParser
from typing import TYPE_CHECKING, Any

import requests
from packaging.utils import InvalidSdistFilename, InvalidWheelFilename, parse_sdist_filename, parse_wheel_filename
from packaging.version import InvalidVersion, Version

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from packaging.tags import Tag

ACCEPT = "application/vnd.pypi.simple.v1+json"
TAIL = 1 << 17
"""Bytes at the end of a wheel that are read at once: nearly always its directory and its metadata."""
LARGEST_SDIST = 64 << 20
Facts = dict[str, Any]
"""``requires-dist``, ``provides-extra`` and ``top-level``: lists; absent where not known."""


class Index:
    """Reads distributions of one Simple index; for several threads."""

    def __init__(self, url: str, cache: Path) -> None:
        self._url = url.rstrip("/")
        self._cache = cache
        self._local = threading.local()
        self._pages: dict[str, list[Mapping[str, Any]]] = {}

    def facts(self, name: str, version: str, tags: Sequence[Tag]) -> Facts | None:
        """Return what is known of a version; None when the index has nothing of it that can be read."""
        place = self._cache / name / f"{version}.json"
        if place.is_file():
            kept: Facts | None = json.loads(place.read_text())
            return kept
        found = self._read(name, version, tags)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(json.dumps(found, indent=1))
        return found

    @property
    def _session(self) -> requests.Session:
        if not hasattr(self._local, "session"):
            self._local.session = requests.Session()
            self._local.session.mount("https://", requests.adapters.HTTPAdapter(max_retries=5))
        session: requests.Session = self._local.session
        return session

    def _get(self, url: str, **headers: str) -> requests.Response:
        answer = self._session.get(url, headers={"Accept-Encoding": "identity", **headers}, timeout=60)
        answer.raise_for_status()
        return answer

    def page(self, name: str) -> list[Mapping[str, Any]]:
        """Return the files of a project, as its page describes them."""
        if name not in self._pages:
            answer = self._session.get(f"{self._url}/{name}/", headers={"Accept": ACCEPT}, timeout=60)
            if answer.status_code != 404:
                answer.raise_for_status()
            files = [] if answer.status_code == 404 else answer.json()["files"]
            self._pages[name] = [{**row, "url": requests.compat.urljoin(answer.url, row["url"])} for row in files]
        return self._pages[name]

    def _read(self, name: str, version: str, tags: Sequence[Tag]) -> Facts | None:
        rank = {tag: place for place, tag in enumerate(tags)}
        for wanted in dict.fromkeys((Version(version), Version(Version(version).public))):
            wheels, sdists = [], []
            for row in self.page(name):
                filename = row["filename"]
                try:
                    if filename.endswith(".whl"):
                        _, has, _, tagged = parse_wheel_filename(filename)
                        if has == wanted:
                            wheels.append((min(rank.get(tag, len(rank)) for tag in tagged), filename, row["url"]))
                    elif parse_sdist_filename(filename)[1] == wanted:
                        sdists.append(row["url"])
                except (InvalidWheelFilename, InvalidSdistFilename, InvalidVersion):
                    continue
            if wheels:
                return self._wheel(min(wheels)[2])
            if sdists:
                return self._sdist(sdists[0])
        return None

    def _wheel(self, url: str) -> Facts:
        with zipfile.ZipFile(Remote(self, url)) as archive:
            names = [name for name in archive.namelist() if not name.endswith("/")]
            info = next(name for name in names if name.count("/") == 1 and name.endswith(".dist-info/METADATA"))
            found = metadata(archive.read(info).decode("utf-8", "replace"))
        return found | {"top-level": top_level(names)}

    def _sdist(self, url: str) -> Facts | None:
        if (
            int(self._session.head(url, allow_redirects=True, timeout=60).headers.get("Content-Length", 0))
            > LARGEST_SDIST
        ):
            return None
        raw = self._get(url).content
        texts = _members(raw)
        info = next((texts[name] for name in texts if name.count("/") == 1 and name.endswith("/PKG-INFO")), None)
        if info is None:
            return None
        found = metadata(info)
        egg = {name.rpartition("/")[2]: text for name, text in texts.items() if ".egg-info/" in name}
        if "requires.txt" in egg and not found["requires-dist"]:
            found["requires-dist"], found["provides-extra"] = requires_txt(egg["requires.txt"])
        elif not egg and not static(info):
            return None
        if "top_level.txt" in egg:
            found["top-level"] = sorted(egg["top_level.txt"].split())
        return found


class Remote(io.RawIOBase):
    """A file behind a URL, read by Range; the tail is read once."""

    def __init__(self, index: Index, url: str) -> None:
        self._index = index
        self._url = url
        answer = index._get(url, Range=f"bytes=-{TAIL}")
        ranged = answer.status_code == 206
        self._size = int(answer.headers["Content-Range"].rpartition("/")[2]) if ranged else len(answer.content)
        self._tail = answer.content
        self._position = 0

    def readable(self) -> bool:
        """Tell that it can be read."""
        return True

    def seekable(self) -> bool:
        """Tell that it can be sought in."""
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        """Go to a position."""
        self._position = offset + (0, self._position, self._size)[whence]
        return self._position

    def tell(self) -> int:
        """Return the position."""
        return self._position

    def read(self, size: int = -1) -> bytes:
        """Return up to ``size`` bytes."""
        end = self._size if size < 0 else min(self._size, self._position + size)
        start, self._position = self._position, max(end, self._position)
        first = self._size - len(self._tail)
        if start >= end:
            return b""
        if start >= first:
            return self._tail[start - first : end - first]
        return self._index._get(self._url, Range=f"bytes={start}-{end - 1}").content


def metadata(text: str) -> Facts:
    """Return the requirements and extras that METADATA (core metadata specification) declares."""
    fields = HeaderParser().parsestr(text)
    return {
        "requires-dist": [" ".join(line.split()) for line in fields.get_all("Requires-Dist", [])],
        "provides-extra": [line.strip() for line in fields.get_all("Provides-Extra", [])],
    }


def static(text: str) -> bool:
    """Tell whether an sdist's PKG-INFO speaks for its wheels: metadata 2.2 or newer, requirements not dynamic."""
    fields = HeaderParser().parsestr(text)
    dynamic = {line.strip().lower() for line in fields.get_all("Dynamic", [])}
    return Version(fields.get("Metadata-Version", "1.0")) >= Version("2.2") and "requires-dist" not in dynamic


def requires_txt(text: str) -> tuple[list[str], list[str]]:
    """Return (Requires-Dist lines, extras) of setuptools' ``requires.txt``, whose sections are extra and marker."""
    lines, extras, tail = [], [], ""
    for raw in text.splitlines():
        line = raw.strip()
        if line.startswith("["):
            extra, _, marker = line.strip("[]").partition(":")
            terms = [f"({marker})" if extra else marker] if marker else []
            if extra:
                terms.append(f'extra == "{extra}"')
                extras += [extra] if extra not in extras else []
            tail = " and ".join(terms)
        elif line:
            lines.append(f"{line} ; {tail}" if tail else line)
    return lines, extras


def top_level(names: Sequence[str]) -> list[str]:
    """Return the modules and folders that a wheel's files put directly into the library."""
    top = set()
    for name in names:
        first, _, rest = name.partition("/")
        if first.endswith(".data"):
            key, _, path = rest.partition("/")
            if key not in ("purelib", "platlib"):
                continue
            first, _, rest = path.partition("/")
        if rest and not first.endswith(".dist-info"):
            top.add(first)
        elif not rest and first.endswith((".py", ".pyi", ".so")):
            top.add(first.partition(".")[0])
    return sorted(top)


def _members(raw: bytes) -> dict[str, str]:
    """Return the metadata files of an sdist by name."""
    wanted = ("PKG-INFO", "requires.txt", "top_level.txt")
    found = {}
    if zipfile.is_zipfile(io.BytesIO(raw)):
        with zipfile.ZipFile(io.BytesIO(raw)) as archive:
            for name in archive.namelist():
                if name.endswith(wanted):
                    found[name] = archive.read(name).decode("utf-8", "replace")
        return found
    with tarfile.open(fileobj=io.BytesIO(raw)) as archive_:
        for member in archive_:
            if member.isfile() and member.name.endswith(wanted):
                stream = archive_.extractfile(member)
                assert stream is not None
                found[member.name.removeprefix("./")] = stream.read().decode("utf-8", "replace")
    return found
