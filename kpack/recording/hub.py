"""The Hugging Face cache: which files of which commit a run has brought."""

from __future__ import annotations

import glob
import re
from typing import TYPE_CHECKING

from kpack.environment.template import CheckpointEntry
from kpack.hubs import is_commit

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_FOLDER = re.compile(r"(model|dataset|space)s--(.+)--(.+)")


def repositories(root: Path) -> Iterator[tuple[Path, CheckpointEntry]]:
    """Yield the repositories in the caches below ``root``, each with its folder.

    The entry is pinned to the commit where the code asked for ``main``; it names another branch or tag as it was asked
    for, since the Hub's client looks it up by that name.
    """
    for folder in sorted(root.rglob("*s--*--*")):
        match = _FOLDER.fullmatch(folder.name)
        if match is None or not (folder / "snapshots").is_dir():
            continue
        kind = "" if match[1] == "model" else f"{match[1]}s/"
        names = {
            path.read_text(encoding="utf-8").strip(): path.relative_to(folder / "refs").as_posix()
            for path in sorted((folder / "refs").rglob("*"), key=lambda path: path.name == "main")
            if path.is_file()
        }
        for snapshot in sorted((folder / "snapshots").iterdir()):
            files = sorted(path.relative_to(snapshot).as_posix() for path in snapshot.rglob("*") if path.is_file())
            if files and is_commit(snapshot.name):
                name = names.get(snapshot.name, "main")
                revision = snapshot.name if name == "main" else name.replace("/", "%2F")
                url = f"hf://{kind}{match[2]}/{match[3]}@{revision}"
                yield folder, CheckpointEntry(url=url, include=tuple(map(glob.escape, files)))


def address(url: str, endpoint: str) -> str:
    """Return the ``hf://`` address of a file that was asked for at the Hub itself; any other URL as it is."""
    match = re.fullmatch(
        rf"{re.escape(endpoint)}/((?:datasets/|spaces/)?[^/]+/[^/]+)/resolve/([^/?]+)/([^?]+)(?:\?.*)?", url
    )
    return url if match is None else f"hf://{match[1]}@{match[2]}/{match[3]}"
