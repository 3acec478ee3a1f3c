"""Project pages of Simple indexes (PEP 503, 592, 658, 691, 700), read for one target."""

from __future__ import annotations

import fnmatch
import functools
import html.parser
import json
import urllib.parse
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pip._vendor.packaging.specifiers import InvalidSpecifier, SpecifierSet
from pip._vendor.packaging.utils import canonicalize_name
from pip._vendor.packaging.version import InvalidVersion, Version

from kpack.resolve.worker.web import Answer, Once, Unreachable, Web, without_credentials

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from kpack.resolve.worker.request import IndexAddress, WorkerRequest

ACCEPT = "application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html; q=0.1, text/html; q=0.01"
SDIST_SUFFIXES = (".tar.gz", ".zip", ".tar.bz2", ".tar.xz", ".tgz")
OK, MISSING = 200, 404


@dataclass(slots=True)
class File:
    """One file of a page."""

    filename: str
    url: str
    """Absolute, without fragment and credentials."""
    hashes: dict[str, str]
    size: int | None
    upload_time: str | None
    requires_python: str | None
    yanked: str | None
    """The reason (perhaps empty); None when it is not yanked."""
    metadata_hashes: dict[str, str] | None
    """Of the ``.metadata`` file; None when it is not announced, {} when it is without digest."""
    version: Version
    tags: tuple[str, str, str] | None
    """Interpreters, ABIs, platforms as in the file name; None for an sdist."""
    build: tuple[int, str] = (0, "")
    index: str = ""
    """URL of the Simple index, without credentials."""

    @property
    def is_wheel(self) -> bool:
        """Wheel, or else sdist."""
        return self.tags is not None


@dataclass(slots=True)
class Page:
    """A project's files; ``exists`` is False when its index does not know the name."""

    name: str
    index: str
    exists: bool
    files: list[File]


@functools.cache
def _version(text: str) -> Version | None:
    try:
        return Version(text)
    except InvalidVersion:
        return None


@functools.cache
def _specifiers(text: str) -> SpecifierSet | None:
    try:
        return SpecifierSet(text)
    except InvalidSpecifier:
        return None


def read_name(name: str, filename: str) -> tuple[Version, tuple[str, str, str] | None, tuple[int, str]] | None:
    """Return version, tags (None for an sdist) and build tag of a file of project ``name``; None when it is neither."""
    if filename.endswith(".whl"):
        parts = filename[:-4].split("-")
        if len(parts) not in (5, 6) or canonicalize_name(parts[0]) != name:
            return None
        version = _version(parts[1])
        if version is None:
            return None
        build = (0, "")
        if len(parts) == 6:
            digits = len(parts[2]) - len(parts[2].lstrip("0123456789"))
            if not digits:
                return None
            build = (int(parts[2][:digits]), parts[2][digits:])
        return version, (parts[-3], parts[-2], parts[-1]), build
    suffix = next((suffix for suffix in SDIST_SUFFIXES if filename.endswith(suffix)), None)
    if suffix is None:
        return None
    stem = filename[: -len(suffix)]
    for position, character in enumerate(stem):
        if character == "-" and canonicalize_name(stem[:position]) == name:
            version = _version(stem[position + 1 :])
            return None if version is None else (version, None, (0, ""))
    return None


class Fit:
    """Judges files for one target; the one place that knows tags, exclude-newer and allow-source."""

    def __init__(self, request: WorkerRequest) -> None:
        self.ranks = {tag: rank for rank, tag in reversed(list(enumerate(request.tags)))}
        self.python = request.python_full_version
        self.cutoff = request.exclude_newer
        self.sources = frozenset(request.allow_source)

    def rank(self, file: File) -> int | None:
        """Return the place of the wheel's best tag (0 is best), or None when it does not fit."""
        if file.tags is None:
            return None
        found = [
            rank
            for interpreter in file.tags[0].split(".")
            for abi in file.tags[1].split(".")
            for platform in file.tags[2].split(".")
            if (rank := self.ranks.get(f"{interpreter}-{abi}-{platform}")) is not None
        ]
        return min(found, default=None)

    def too_new(self, file: File) -> bool:
        """Tell whether ``exclude-newer`` hides the file; one without upload time is hidden too."""
        if self.cutoff is None:
            return False
        return file.upload_time is None or file.upload_time[:19] >= self.cutoff[:19]

    def python_fits(self, file: File) -> bool:
        """Tell whether Requires-Python admits the target; an invalid one counts as none, as in pip."""
        specifiers = _specifiers(file.requires_python) if file.requires_python else None
        return specifiers is None or specifiers.contains(self.python, prereleases=True)

    def usable(self, name: str, file: File) -> bool:
        """Tell whether the file may be chosen."""
        fits = name in self.sources if file.tags is None else self.rank(file) is not None
        return fits and not self.too_new(file) and self.python_fits(file)

    def best(self, page: Page) -> dict[Version, File]:
        """Return the one file to take for every version: unyanked, then wheel, then tag, then build number."""
        chosen: dict[Version, tuple[tuple[object, ...], File]] = {}
        for file in page.files:
            if not self.usable(page.name, file):
                continue
            rank = self.rank(file)
            key = (file.yanked is not None, rank is None, rank or 0, (-file.build[0], file.build[1]), file.filename)
            if file.version not in chosen or key < chosen[file.version][0]:
                chosen[file.version] = (key, file)
        return {version: file for version, (_, file) in chosen.items()}


