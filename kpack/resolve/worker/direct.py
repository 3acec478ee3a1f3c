"""What a distribution that did not come from an index's wheel is made from (PEP 610's record, as pip keeps it)."""

from __future__ import annotations

import urllib.parse
from typing import TYPE_CHECKING, Any

from pip._internal.models.direct_url import ArchiveInfo, DirInfo, VcsInfo
from pip._internal.utils.urls import url_to_path

from kpack.resolve.worker.web import without_credentials

if TYPE_CHECKING:
    from kpack.resolve.worker.files import File


def from_sdist(file: File) -> dict[str, Any]:
    """Describe an sdist of an index."""
    return {"kind": "sdist", "url": file.url, "sha256": file.hashes.get("sha256")}


def from_record(url: str, record: Any) -> tuple[dict[str, Any] | None, dict[str, Any] | None]:
    """Return (file, source) for a direct URL: a file for a remote wheel, else a source; both for a local wheel.

    Paths are absolute; the parent makes them relative.
    """
    info = record.info
    if isinstance(info, VcsInfo):
        return None, {
            "kind": "vcs",
            "url": f"{info.vcs}+{without_credentials(record.url)}",
            "commit": info.commit_id,
            "revision": info.requested_revision,
            "subdirectory": record.subdirectory,
        }
    if isinstance(info, DirInfo):
        return None, {"kind": "directory", "url": url_to_path(record.url.partition("#")[0])}
    assert isinstance(info, ArchiveInfo)
    digest = (info.hashes or {}).get("sha256")
    plain = without_credentials(url)
    filename = urllib.parse.unquote(urllib.parse.urlsplit(plain).path.rpartition("/")[2])
    local = url_to_path(plain) if plain.startswith("file:") else None
    if not filename.endswith(".whl"):
        return None, {
            "kind": "archive",
            "url": local or plain,
            "sha256": digest,
            "subdirectory": record.subdirectory,
        }
    file = {
        "filename": filename,
        "url": None if local else plain,
        "sha256": digest,
        "size": None,
        "upload_time": None,
        "index": None,
    }
    return file, {"kind": "wheel", "url": local, "sha256": digest} if local else None
