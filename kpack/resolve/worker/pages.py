"""Project pages of Simple indexes (PEP 503, 592, 658, 691, 700), and what a page of links has of a project."""

from __future__ import annotations

import contextlib
import functools
import html.parser
import json
import re
import urllib.parse
from typing import TYPE_CHECKING

from pip._vendor.packaging.version import Version

from kpack import urls
from kpack.resolve.wire import Owners
from kpack.resolve.worker import links
from kpack.resolve.worker.files import Fit, IndexFile, Row, RowPlaces, read_file, version_of
from kpack.resolve.worker.web import Once, Response, Unreachable, Web

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from kpack.resolve.wire import IndexAddress
    from kpack.resolve.worker.kept_pages import KeptPage, KeptPages

ACCEPT = "application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html; q=0.1, text/html; q=0.01"
_ALGORITHMS = frozenset({"md5", "sha1", "sha224", "sha256", "sha384", "sha512"})
OK, UNCHANGED, UNAUTHORISED, FORBIDDEN, MISSING, GONE = 200, 304, 401, 403, 404, 410


class Page:
    """A project's files; ``exists`` is False when its index does not know the name."""

    def __init__(
        self,
        name: str,
        index: str,
        rows: Sequence[Row],
        base: str = "",
        *,
        places: RowPlaces | None = None,
        exists: bool = True,
        simple: bool = True,
    ) -> None:
        self.name = name
        self.index = index
        self.rows = rows
        self.places = RowPlaces.of(rows) if places is None else places
        self.exists = exists
        self._base = base
        self._simple = simple

    @functools.cached_property
    def files(self) -> list[IndexFile]:
        """All wheels and sdists: a long page takes its time, so look at `read` of some rows where that does."""
        return self.read(self.rows)

    def read(self, rows: Iterable[Row]) -> list[IndexFile]:
        """Return the wheels and sdists among ``rows``."""
        index = self.index if self._simple else ""  # PEP 751 knows Simple indexes only
        found = [file for row in rows if (file := read_file(self.name, row, self._base, index)) is not None]
        if self._simple:  # a page of links may have folders, one for each CUDA
            _doubt_twins(found)
        return found

    def rows_of(self, version: Version) -> list[Row]:
        """Return the rows whose file names spell ``version``: most of a long page are not worth more."""
        places = [
            place
            for text, places in self.places.spelled.items()
            if text and version_of(text) == version
            for place in places
        ]
        return [self.rows[place] for place in sorted(places)]

    def places_near(self, version: Version) -> set[int]:
        """Return the places of rows that may be of a version with the same release number: ``1.2rc1`` for ``1.2``."""
        release = _release(version)
        near: set[int] = set()
        for text, places in self.places.spelled.items():
            other = version_of(text) if text else None
            if other is None or _release(other) == release:
                near.update(places)
        return near

    def rows_above(self, version: Version) -> list[Row]:
        """Return the rows that may be of a later version, told by the part of the file name that mostly is one."""
        kept = []
        for text, places in self.places.spelled.items():
            other = version_of(text) if text else None
            if other is None or other > version:
                kept += places
        return [self.rows[place] for place in sorted(kept)]


def _release(version: Version) -> tuple[int, ...]:
    """Return the release number of a version without the zeros at its end: 1.0 and 1 are the same."""
    release: tuple[int, ...] = version.release
    while release and not release[-1]:
        release = release[:-1]
    return release


def _doubt_twins(files: Iterable[IndexFile]) -> None:
    """Give a flaw to files that bear one name and are not the same by their index."""
    rows: dict[str, list[IndexFile]] = {}
    for file in files:
        rows.setdefault(file.filename, []).append(file)
    for twins in rows.values():
        if len(twins) > 1 and len({file.hashes.get("sha256") for file in twins} - {None}) > 1:
            for file in twins:
                file.flaw = "is listed twice on its index, with different digests"


