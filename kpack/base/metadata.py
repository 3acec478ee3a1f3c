"""Requires-Dist of base distributions whose snapshot has none: read from the index once, kept for good.

A version on the index never changes its metadata, so what was read is cached by index, name and version without
an end. Sources: Simple API (PEP 503, 691), ``.metadata`` files (PEP 658), and METADATA inside the wheel by Range.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import html.parser
import io
import json
import os
import threading
import urllib.parse
import zipfile
import zlib
from concurrent.futures import ThreadPoolExecutor
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, Self

from packaging.metadata import parse_email
from packaging.utils import InvalidWheelFilename, NormalizedName, canonicalize_name, parse_wheel_filename
from packaging.version import InvalidVersion, Version

from kpack.errors import NetworkError
from kpack.fetch.client import Client, Refused, Transient
from kpack.fetch.urls import shown
from kpack.files import write_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from kpack.base.model import BaseDistribution
    from kpack.environment.model import Environment, Index
    from kpack.fetch.client import Body

WORKERS = 16
"""Distributions read at once."""

_ACCEPT = "application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html;q=0.2, text/html;q=0.1"
_ATTEMPTS = 3
_TAIL = 1 << 16
_LARGEST_PAGE = 256 << 20
_LARGEST_METADATA = 16 << 20


class RequiresDist:
    """Answers what a distribution of the base image requires.

    ``cache_dir`` is where answers stay; None keeps them in this object alone. ``index_url`` is the Simple index of
    names that no ``[[indexes]]`` table claims (default: ``KPACK_INDEX_URL``, else pip's own default).
    Use it as a context manager, or call `close`.
    """

    def __init__(self, cache_dir: Path | None, *, index_url: str | None = None, indexes: Sequence[Index] = ()) -> None:
        self._folder = cache_dir / "requires-dist" if cache_dir else None
        self._index_url = index_url or os.environ.get("KPACK_INDEX_URL") or None
        self._indexes = indexes
        self._known: dict[tuple[NormalizedName, Version], tuple[str, ...] | None] = {}
        self._client: Client | None = None
        self._opening = threading.Lock()

    @classmethod
    def of(cls, environment: Environment, cache_dir: Path | None, *, index_url: str | None = None) -> RequiresDist:
        """Return one that looks where ``environment`` says."""
        return cls(cache_dir, index_url=index_url, indexes=environment.indexes)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        if self._client is not None:
            self._client.__exit__()
            self._client = None

    def __call__(self, name: NormalizedName, version: Version) -> tuple[str, ...] | None:
        """Return the Requires-Dist lines of that version, or None when the index has no wheel of it.

        A local version (``2.10.0+cu128``) that the index does not have is answered by its public version.

        Raises:
            NetworkError: the index cannot be reached.

        """
        key = (name, version)
        if key not in self._known:
            self._known[key] = self._cached(name, version)
        return self._known[key]

    def all_of(self, distributions: Iterable[BaseDistribution]) -> Mapping[NormalizedName, tuple[str, ...]]:
        """Return what is known of all of them, those that the snapshot does not know read in parallel.

        Raises:
            NetworkError: the index cannot be reached.

        """
        items = list(distributions)
        unknown = [item for item in items if item.requires_dist is None]
        with ThreadPoolExecutor(WORKERS, thread_name_prefix="kpack-metadata") as pool:
            answers = pool.map(lambda item: self(item.name, item.version), unknown)
            found = dict(zip((item.name for item in unknown), answers, strict=True))
        found |= {item.name: item.requires_dist for item in items if item.requires_dist is not None}
        return {name: lines for name, lines in found.items() if lines is not None}

    def _location(self, name: NormalizedName) -> str:
        for index in self._indexes:
            if any(fnmatchcase(name, pattern) for pattern in index.packages):
                return index.location().rstrip("/")
        if self._index_url is None:
            from pip._internal.models.index import PyPI

            self._index_url = PyPI.simple_url
        return str(self._index_url).rstrip("/")

    def _cached(self, name: NormalizedName, version: Version) -> tuple[str, ...] | None:
        location = self._location(name)
        if self._folder is None:
            return self._read(location, name, version)
        place = hashlib.sha256(shown(location).encode()).hexdigest()[:16]
        path = self._folder / place / name / f"{version}.json"
        # A file that cannot be read as what it should be is read anew from the index and replaced.
        with contextlib.suppress(FileNotFoundError, NotADirectoryError, ValueError, KeyError, TypeError):
            kept = json.loads(path.read_text(encoding="utf-8"))["requires-dist"]
            return None if kept is None else tuple(map(str, kept))
        # That the index has no wheel of an image's version is kept too: a release of months ago gets none any more.
        lines = self._read(location, name, version)
        write_text(path, json.dumps({"requires-dist": lines}, indent=1) + "\n")
        return lines

    def _read(self, location: str, name: NormalizedName, version: Version) -> tuple[str, ...] | None:
        with self._opening:
            if self._client is None:
                self._client = Client(connections=WORKERS)
        page = f"{location}/{name}/"
        try:
            files = _files(*self._get(page, _LARGEST_PAGE, accept=_ACCEPT), page)
        except Refused:
            return None
        for wanted in dict.fromkeys((version, Version(version.public))):
            for file in _wheels(files, name, wanted):
                metadata = self._metadata(file, name, wanted)
                if metadata is not None:
                    return metadata
        return None

    def _metadata(self, file: Mapping[str, Any], name: NormalizedName, version: Version) -> tuple[str, ...] | None:
        url = str(file["url"])
        try:
            text = self._get(f"{url}.metadata", _LARGEST_METADATA)[0]
            announced = file.get("core-metadata") or file.get("data-dist-info-metadata")
            wanted = announced.get("sha256") if isinstance(announced, dict) else None
            if wanted is None or wanted == hashlib.sha256(text).hexdigest():
                lines = _requires(text, name, version)
                if lines is not None:
                    return lines
        except Refused:  # not every index has them
            pass
        assert self._client is not None
        try:
            with zipfile.ZipFile(_Remote(self._client, url)) as archive:
                inside = [n for n in archive.namelist() if n.count("/") == 1 and n.endswith(".dist-info/METADATA")]
                return _requires(archive.read(inside[0]), name, version) if len(inside) == 1 else None
        except Transient as error:
            raise self._unreachable(url, error) from error
        except (Refused, zipfile.BadZipFile, OSError, ValueError, zlib.error):
            return None

    def _get(self, url: str, limit: int, *, accept: str = "*/*") -> tuple[bytes, str, str]:
        """Return content, content type and final URL."""
        assert self._client is not None
        failure: Transient | None = None
        for _ in range(_ATTEMPTS):
            try:
                with self._client.open(url, headers={"Accept": accept, "Accept-Encoding": "gzip"}) as body:
                    headers = body.response.headers
                    return _content(body, limit), headers.get("Content-Type", ""), str(body.response.url)
            except Transient as error:
                failure = error
        assert failure is not None
        raise self._unreachable(url, failure)

    def _unreachable(self, url: str, error: Transient) -> NetworkError:
        return NetworkError(
            f"the requirements of the base packages cannot be read: {error.reason}",
            where=shown(url),
            next="they are needed once, because replace opens base packages; try again when the index answers",
        )


def _content(body: Body, limit: int) -> bytes:
    raw = bytearray()
    gzip = body.response.headers.get("Content-Encoding", "").lower() in ("gzip", "x-gzip")
    inflate = zlib.decompressobj(wbits=31) if gzip else None
    for chunk in body.chunks():
        raw += inflate.decompress(chunk, limit) if inflate else chunk
        if len(raw) > limit or (inflate and inflate.unconsumed_tail):
            raise Refused(f"more than {limit} bytes")
    return bytes(raw)


def _files(content: bytes, kind: str, final: str, page: str) -> list[dict[str, Any]]:
    """Return the files of a project page, each with ``filename`` and an absolute ``url``."""
    if "json" in kind:
        try:
            rows = json.loads(content)["files"]
            return [{**row, "url": _absolute(final, row["url"])} for row in rows]
        except (ValueError, KeyError, TypeError) as error:
            raise Refused(f"the page {shown(page)} is not the Simple API") from error
    anchors = _Anchors()
    anchors.feed(content.decode("utf-8", "replace"))
    rows = []
    for href in anchors.found:
        url = urllib.parse.urldefrag(urllib.parse.urljoin(final, href)).url
        name = urllib.parse.unquote(urllib.parse.urlsplit(url).path.rpartition("/")[2])
        rows.append({"filename": name, "url": url})
    return rows


def _absolute(base: str, url: str) -> str:
    return url if url.startswith(("https://", "http://")) else urllib.parse.urljoin(base, url)


class _Anchors(html.parser.HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "a":
            self.found += [value for key, value in attrs if key == "href" and value]


def _wheels(files: Sequence[Mapping[str, Any]], name: NormalizedName, version: Version) -> list[Mapping[str, Any]]:
    """Return up to two wheels of that version, a pure one first, then by name: any host picks the same."""
    found = []
    for file in files:
        filename = str(file.get("filename", ""))
        if not filename.endswith(".whl") or not _is(version, filename):
            continue  # most files of a long page are of other versions: they are not worth parsing
        with contextlib.suppress(InvalidWheelFilename, InvalidVersion):
            project, has, _, _ = parse_wheel_filename(filename)
            if project == name and has == version:
                found.append((not filename.endswith("-none-any.whl"), filename, file))
    return [file for _, _, file in sorted(found, key=lambda item: item[:2])[:2]]


def _is(version: Version, filename: str) -> bool:
    """Tell whether the second part of a wheel's file name spells ``version``."""
    spelled = filename.split("-", 2)[1:2]
    return bool(spelled) and _version(spelled[0]) == version


@functools.lru_cache(maxsize=4096)
def _version(text: str) -> Version | None:
    try:
        return Version(text)
    except InvalidVersion:
        return None


def _requires(text: bytes, name: NormalizedName, version: Version) -> tuple[str, ...] | None:
    """Return the Requires-Dist lines of METADATA if it is that version's."""
    fields, _ = parse_email(text)
    try:
        if canonicalize_name(fields["name"]) != name or Version(fields["version"]).public != version.public:
            return None
    except (KeyError, InvalidVersion):
        return None
    return tuple(fields.get("requires_dist", []))


class _Remote(io.RawIOBase):
    """A file behind a URL, read by Range; the tail, where a zip has its directory, is read in one go."""

    def __init__(self, client: Client, url: str) -> None:
        self._client = client
        self._url = url
        with client.open(url, first=0, last=0) as body:
            if not body.partial or body.total is None:
                raise Refused("the server does not answer to Range")
            self._size = body.total
            b"".join(body.chunks())
        self._position = 0
        self._tail_start = max(0, self._size - _TAIL)
        self._tail = self._range(self._tail_start, self._size)

    def _range(self, start: int, end: int) -> bytes:
        if start >= end:
            return b""
        with self._client.open(self._url, first=start, last=end - 1) as body:
            if not body.partial or body.start != start:
                raise Refused("the server does not answer to Range")
            return b"".join(body.chunks())

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._position = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        return self._position

    def read(self, size: int = -1) -> bytes:
        end = self._size if size < 0 else min(self._size, self._position + size)
        start, self._position = self._position, max(end, self._position)
        if start >= self._tail_start:
            return self._tail[start - self._tail_start : end - self._tail_start]
        return self._range(start, end)
