"""Core metadata of wheels: from the cache, the ``.metadata`` file (PEP 658), a Range of the wheel, or all of it."""

from __future__ import annotations

import contextlib
import hashlib
import lzma
import os
import struct
import tempfile
import threading
import zipfile
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

from pip._vendor.packaging.utils import canonicalize_name
from pip._vendor.packaging.version import Version

from kpack import urls
from kpack.errors import MachineError
from kpack.files import LARGEST_KEPT, read_bounded, vacate
from kpack.resolve.worker.files import DIGESTS, version_of
from kpack.resolve.worker.remote import ENOUGH, LocalFile, RemoteFile
from kpack.resolve.worker.requirements import Metadata, excess, invalid
from kpack.resolve.worker.web import Once, Web

if TYPE_CHECKING:
    from kpack.resolve.worker.files import IndexFile

LARGEST = 16 << 20
"""Bytes that METADATA may have."""

OK = 200
TRIALS = 3
"""Unannounced ``.metadata`` files asked of a host in vain before it is left alone."""


def beside(url: str) -> str:
    """Return where the ``.metadata`` file (PEP 658) of the file at ``url`` is."""
    address, question, query = url.partition("?")
    return f"{address}.metadata{question}{query}"


class BadMetadata(Exception):
    """A file whose metadata cannot be read or believed; the words follow "name version".

    ``kind`` is ``damaged`` when its bytes are at fault, ``invalid`` when it is what was written in it, and ``build``
    for an sdist that no build here would make a wheel of.
    """

    def __init__(self, words: str, *, damaged: bool = False, kind: str = "") -> None:
        super().__init__(words)
        self.words = words
        self.kind = kind or ("damaged" if damaged else "invalid")


def checked(metadata: Metadata, file: IndexFile) -> Metadata:
    """Return ``metadata`` if it is that of ``file``, and every requirement in it can be read.

    Raises:
        BadMetadata: it is not, or one cannot.

    """
    found = of_file(metadata, file)
    if (many := excess(found)) is not None:
        raise BadMetadata(f"has {many} in its METADATA, which is more than can be resolved")
    line = invalid(found)
    if line is not None:
        raise BadMetadata(f"asks for {line[:200]!r} in its METADATA, which is no valid requirement")
    return metadata


def of_file(metadata: Metadata, file: IndexFile) -> Metadata:
    """Return ``metadata`` if it is that of ``file``.

    The file name may have a local version more, as prebuilt wheels for one CUDA and one torch do: then that is the
    version, as for uv (pip takes such a wheel by URL and by path only).

    Raises:
        BadMetadata: it is not.

    """
    name = read_project(file.filename)
    version = version_of(metadata.version)
    if canonicalize_name(metadata.name) == name:
        if version == file.version:
            return metadata
        if file.is_wheel and version == Version(file.version.public):
            return metadata.as_version(str(file.version))
    says = f"{metadata.name} {metadata.version}".strip()[:200] or "nothing"
    raise BadMetadata(f"has a file {file.filename} whose METADATA says {says}")


def read_project(filename: str) -> str:
    """Return the normalised project name of a wheel's file name."""
    return str(canonicalize_name(filename.partition("-")[0]))


