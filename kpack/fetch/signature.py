"""A fresh signature for a URL whose own the lock left out: from the index page that lists the file (PEP 503, 691)."""

from __future__ import annotations

import html
import json
import re
from typing import TYPE_CHECKING
from urllib.parse import urljoin

from kpack.fetch.client import RangeTrouble, Refused, Transient
from kpack.urls import signed, stable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kpack.fetch.client import Client

LARGEST = 64 << 20
"""Bytes of a page that is read."""

_HEADERS = {
    "Accept": "application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html; q=0.1, text/html; q=0.01",
    "Accept-Encoding": "identity",
}
_BASE = re.compile(r"<base\b[^>]*?\bhref\s*=\s*[\"']([^\"'>]*)", re.IGNORECASE)
_LINK = re.compile(r"<a\b[^>]*?\bhref\s*=\s*[\"']([^\"'>]*)", re.IGNORECASE)


def fresh(client: Client, page: str, url: str) -> str | None:
    """Return ``url`` with the signature that an index's ``page`` has for it now; None when it has none.

    A page that cannot be had, or is none, has none: the refusal of ``url`` itself is what counts then.
    """
    found = bytearray()
    try:
        with client.open(page, headers=_HEADERS) as body:
            for chunk in body.chunks():
                found += chunk
                if len(found) > LARGEST:
                    return None
    except (Transient, RangeTrouble, Refused):
        return None
    plain = stable(url)
    for address in _addresses(bytes(found).decode("utf-8", "replace"), page):
        if signed(address) and stable(address) == plain:
            return address.partition("#")[0]
    return None


def _addresses(text: str, page: str) -> Iterator[str]:
    """Yield the absolute URLs of a page's files, as far as they can be read."""
    try:
        rows = json.loads(text)["files"] if text.lstrip().startswith("{") else None
    except (ValueError, KeyError, RecursionError):
        return
    if rows is None:
        base = _BASE.search(text)
        page = urljoin(page, html.unescape(base[1])) if base else page
        hrefs: list[object] = [html.unescape(match[1]) for match in _LINK.finditer(text)]
    else:
        hrefs = [row.get("url") for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []
    for href in hrefs:
        if isinstance(href, str):
            try:
                yield urljoin(page, href)
            except ValueError:
                continue  # no URL that anybody could ask