class Pages:
    """Fetches each project's page once, from the one index that the name belongs to."""

    def __init__(self, web: Web, indexes: Sequence[IndexAddress], kept: KeptPages) -> None:
        self._web = web
        self.kept = kept
        self._owners = Owners(indexes)
        self.page = Once(self._page)
        self._links = Once(self._read_links)

    def _page(self, name: str) -> Page:
        """Fetch and read the page of the normalised ``name``.

        Raises:
            Unreachable: the index did not answer, or refused.

        """
        address = self._owners.index_of(name)
        if address.shape == "links":
            return self._linked(name, address.url)
        index = address.url.rstrip("/") + "/"
        url = f"{index}{urllib.parse.quote(name)}/"
        if url.startswith("file:"):
            url += "index.html"
        shown = urls.stable(index)
        kept = self.kept.find(url)
        if kept is not None and kept.fresh:
            return _as_kept(name, shown, kept)
        conditions = kept.conditions if kept is not None else {}
        # pip's own cache would keep it once more.
        answer = self._web.get(url, {"Accept": ACCEPT, "Cache-Control": "no-store", **conditions})
        if kept is not None and answer.status == UNCHANGED:
            self.kept.renew(url)
            return _as_kept(name, shown, kept)
        if answer.status in (MISSING, GONE):
            return Page(name, shown, [], exists=False)
        check_status(url, answer)
        rows, base = read_page(name, answer)
        page = Page(name, shown, rows, base)
        if not url.startswith("file:") and answer.delimited:
            self.kept.remember(url, answer, base, page.places, rows)
        return page

    def _linked(self, name: str, url: str) -> Page:
        """Return what a flat page or a folder has of ``name``."""
        found = self._links(url)
        page = Page(name, urls.stable(url), found.rows(name), found.base, simple=False)
        page.exists = bool(page.files)
        return page

    def _read_links(self, url: str) -> links.Links:
        if url.startswith("file:") and (found := links.folder(url)) is not None:
            return found
        answer = self._web.get(url, {"Accept": "text/html, */*; q=0.1"})
        check_status(url, answer)
        found = links.Links(*read_anchors(answer))
        if not found:
            raise links.none_on(url)
        return found

    def flat(self, name: str) -> bool:
        """Tell whether what was taken for the Simple index of ``name`` is a flat page of links itself."""
        address = self._owners.index_of(name)
        if address.shape == "links" or not address.packages:
            return False
        with contextlib.suppress(Unreachable):
            answer = self._web.get(address.url, {"Accept": "text/html"})
            return answer.status == OK and bool(links.Links(*read_anchors(answer)))
        return False


def _as_kept(name: str, index: str, kept: KeptPage) -> Page:
    return Page(name, index, kept.rows, kept.base, places=kept.places)


def check_status(url: str, answer: Response) -> None:
    """Raise `Unreachable` for an answer that is no page."""
    if answer.status == UNAUTHORISED:
        raise Unreachable(url, "it wants credentials, or refuses those it was given (HTTP 401)", answer.status)
    if answer.status == FORBIDDEN:
        raise Unreachable(url, "it refuses access (HTTP 403)", answer.status)
    if answer.status != OK:
        raise Unreachable(url, f"it answered HTTP {answer.status}", answer.status)


class TargetPages:
    """Pages of which one target takes what fits it."""

    def __init__(self, pages: Pages, fit: Fit) -> None:
        self.page = pages.page
        self.flat = pages.flat
        self.fit = fit
        self.best = Once(self._best)
        """The file to take for every version of a name."""
        self._near = Once(self._best_near)

    def near(self, name: str, version: Version) -> dict[Version, IndexFile]:
        """Return those of `best` that have the release number of ``version``, and perhaps others: few rows are read."""
        everything = self.best.known(name)
        return self._near(f"{name} {version}") if everything is None else everything

    def _best_near(self, key: str) -> dict[Version, IndexFile]:
        name, _, version = key.partition(" ")
        page = self.page(name)
        near = page.places_near(Version(version))
        return self._best_of(page, (place for place in self.fit.fitting(name, page.places) if place in near))

    def _best(self, name: str) -> dict[Version, IndexFile]:
        page = self.page(name)
        return self._best_of(page, self.fit.fitting(name, page.places))

    def _best_of(self, page: Page, places: Iterable[int]) -> dict[Version, IndexFile]:
        return self.fit.best(page.name, page.read([page.rows[place] for place in places]))


