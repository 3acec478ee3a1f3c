"""URLs as they may be shown, and with the credentials that a lock leaves out."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterable


def shown(url: str) -> str:
    """Return ``url`` as it may be shown: without user, password, query and fragment, control characters escaped."""
    try:
        parts = urlsplit(url)
        host = parts.netloc.rpartition("@")[2]
    except ValueError:
        return "(a URL that cannot be read)"
    if parts.scheme == "data":
        return "data:…"
    text = f"{parts.scheme}://{host}{parts.path}" if host or parts.scheme in {"http", "https", "file"} else url
    return "".join(character if character.isprintable() else f"\\x{ord(character):02x}" for character in text)


def authenticated(url: str, known: Iterable[str]) -> str:
    """Return ``url`` with the user and password of the first of ``known`` that has some for the same server."""
    parts = urlsplit(url)
    if "@" in parts.netloc:
        return url
    for other in map(urlsplit, known):
        credentials, at, host = other.netloc.rpartition("@")
        if at and (other.scheme, host.lower()) == (parts.scheme, parts.netloc.lower()):
            return parts._replace(netloc=f"{credentials}@{parts.netloc}").geturl()
    return url