class MetadataStore:
    """Reads every wheel's metadata once, and keeps it on disk by the wheel's sha256 for good."""

    def __init__(self, web: Web, cache_dir: str) -> None:
        self._web = web
        self._folder = Path(cache_dir) / "metadata" if cache_dir else None
        self.unread: frozenset[str] = frozenset()
        """Names of which it does not matter whether their requirements can be read."""
        self._files: dict[str, IndexFile] = {}
        self._missed: dict[str, int] = {}
        self._lock = threading.Lock()
        self._read = Once(self._fetch)
        self._parsed = Once(self._parse)
        self.reads = 0

    def __call__(self, file: IndexFile) -> Metadata:
        """Return the metadata of the wheel ``file``.

        Raises:
            Unreachable: the host did not answer.
            BadMetadata: what it answered is no metadata of that wheel.

        """
        self._files.setdefault(file.url, file)
        return self._parsed(file.url)

    def headers(self, file: IndexFile) -> Metadata:
        """Return the metadata of the wheel ``file`` if it is its own, whatever its requirements look like.

        Raises:
            Unreachable, BadMetadata: as a call.

        """
        self._files.setdefault(file.url, file)
        return of_file(self._told(file.url), file)

    def known(self, file: IndexFile) -> Metadata | None:
        """Return the metadata if it was read already."""
        return self._parsed.known(file.url)

    def _parse(self, url: str) -> Metadata:
        file = self._files[url]
        if read_project(file.filename) in self.unread:
            return self.headers(file)
        return checked(self._told(url), file)

    def _told(self, url: str) -> Metadata:
        content = self._read(url)
        try:
            content.decode("utf-8")
        except UnicodeDecodeError as error:
            raise BadMetadata("has a METADATA that is not UTF-8, which pip cannot read") from error
        return Metadata.parse(content)

    def _fetch(self, url: str) -> bytes:
        file = self._files[url]
        kept = self._kept(file)
        if kept is not None:
            with contextlib.suppress(OSError):
                return read_bounded(kept, LARGEST_KEPT)
        self.reads += 1
        content = self._announced(file) or self.from_wheel(file)
        if kept is not None:
            keep(kept, content)
        return content

    def _kept(self, file: IndexFile) -> Path | None:
        digest = file.hashes.get("sha256")
        if self._folder is None or not digest or len(digest) != 64 or not digest.isalnum():
            return None
        # By host too: what one index says of a wheel is not what another one is believed to say.
        host = hashlib.sha256(urls.host(file.url).encode()).hexdigest()[:8]
        return self._folder / host / digest[:2] / digest[2:]

    def _announced(self, file: IndexFile) -> bytes | None:
        host = urls.host(file.url)
        if file.url.startswith("file:"):
            return None
        if file.metadata_hashes is None and self._missed.get(host, 0) >= TRIALS:
            return None
        headers = {"Accept-Encoding": "gzip", "Cache-Control": "no-store"}
        # A server may send the wheel itself, or a page without end: its first megabyte tells.
        answer = self._web.get(beside(file.url), headers, stop=ENOUGH)
        if answer.cut and b"Metadata-Version" in answer.body[:4096]:
            answer = self._web.get(beside(file.url), headers, stop=LARGEST)
        if answer.status != OK or answer.cut or b"Metadata-Version" not in answer.body[:4096]:
            with self._lock:
                self._missed[host] = self._missed.get(host, 0) + 1
            return None
        with self._lock:
            self._missed[host] = -TRIALS
        announced = file.metadata_hashes or {}
        wanted = next((name for name in DIGESTS if name in announced), "")
        if wanted and hashlib.new(wanted, answer.body, usedforsecurity=False).hexdigest() != announced[wanted]:
            words = "has a .metadata file that does not have the digest which the index announces"
            raise BadMetadata(words, damaged=True)
        if not wanted:
            if not answer.delimited:
                return None  # it may have been cut among its requirements
            try:
                of_file(Metadata.parse(answer.body), file)
            except BadMetadata:
                return None  # nobody vouches for it, and it is not of this wheel: the wheel itself is asked
        return answer.body

    def from_wheel(self, file: IndexFile) -> bytes:
        """Return METADATA as the wheel itself has it, read by Range.

        Raises:
            Unreachable: its host did not answer.
            BadMetadata: it is no readable wheel.

        """
        stream: LocalFile | RemoteFile
        stream = LocalFile(file.url) if file.url.startswith("file:") else RemoteFile(self._web, file.url)
        try:
            with stream, zipfile.ZipFile(stream) as archive:
                entries = [
                    entry
                    for entry in archive.infolist()
                    if entry.filename.endswith(".dist-info/METADATA") and entry.filename.count("/") == 1
                ]
                if len(entries) != 1:
                    raise BadMetadata(f"has a wheel with {len(entries)} METADATA files: {file.filename}")
                (entry,) = entries
                if entry.flag_bits & 1:
                    raise BadMetadata(f"has an encrypted wheel: {file.filename}")
                if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                    words = f"has a wheel that is compressed by a method which wheels do not use: {file.filename}"
                    raise BadMetadata(words)
                if entry.file_size > LARGEST:
                    raise BadMetadata(f"has a METADATA of more than {LARGEST} bytes in {file.filename}")
                return archive.read(entry)
        except UNREADABLE as error:
            words = f"has a file {file.filename} that is no zip archive, or a cut one ({_measure(file, stream)})"
            raise BadMetadata(words, damaged=True) from error


UNREADABLE = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    OSError,
    struct.error,
    ValueError,
    IndexError,
    KeyError,
    NotImplementedError,
    RuntimeError,
    OverflowError,
)
"""What the standard library's readers of archives raise at bytes that are none."""


def _measure(file: IndexFile, stream: LocalFile | RemoteFile) -> str:
    said = f"{stream.size} bytes"
    return said if file.size in {None, stream.size} else f"{said}, its index says {file.size}"


def keep(path: Path, content: bytes) -> None:
    """Write beside and rename; a cache that cannot be written is no reason to fail a lock."""
    with contextlib.suppress(OSError, MachineError):
        path.parent.mkdir(parents=True, exist_ok=True)
        vacate(path)
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=".part-")
        try:
            with os.fdopen(descriptor, "wb") as stream:
                stream.write(content)
            os.replace(name, path)  # noqa: PTH105
        except BaseException:
            os.unlink(name)  # noqa: PTH108
            raise