def _no_number(text: str) -> float:
    raise ValueError(f"{text} is no JSON")


def read_page(name: str, answer: Response) -> tuple[list[Row], str]:
    """Return the rows of a page, JSON or HTML, and the URL that theirs are relative to.

    Raises:
        Unreachable: the body is neither.

    """
    kind = answer.content_type.lower()
    if "json" in kind:
        try:
            page = json.loads(answer.body, parse_constant=_no_number)
            rows = page["files"]
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise Unreachable(answer.url, f"its page of {name} is no valid JSON") from error
        meta = page.get("meta")
        _check_version(answer.url, meta.get("api-version") if isinstance(meta, dict) else None)
        base = answer.url
    elif "html" in kind:
        rows, base = read_anchors(answer)
    else:
        words = f"it answered {answer.content_type or 'no content type'}, which is no Simple page"
        raise Unreachable(answer.url, words)
    if not isinstance(rows, list):
        raise Unreachable(answer.url, f"its page of {name} has no list of files")
    return [row for row in rows if type(row) is dict], base


def _check_version(url: str, version: object) -> None:
    """Refuse a page of a later major version than 1, as PEP 629 asks; what says none is 1.0."""
    major = str(version).partition(".")[0]
    if major.isdecimal() and major != "1" and version is not None:
        words = f"it speaks version {str(version)[:20]} of the Simple API, and this kpack knows 1"
        raise Unreachable(url, words)


def read_anchors(answer: Response) -> tuple[list[Row], str]:
    """Return a row for each link of a page in HTML, and the URL that they are relative to."""
    anchors = _Anchors()
    anchors.feed(answer.body.decode("utf-8", "replace"))
    _check_version(answer.url, anchors.version)
    base = answer.url
    with contextlib.suppress(ValueError):
        base = urllib.parse.urljoin(answer.url, anchors.base or "")
    return anchors.rows, base


_BREAKS = re.compile(r"[\t\r\n]")


class _Anchors(html.parser.HTMLParser):
    """Turns the anchors of a PEP 503 page into rows like those of PEP 691."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.base: str | None = None
        self.version: str | None = None
        """Of the Simple API (PEP 629)."""
        self.rows: list[Row] = []

    def parse_html_declaration(self, i: int) -> int:
        """Take ``<![…>`` for the comment that it is in HTML; Python's own reader gives up on some."""
        if self.rawdata.startswith("<![", i):
            return self.parse_bogus_comment(i)
        return super().parse_html_declaration(i)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        href = _BREAKS.sub("", values.get("href") or "").strip()  # as browsers and pip read a URL
        if tag == "meta" and values.get("name") == "pypi:repository-version":
            self.version = values.get("content")
        if tag == "base" and self.base is None and href:
            self.base = href
        if tag != "a" or not href:
            return
        url, _, fragment = href.partition("#")
        hashes = [part.partition("=")[::2] for part in fragment.split("&")]
        announced = values.get("data-core-metadata", values.get("data-dist-info-metadata"))
        of_metadata, _, metadata_digest = (announced or "").partition("=")
        self.rows.append(
            {
                # By hand: a URL that cannot be taken apart has a file name all the same, to say so.
                "filename": urllib.parse.unquote(url.partition("?")[0].rpartition("/")[2]),
                "url": url,
                "hashes": {name: digest for name, digest in hashes if name.lower() in _ALGORITHMS and digest},
                "requires-python": values.get("data-requires-python"),
                "yanked": (values["data-yanked"] or True) if "data-yanked" in values else False,
                "core-metadata": {of_metadata: metadata_digest} if metadata_digest else announced == "true",
            }
        )
