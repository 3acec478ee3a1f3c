"""What is to be done for a file: decided from what is known, before anything is touched."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from kpack.errors import NetworkError
from kpack.urls import shown

if TYPE_CHECKING:
    from pathlib import Path

    from kpack.fetch.model import Download
    from kpack.fetch.part import OnDisk

_REMOTE = frozenset({"http", "https"})


class Have(NamedTuple):
    """It is in the cache."""

    path: Path
    size: int
    """Bytes."""


class TakeLocal(NamedTuple):
    """Its URLs are all of this machine, or wrong: no part of it has to be kept."""


class Bring(NamedTuple):
    """It has to come from another machine (or, ``offline`` permitting, from a mirror on this one)."""


class Refuse(NamedTuple):
    """It cannot be had."""

    error: NetworkError


def decide(download: Download, cached: tuple[Path, int] | None, *, offline: bool) -> Have | TakeLocal | Bring | Refuse:
    """Return what to do for ``download``; ``cached`` is its file in the cache and the size of that, if there is one."""
    if cached is not None:
        return Have(*cached)
    schemes = {urlsplit(url).scheme for url in download.urls}
    if not schemes & _REMOTE:
        return TakeLocal()
    if offline and schemes <= _REMOTE:
        return Refuse(not_offline(download, shown(download.urls[0])))
    return Bring()


def not_offline(download: Download, where: str) -> NetworkError:
    """Return the error for a file that is not in the cache when the network must not be asked."""
    return NetworkError(
        "not in the cache, and --offline forbids to fetch it",
        where=f"{download.name} ({where})",
        next="run once without --offline, or point KPACK_CACHE at a cache that has it",
    )


def resumable(noted: OnDisk | None, key: str, download: Download, length: int) -> bool:
    """Tell whether the bytes of an earlier run may be taken up.

    ``noted`` is what that run wrote down, ``key`` the URL's digest, ``length`` that of the partial file in bytes.
    Bytes of two answers may be put together only where something must notice if the file changed between them: a
    validator, or the digest that the file has to have.
    """
    return (
        noted is not None
        and noted.url == key
        and noted.received > 0
        and download.size in {None, noted.total}
        and (noted.validator is not None or download.sha256 is not None)
        and all(segment.position <= length or segment.position == segment.start for segment in noted.segments)
    )
