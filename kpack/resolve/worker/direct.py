"""What a distribution that did not come from an index's wheel is made from (PEP 610's record, as pip keeps it)."""

from __future__ import annotations

import urllib.parse
from typing import TYPE_CHECKING, Any

from pip._internal.utils.urls import url_to_path

from kpack import urls
from kpack.resolve.wire import FoundFile, FoundSource

if TYPE_CHECKING:
    from kpack.resolve.worker.files import HashedContent, IndexFile


def address(line: str) -> str:
    """Return the URL, without fragment, that pip reads in a request by URL or path; empty for any other."""
    from kpack.resolve.worker import seams  # pip has read it already

    link = seams.requirement(line, comes_from=line).link
    return "" if link is None else str(link.url_without_fragment)


def from_sdist(file: IndexFile, content: HashedContent | None) -> FoundSource:
    """Describe an sdist of an index."""
    return FoundSource(
        kind="sdist",
        url=urls.stable(file.url),
        sha256=content.sha256 if content is not None else file.hashes.get("sha256"),
    )


def from_folder(file: IndexFile, content: HashedContent) -> tuple[FoundFile | None, FoundSource]:
    """Return (file, source) for a file of a local folder, as for one that is asked for by its path."""
    path = url_to_path(file.url)
    if not file.is_wheel:
        return None, FoundSource(kind="archive", url=path, sha256=content.sha256)
    found = FoundFile(filename=file.filename, url=None, sha256=content.sha256)
    return found, FoundSource(kind="wheel", url=path, sha256=content.sha256)


def from_record(url: str, record: Any, fetched: HashedContent | None) -> tuple[FoundFile | None, FoundSource | None]:
    """Return (file, source) for a direct URL: a file for a remote wheel, else a source; both for a local wheel.

    Paths are absolute; the parent makes them relative. ``fetched`` is the file which pip has got.
    """
    # The record as PEP 610 writes it: pip's own classes changed their fields in 26.x, this did not.
    held = record.to_dict()
    if "vcs_info" in held:
        vcs = held["vcs_info"]
        return None, FoundSource(
            kind="vcs",
            url=f"{vcs['vcs']}+{urls.stable(record.url)}",
            commit=vcs["commit_id"],
            revision=vcs.get("requested_revision"),
            subdirectory=held.get("subdirectory"),
        )
    if "dir_info" in held:
        return None, FoundSource(kind="directory", url=url_to_path(record.url.partition("#")[0]))
    digest = held["archive_info"].get("hashes", {}).get("sha256") or (fetched.sha256 if fetched else None)
    size = fetched.size if fetched else None
    plain = urls.stable(url)
    filename = urllib.parse.unquote(urllib.parse.urlsplit(plain).path.rpartition("/")[2])
    local = url_to_path(plain) if plain.startswith("file:") else None
    if not filename.endswith(".whl"):
        return None, FoundSource(
            kind="archive", url=local or plain, sha256=digest, subdirectory=held.get("subdirectory")
        )
    file = FoundFile(filename=filename, url=None if local else plain, sha256=digest, size=None if local else size)
    return file, FoundSource(kind="wheel", url=local, sha256=digest) if local else None
