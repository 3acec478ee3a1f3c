"""Metadata of sdists: what PKG-INFO promises (PEP 643), what was built before; only then pip builds."""

from __future__ import annotations

import contextlib
import hashlib
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from kpack.files import LARGEST_KEPT, read_bounded
from kpack.resolve.worker.files import version_of
from kpack.resolve.worker.metadata import UNREADABLE, BadMetadata, keep
from kpack.resolve.worker.recipe import Recipe
from kpack.resolve.worker.requirements import Metadata, invalid
from kpack.resolve.worker.web import Once

if TYPE_CHECKING:
    from kpack.resolve.worker.files import IndexFile
    from kpack.resolve.worker.web import Web

LARGEST_SDIST = 1 << 30
"""Bytes that an sdist may have."""

_NEEDED = ("requires-dist", "provides-extra", "requires-python")


class SdistMetadata:
    """Knows the metadata of an index's sdists that need no build."""

    def __init__(self, web: Web, cache_dir: str) -> None:
        self._web = web
        self._folder = Path(cache_dir) / "metadata-sdist" if cache_dir else None
        self._files: dict[str, IndexFile] = {}
        self._refused: dict[str, str] = {}
        self._read = Once(self._of)

    def known(self, file: IndexFile) -> Metadata | None:
        """Return the metadata if it was built before, or if PKG-INFO says that a build would not change it.

        Raises:
            BadMetadata: the file does not have the digest that its index gives, or is no archive, or was refused.
            Unreachable: its host did not answer.

        """
        if file.url in self._refused:
            raise BadMetadata(self._refused[file.url])
        path = self._path(file)
        if path is not None:
            with contextlib.suppress(OSError):
                return Metadata.parse(read_bounded(path, LARGEST_KEPT))
        found = self.promised(file)
        if found is not None:
            self.keep(file, found)
        return found

    def recipe(self, file: IndexFile) -> Recipe:
        """Return what the texts of an sdist say; none of its code runs.

        Raises:
            BadMetadata, Unreachable: as `known`.

        """
        self._files.setdefault(file.url, file)
        return self._read(file.url)

    def refuse(self, file: IndexFile, words: str) -> None:
        """Take ``file`` for one that is of no use from now on; ``words`` say why, behind name and version."""
        self._refused[file.url] = words

    def keep(self, file: IndexFile, metadata: Metadata) -> None:
        """Keep what was found out about ``file`` for this interpreter."""
        path = self._path(file)
        if path is not None:
            keep(path, metadata.dumps())

    def _path(self, file: IndexFile) -> Path | None:
        digest = file.hashes.get("sha256", "")
        if self._folder is None or len(digest) != 64 or not digest.isalnum():
            return None
        # A build backend may look at the interpreter that runs it.
        return self._folder / digest[:2] / f"{digest[2:]}-{sys.implementation.cache_tag}-{sys.platform}"

    def _of(self, url: str) -> Recipe:
        """Download the file at ``url`` once, check its digest, and return its texts."""
        file = self._files[url]
        with tempfile.TemporaryFile() as stream:
            size = self._web.save(url, stream, limit=LARGEST_SDIST)
            stream.seek(0)
            digest = file.hashes.get("sha256")
            if digest and hashlib.file_digest(stream, "sha256").hexdigest() != digest:
                words = f"has a file {file.filename} that does not have the sha256 which its index gives"
                raise BadMetadata(words, damaged=True)
            stream.seek(0)
            try:
                return Recipe.of(stream)
            except (*UNREADABLE, tarfile.TarError) as error:
                words = f"has a file {file.filename} that is no readable archive ({size} bytes)"
                raise BadMetadata(words, damaged=True) from error

    def promised(self, file: IndexFile) -> Metadata | None:
        """Return the metadata if PKG-INFO says that a build would not change it; raises as `known`."""
        text = self.recipe(file).texts.get("PKG-INFO")
        if text is None:
            return None
        content = text.encode()
        fields = Metadata.fields(content)
        version = tuple(
            int(part) for part in (fields.get("metadata-version") or ["1.0"])[0][:12].split(".") if part.isdecimal()
        )
        dynamic = {value.lower() for value in fields.get("dynamic", ())}
        if version < (2, 2) or dynamic & {*_NEEDED, "version", "name"}:
            return None
        metadata = Metadata.parse(content)
        if version_of(metadata.version) != file.version:
            raise BadMetadata(f"has a file {file.filename} whose PKG-INFO says version {metadata.version[:200]}")
        line = invalid(metadata)
        if line is not None:
            raise BadMetadata(f"asks for {line[:200]!r} in its PKG-INFO, which is no valid requirement")
        return metadata
