"""Project pages of Simple indexes (PEP 503, 592, 658, 691, 700)."""

from __future__ import annotations

import contextlib
import functools
import html.parser
import json
import urllib.parse
from typing import TYPE_CHECKING

from kpack import urls
from kpack.resolve.wire import index_of
from kpack.resolve.worker.files import Fit, IndexFile, Row, read_file, version_of
from kpack.resolve.worker.web import Once, Response, Unreachable, Web

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pip._vendor.packaging.version import Version

    from kpack.resolve.wire import IndexAddress

ACCEPT = "application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html; q=0.1, text/html; q=0.01"
OK, UNAUTHORISED, FORBIDDEN, MISSING, GONE = 200, 401, 403, 404, 410


class Page:
    """A project's files; ``exists`` is False when its index does not know the name."""

    def __init__(self, name: str, index: str, rows: list[Row], base: str = "", *, exists: bool = True) -> None:
        self.name = name
        self.index = index
        self.rows = rows
        self.exists = exists
        self._base = base

    @functools.cached_property
    def files(self) -> list[IndexFile]:
        """All wheels and sdists: a long page takes its time, so look at `read` of some rows where that does."""
        return self.read(self.rows)

    def read(self, rows: Iterable[Row]) -> list[IndexFile]:
        """Return the wheels and sdists among ``rows``."""
        found = (read_file(self.name, row, self._base, self.index) for row in rows)
        return [file for file in found if file is not None]

    def rows_of(self, version: Version) -> list[Row]:
        """Return the rows of wheels whose file names spell ``version``: most of a long page are not worth more."""
        spelled: dict[str, bool] = {}
        found = []
        for row in self.rows:
            filename = row.get("filename")
            if type(filename) is not str or not filename.endswith(".whl"):
                continue
            text = filename.split("-", 2)[1] if "-" in filename else ""
            if text not in spelled:
                spelled[text] = version_of(text) == version
            if spelled[text]:
                found.append(row)
        return found

    def rows_above(self, version: Version) -> list[Row]:
        """Return the rows that may be of a later version, told by the part of the file name that mostly is one."""
        kept: dict[str, bool] = {}
        found = []
        for row in self.rows:
            filename = row.get("filename")
            if type(filename) is not str:
                continue
            text = filename.split("-", 2)[1] if filename.endswith(".whl") and "-" in filename else ""
            if text not in kept:
                other = version_of(text) if text else None
                kept[text] = other is None or other > version
            if kept[text]:
                found.append(row)
        return found


class Pages:
    """Fetches each project's page once, from the one index that the name belongs to."""

    def __init__(self, web: Web, indexes: Sequence[IndexAddress]) -> None:
        self._web = web
        self._indexes = indexes
        self.page = Once(self._page)

    def _page(self, name: str) -> Page:
        """Fetch and read the page of the normalised ``name``.

        Raises:
            Unreachable: the index did not answer, or refused.

        """
        index = index_of(name, self._indexes).url.rstrip("/") + "/"
        url = f"{index}{urllib.parse.quote(name)}/"
        if url.startswith("file:"):
            url += "index.html"
        answer = self._web.get(url, {"Accept": ACCEPT})
        shown = urls.stable(index)
        if answer.status in (MISSING, GONE):
            return Page(name, shown, [], exists=False)
        if answer.status == UNAUTHORISED:
            raise Unreachable(url, "it wants credentials, or refuses those it was given (HTTP 401)", answer.status)
        if answer.status == FORBIDDEN:
            raise Unreachable(url, "it refuses access (HTTP 403)", answer.status)
        if answer.status != OK:
            raise Unreachable(url, f"it answered HTTP {answer.status}", answer.status)
        rows, base = read_page(name, answer)
        return Page(name, shown, rows, base)


class TargetPages(Pages):
    """Pages of which one target takes what fits it."""

    def __init__(self, web: Web, indexes: Sequence[IndexAddress], fit: Fit) -> None:
        super().__init__(web, indexes)
        self.fit = fit
        self.best = Once(self._best)

    def _best(self, name: str) -> dict[Version, IndexFile]:
        page = self.page(name)
        return self.fit.best(name, page.read(self.fit.fitting(name, page.rows)))


def read_page(name: str, answer: Response) -> tuple[list[Row], str]:
    """Return the rows of a page, JSON or HTML, and the URL that theirs are relative to.

    Raises:
        Unreachable: the body is neither.

    """
    kind = answer.content_type.lower()
    if "json" in kind:
        try:
            rows = json.loads(answer.body)["files"]
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise Unreachable(answer.url, f"its page of {name} is no valid JSON") from error
        base = answer.url
    elif "html" in kind:
        anchors = _Anchors()
        anchors.feed(answer.body.decode("utf-8", "replace"))
        base = answer.url
        with contextlib.suppress(ValueError):
            base = urllib.parse.urljoin(answer.url, anchors.base or "")
        rows = anchors.rows
    else:
        words = f"it answered {answer.content_type or 'no content type'}, which is no Simple page"
        raise Unreachable(answer.url, words)
    if not isinstance(rows, list):
        raise Unreachable(answer.url, f"its page of {name} has no list of files")
    return [row for row in rows if type(row) is dict], base


class _Anchors(html.parser.HTMLParser):
    """Turns the anchors of a PEP 503 page into rows like those of PEP 691."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.base: str | None = None
        self.rows: list[Row] = []

    def parse_html_declaration(self, i: int) -> int:
        """Take ``<![…>`` for the comment that it is in HTML; Python's own reader gives up on some."""
        if self.rawdata.startswith("<![", i):
            return self.parse_bogus_comment(i)
        return super().parse_html_declaration(i)

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
                # By hand: a URL that cannot be taken apart has a file name all the same, to say so.
                "filename": urllib.parse.unquote(url.partition("?")[0].rpartition("/")[2]),
                "url": url,
                "hashes": {algorithm: digest} if digest else {},
                "requires-python": values.get("data-requires-python"),
                "yanked": (values["data-yanked"] or True) if "data-yanked" in values else False,
                "core-metadata": {of_metadata: metadata_digest} if metadata_digest else announced == "true",
            }
        )
