"""What a distribution that did not come from an index's wheel is made from (PEP 610's record, as pip keeps it)."""

from __future__ import annotations

import urllib.parse
from typing import TYPE_CHECKING, Any

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
    # The record as PEP 610 writes it: pip's own classes changed their fields in 26.x, this did not.
    held = record.to_dict()
    if "vcs_info" in held:
        vcs = held["vcs_info"]
        return None, {
            "kind": "vcs",
            "url": f"{vcs['vcs']}+{without_credentials(record.url)}",
            "commit": vcs["commit_id"],
            "revision": vcs.get("requested_revision"),
            "subdirectory": held.get("subdirectory"),
        }
    if "dir_info" in held:
        return None, {"kind": "directory", "url": url_to_path(record.url.partition("#")[0])}
    digest = held["archive_info"].get("hashes", {}).get("sha256")
    plain = without_credentials(url)
    filename = urllib.parse.unquote(urllib.parse.urlsplit(plain).path.rpartition("/")[2])
    local = url_to_path(plain) if plain.startswith("file:") else None
    if not filename.endswith(".whl"):
        return None, {
            "kind": "archive",
            "url": local or plain,
            "sha256": digest,
            "subdirectory": held.get("subdirectory"),
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
