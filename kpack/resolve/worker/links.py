"""Indexes that are one flat page of links, or one folder: which of their files are whose."""

from __future__ import annotations

import os
import urllib.parse
from pathlib import Path
from typing import TYPE_CHECKING

from pip._internal.utils.urls import path_to_url, url_to_path
from pip._vendor.packaging.utils import canonicalize_name

from kpack import urls
from kpack.resolve.worker.files import SDIST_SUFFIXES, Row
from kpack.resolve.worker.web import Unreachable

if TYPE_CHECKING:
    from collections.abc import Iterable


class Links:
    """The files of a flat page or a folder, by project."""

    def __init__(self, rows: Iterable[Row], base: str) -> None:
        self.base = base
        """The URL that theirs are relative to."""
        self._wheels: dict[str, list[Row]] = {}
        self._sdists: list[Row] = []
        for row in rows:
            filename = row.get("filename")
            if type(filename) is not str:
                continue
            if filename.endswith(".whl"):
                self._wheels.setdefault(str(canonicalize_name(filename.partition("-")[0])), []).append(row)
            elif filename.endswith(SDIST_SUFFIXES):
                self._sdists.append(row)

    def __bool__(self) -> bool:
        """Tell whether there is any file that could be somebody's."""
        return bool(self._wheels or self._sdists)

    def rows(self, name: str) -> list[Row]:
        """Return the wheels of the normalised ``name``, and every sdist: where its name ends only a reader can tell."""
        return [*self._wheels.get(name, ()), *self._sdists]


def folder(url: str) -> Links | None:
    """Return what lies in the folder at a ``file:`` URL; None when no folder is there.

    Raises:
        Unreachable: it cannot be read.

    """
    path = url_to_path(url)
    if not Path(path).is_dir():
        return None
    try:
        with os.scandir(path) as entries:
            names = sorted(entry.name for entry in entries if entry.is_file())
    except OSError as error:
        raise Unreachable(url, f"its folder cannot be read: {error.strerror}") from error
    base = path_to_url(path)
    rows = [{"filename": name, "url": f"{base}/{urllib.parse.quote(name)}"} for name in names]
    return Links(rows, f"{base}/")


def none_on(url: str) -> Unreachable:
    """Return the error for a page that should link to files and does not."""
    words = "its page links to no wheel and no sdist"
    if not url.startswith("file:"):
        words += f': is it a page of links? For a Simple index write format = "simple" beside {urls.shown(url)}'
    return Unreachable(url, words)
