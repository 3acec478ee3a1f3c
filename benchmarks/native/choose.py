"""Which wheel a request means for an image, and which native ones come with it: newest that fits, no backtracking.

A lock decides by a resolver; for a table of many wheels and images this is near enough, and asks for much less.
"""

from __future__ import annotations

import email.parser
import functools
import io
import os
import re
import zipfile
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urljoin

import requests
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import InvalidWheelFilename, NormalizedName, canonicalize_name, parse_wheel_filename
from packaging.version import InvalidVersion, Version
from pip._internal.models.index import PyPI

from kpack.native import NativeWheel
from kpack.native.names import is_for_several
from kpack.target import marker_environment, supported_tags

if TYPE_CHECKING:
    from collections.abc import Iterator

    from packaging.tags import Tag

    from kpack.base import BaseImage
    from kpack.native.elf import SharedObject

COMPANIONS = re.compile(
    r"(nvidia|cuda|triton|torch|jax|jaxlib|lib\w+-cu\d\d|rmm|pylibcudf|tensorrt|intel|mkl|tbb)(-.*)?"
)
"""Distributions that bring libraries to others."""
_JSON = {"Accept": "application/vnd.pypi.simple.v1+json"}


class Choice(NamedTuple):
    """A wheel on the index."""

    filename: str
    url: str
    size: int

    @property
    def name(self) -> NormalizedName:
        """Return whose it is."""
        return parse_wheel_filename(self.filename)[0]

    @property
    def version(self) -> Version:
        """Return its version, with the local part that its file name has."""
        return parse_wheel_filename(self.filename)[1]

    def native(self, objects: tuple[SharedObject, ...] | None) -> NativeWheel:
        """Return it with what was read of it."""
        return NativeWheel(self.name, self.version, objects, is_for_several(parse_wheel_filename(self.filename)[3]))


class _Distant(io.RawIOBase):
    """A file at a URL, read by Range."""

    def __init__(self, session: requests.Session, url: str) -> None:
        self._session, self._url, self._at = session, url, 0
        self._size = int(session.head(url, timeout=60, allow_redirects=True).headers["Content-Length"])

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        return self._at

    def readinto(self, buffer: bytearray) -> int:  # type: ignore[override]
        last = min(self._at + len(buffer), self._size) - 1
        if last < self._at:
            return 0
        span = {"Range": f"bytes={self._at}-{last}", "Accept-Encoding": "identity"}
        data = self._session.get(self._url, headers=span, timeout=60).content
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)


class Index:
    """The index that ``KPACK_INDEX_URL`` names, else pip's own."""

    def __init__(self) -> None:
        self.url = (os.environ.get("KPACK_INDEX_URL") or str(PyPI.simple_url)).rstrip("/")
        self._session = requests.Session()
        self._pages: dict[str, list[dict[str, object]]] = {}
        self._requires: dict[str, tuple[Requirement, ...]] = {}

    def page(self, name: str) -> list[dict[str, object]]:
        """Return the files of a project; none for one that is not there."""
        if name not in self._pages:
            self._pages[name] = self._page(name)
        return self._pages[name]

    def _page(self, name: str) -> list[dict[str, object]]:
        url = f"{self.url}/{canonicalize_name(name)}/"
        answer = self._session.get(url, headers=_JSON, timeout=60)
        files = answer.json()["files"] if answer.ok else []
        return [{**item, "url": urljoin(url, str(item["url"]))} for item in files]

    def requires(self, url: str) -> tuple[Requirement, ...]:
        """Return Requires-Dist of a wheel, from its metadata apart or, where the index gives none, from the wheel."""
        if url not in self._requires:
            answer = self._session.get(f"{url}.metadata", timeout=60)
            text = answer.text if answer.ok else self._inside(url)
            lines = email.parser.HeaderParser().parsestr(text).get_all("Requires-Dist", [])
            self._requires[url] = tuple(map(Requirement, lines))
        return self._requires[url]

    def _inside(self, url: str) -> str:
        distant = io.BufferedReader(_Distant(self._session, url), 1 << 16)  # type: ignore[type-var]
        with zipfile.ZipFile(distant) as archive:
            name = next(item for item in archive.namelist() if re.fullmatch(r"[^/]+\.dist-info/METADATA", item))
            return archive.read(name).decode()

    def best(self, wanted: Requirement, image: BaseImage) -> Choice | None:
        """Return the newest wheel that fits, of these the best one; None when there is none."""
        ranks = _ranks(image)
        found: list[tuple[Version, int, Choice]] = []
        for item in self.page(wanted.name):
            filename = str(item["filename"])
            try:
                _, version, _, tags = parse_wheel_filename(filename)
            except (InvalidWheelFilename, InvalidVersion):
                continue
            rank = min((ranks[tag] for tag in tags if tag in ranks), default=None)
            python = str(item.get("requires-python") or "")
            if rank is None or item.get("yanked") or version.is_prerelease or version not in wanted.specifier:
                continue
            if python and _python(image) not in SpecifierSet(python):
                continue
            found.append((version, -rank, Choice(filename, str(item["url"]), int(str(item["size"])))))
        return max(found)[2] if found else None

    def together(self, wanted: Requirement, image: BaseImage) -> list[Choice]:
        """Return the wheel of a request, then what comes with it because the image has it not."""
        first = self.best(wanted, image)
        found: dict[NormalizedName, Choice] = {}
        extras: dict[NormalizedName, set[str]] = {}
        rest = [(first, wanted.extras)] if first else []
        while rest:
            choice, asked = rest.pop()
            fresh = {"", *asked} - extras.setdefault(choice.name, set())
            if not fresh:
                continue
            found.setdefault(choice.name, choice)
            extras[choice.name] |= fresh
            for requirement in self._needed(choice, fresh, image):
                there = image.distributions.get(canonicalize_name(requirement.name))
                if there is not None and requirement.specifier.contains(there.version, prereleases=True):
                    continue
                if (other := self.best(requirement, image)) is not None:
                    rest.append((other, requirement.extras))
        return list(found.values())

    def _needed(self, choice: Choice, extras: set[str], image: BaseImage) -> Iterator[Requirement]:
        environment = marker_environment(_python(image), image.machine)
        for requirement in self.requires(choice.url):
            if COMPANIONS.fullmatch(canonicalize_name(requirement.name)) and any(
                requirement.marker is None or requirement.marker.evaluate({**environment, "extra": extra})
                for extra in extras
            ):
                yield requirement


def _python(image: BaseImage) -> str:
    return image.python_full_version


@functools.cache
def _tags(python: str, machine: str, glibc: tuple[int, int]) -> dict[Tag, int]:
    return {tag: rank for rank, tag in enumerate(supported_tags(python, machine, glibc))}


def _ranks(image: BaseImage) -> dict[Tag, int]:
    series = ".".join(image.python_full_version.split(".")[:2])
    return _tags(series, image.machine, image.glibc)
