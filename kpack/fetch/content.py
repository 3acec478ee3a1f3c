"""What a server sends in place of a file with status 200: a web page, a git-lfs pointer, compressed bytes."""

from __future__ import annotations

import posixpath
import re
from typing import NamedTuple

HEAD = 512
"""Bytes from the beginning of a file that tell."""

_PAGE = re.compile(
    rb"(?:\xef\xbb\xbf)?\s*(?:<!--.*?-->\s*)*<(?:!doctype\s+html|html|head|body)\b", re.IGNORECASE | re.DOTALL
)
_POINTER = b"version https://git-lfs.github.com/spec/"
_PAGES = (".html", ".htm", ".xhtml", ".mhtml", ".svg", ".xml", ".md", ".txt")
_JSON = frozenset({"application/json", "application/problem+json"})
_DATA = (".json", ".jsonl", ".ndjson", ".geojson", ".ipynb", ".webmanifest", ".gltf", ".map")
_REFUSAL = re.compile(rb"(?:\xef\xbb\xbf)?\s*(?:<\?xml[^>]*>\s*)?<Error>", re.DOTALL)
"""What stores of objects say in place of one."""
_NO_CODINGS = frozenset({"", "identity", "none", "binary", "utf-8", "utf8", "aws-chunked"})
"""What stands in Content-Encoding and changes no byte: stores of objects give back what an upload once said."""
_COMPRESSED = {
    "gzip": (".gz", ".tgz", ".gzip", ".svgz"),
    "x-gzip": (".gz", ".tgz", ".gzip", ".svgz"),
    "br": (".br",),
    "zstd": (".zst", ".zstd", ".tzst"),
    "deflate": (".zz", ".zlib"),
    "compress": (".z",),
}


class Facts(NamedTuple):
    """What the headers of an answer say of its content."""

    media_type: str = ""
    """Content-Type."""
    encoding: str = ""
    """Content-Encoding; asked for was none."""


def instead(name: str, head: bytes, facts: Facts) -> str | None:
    """Return what the bytes are when they are not the file called ``name``; None when nothing tells.

    ``head`` are the first bytes (`HEAD` of them, or all). What the name itself promises is taken: a ``.gz`` may be
    sent with Content-Encoding gzip, a ``.html`` may be a page.
    """
    low = posixpath.basename(name).lower()
    codings = [coding.strip() for coding in facts.encoding.lower().split(",")]
    encoding = ", ".join(coding for coding in codings if coding not in _NO_CODINGS)
    if encoding and not low.endswith(_COMPRESSED.get(encoding, ())):
        return f"it is compressed on the way (Content-Encoding {encoding[:20]}), although none was asked for"
    called = facts.media_type.partition(";")[0].strip().lower()
    if not low.endswith(_PAGES):
        if called in {"text/html", "application/xhtml+xml"} and b"\0" not in head:
            return "it is a web page (Content-Type text/html), not the file"
        if _PAGE.match(head):
            return "it is a web page, not the file"
        if _REFUSAL.match(head):
            return "it is an error message in XML, not the file"
    if called in _JSON and b"\0" not in head and posixpath.splitext(low)[1] not in {"", *_DATA}:
        return "it is an answer in JSON (Content-Type application/json), not the file"
    if head.startswith(_POINTER):
        return "it is a git-lfs pointer, not the file that it points to"
    return None