class Pages:
    """Fetches each project's page once, from the one index that the name belongs to."""

    def __init__(self, web: Web, indexes: Sequence[IndexAddress], fit: Fit) -> None:
        self._web = web
        self._indexes = indexes
        self.fit = fit
        self.page = Once(self._page)
        self.best = Once(lambda name: fit.best(self.page(name)))

    def index_of(self, name: str) -> str:
        """Return the URL (ending in a slash, with credentials) of the index that ``name`` belongs to."""
        for index in self._indexes[1:]:
            if any(fnmatch.fnmatchcase(name, pattern) for pattern in index.packages):
                return index.url.rstrip("/") + "/"
        return self._indexes[0].url.rstrip("/") + "/"

    def _page(self, name: str) -> Page:
        """Fetch and read the page of the normalised ``name``.

        Raises:
            Unreachable: the index did not answer, or refused.

        """
        index = self.index_of(name)
        url = f"{index}{urllib.parse.quote(name)}/"
        if url.startswith("file:"):
            url += "index.html"
        answer = self._web.get(url, {"Accept": ACCEPT})
        shown = without_credentials(index)
        if answer.status in (MISSING, 410):
            return Page(name, shown, exists=False, files=[])
        if answer.status in (401, 403):
            words = (
                "it wants credentials, or refuses those it was given" if answer.status == 401 else "it refuses access"
            )
            raise Unreachable(url, f"{words} (HTTP {answer.status})", answer.status)
        if answer.status != OK:
            raise Unreachable(url, f"it answered HTTP {answer.status}", answer.status)
        return Page(name, shown, exists=True, files=list(read_page(name, shown, answer)))


def read_page(name: str, index: str, answer: Answer) -> Iterator[File]:
    """Yield the files of a page, JSON or HTML; what is no wheel or sdist of ``name`` is left out.

    Raises:
        Unreachable: the body is neither.

    """
    kind = answer.content_type.lower()
    if "json" in kind:
        try:
            rows = json.loads(answer.body)["files"]
        except (ValueError, KeyError, TypeError) as error:
            raise Unreachable(answer.url, f"its page of {name} is no valid JSON") from error
        base = answer.url
    elif "html" in kind:
        anchors = _Anchors()
        anchors.feed(answer.body.decode("utf-8", "replace"))
        base = urllib.parse.urljoin(answer.url, anchors.base) if anchors.base else answer.url
        rows = anchors.rows
    else:
        raise Unreachable(
            answer.url, f"it answered {answer.content_type or 'no content type'}, which is no Simple page"
        )
    for row in rows:
        facts = read_name(name, row["filename"])
        if facts is not None:
            yield _file(row, base, index, *facts)


def _file(
    row: dict[str, object],
    base: str,
    index: str,
    version: Version,
    tags: tuple[str, str, str] | None,
    build: tuple[int, str],
) -> File:
    url = str(row["url"])
    if not url.startswith(("https://", "http://")):
        url = urllib.parse.urljoin(base, url)
    yanked = row.get("yanked")
    announced = row.get("core-metadata", row.get("dist-info-metadata"))
    size = row.get("size")
    hashes = row.get("hashes")
    return File(
        filename=str(row["filename"]),
        url=without_credentials(url) if "@" in url or "#" in url else url,
        hashes=hashes if isinstance(hashes, dict) else {},
        size=size if isinstance(size, int) else None,
        upload_time=_text(row.get("upload-time")),
        requires_python=_text(row.get("requires-python")),
        yanked=(yanked if isinstance(yanked, str) else "") if yanked else None,
        metadata_hashes=announced if isinstance(announced, dict) else {} if announced else None,
        version=version,
        tags=tags,
        build=build,
        index=index,
    )


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


class _Anchors(html.parser.HTMLParser):
    """Turns the anchors of a PEP 503 page into rows like those of PEP 691."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.base: str | None = None
        self.rows: list[dict[str, object]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        href = values.get("href")
        if tag == "base" and self.base is None and href:
            self.base = href
        if tag != "a" or not href:
            return
        url, _, fragment = href.partition("#")
        algorithm, _, digest = fragment.partition("&")[0].partition("=")
        announced = values.get("data-core-metadata", values.get("data-dist-info-metadata"))
        of_metadata, _, metadata_digest = (announced or "").partition("=")
        self.rows.append(
            {
                "filename": urllib.parse.unquote(urllib.parse.urlsplit(url).path.rpartition("/")[2]),
                "url": url,
                "hashes": {algorithm: digest} if digest else {},
                "requires-python": values.get("data-requires-python"),
                "yanked": (values["data-yanked"] or True) if "data-yanked" in values else False,
                "core-metadata": {of_metadata: metadata_digest} if metadata_digest else announced == "true",
            }
        )
