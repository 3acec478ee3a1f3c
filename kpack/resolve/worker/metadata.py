"""Core metadata of wheels: from the cache, the ``.metadata`` file (PEP 658), a Range of the wheel, or all of it."""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import tempfile
import threading
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

from pip._vendor.packaging.utils import canonicalize_name

from kpack.resolve.worker.files import version_of
from kpack.resolve.worker.requirements import Metadata, invalid
from kpack.resolve.worker.web import Answer, Once, Unreachable, Web, host_of

if TYPE_CHECKING:
    from kpack.resolve.worker.files import File

TAIL = 1 << 16
"""Bytes read from the end of a wheel first: its central directory, and most often METADATA too."""

LARGEST = 16 << 20
"""Bytes that METADATA may have."""

OK, PARTIAL = 200, 206
TRIALS = 3
"""Unannounced ``.metadata`` files asked of a host in vain before it is left alone."""


class BadMetadata(Exception):
    """A wheel whose metadata cannot be read or believed."""


class MetadataStore:
    """Reads every wheel's metadata once, and keeps it on disk by the wheel's sha256 for good."""

    def __init__(self, web: Web, cache_dir: str) -> None:
        self._web = web
        self._folder = Path(cache_dir) / "metadata" if cache_dir else None
        self._files: dict[str, File] = {}
        self._missed: dict[str, int] = {}
        self._lock = threading.Lock()
        self._read = Once(self._fetch)
        self._parsed = Once(self._parse)
        self.reads = 0

    def __call__(self, file: File) -> Metadata:
        """Return the metadata of the wheel ``file``.

        Raises:
            Unreachable: the host did not answer.
            BadMetadata: what it answered is no metadata of that wheel.

        """
        self._files.setdefault(file.url, file)
        return self._parsed(file.url)

    def known(self, file: File) -> Metadata | None:
        """Return the metadata if it was read already."""
        return self._parsed.known(file.url)

    def _parse(self, url: str) -> Metadata:
        file = self._files[url]
        metadata = Metadata.parse(self._read(url))
        name = canonicalize_name(file.filename.partition("-")[0])
        if canonicalize_name(metadata.name) != name or version_of(metadata.version) != file.version:
            raise BadMetadata(f"{file.filename} says that it is {metadata.name} {metadata.version}")
        line = invalid(metadata)
        if line is not None:
            raise BadMetadata(f"Requires-Dist {line!r} is no valid requirement")
        return metadata

    def _fetch(self, url: str) -> bytes:
        file = self._files[url]
        kept = self._kept(file)
        if kept is not None and kept.exists():
            return kept.read_bytes()
        self.reads += 1
        content = self._announced(file) or self.from_wheel(file)
        if kept is not None:
            keep(kept, content)
        return content

    def _kept(self, file: File) -> Path | None:
        digest = file.hashes.get("sha256")
        if self._folder is None or not digest or len(digest) != 64 or not digest.isalnum():
            return None
        # By host too: what one index says of a wheel is not what another one is believed to say.
        host = hashlib.sha256(host_of(file.url).encode()).hexdigest()[:8]
        return self._folder / host / digest[:2] / digest[2:]

    def _announced(self, file: File) -> bytes | None:
        host = host_of(file.url)
        if file.url.startswith("file:"):
            return None
        if file.metadata_hashes is None and self._missed.get(host, 0) >= TRIALS:
            return None
        answer = self._web.get(file.url + ".metadata", {"Accept-Encoding": "gzip", "Cache-Control": "no-store"})
        if answer.status != OK or b"Metadata-Version" not in answer.body[:4096]:
            with self._lock:
                self._missed[host] = self._missed.get(host, 0) + 1
            return None
        with self._lock:
            self._missed[host] = -TRIALS
        wanted = (file.metadata_hashes or {}).get("sha256")
        if wanted and hashlib.sha256(answer.body).hexdigest() != wanted:
            raise BadMetadata(f"the metadata of {file.filename} does not have the digest that the index announces")
        return answer.body

    def from_wheel(self, file: File) -> bytes:
        """Return METADATA as the wheel itself has it, read by Range."""
        try:
            with zipfile.ZipFile(RemoteFile(self._web, file.url)) as archive:
                names = [
                    name for name in archive.namelist() if name.endswith(".dist-info/METADATA") and name.count("/") == 1
                ]
                if len(names) != 1:
                    raise BadMetadata(f"{file.filename} has {len(names)} METADATA files")
                if archive.getinfo(names[0]).file_size > LARGEST:
                    raise BadMetadata(f"METADATA of {file.filename} has more than {LARGEST} bytes")
                return archive.read(names[0])
        except (zipfile.BadZipFile, NotImplementedError, EOFError) as error:
            raise BadMetadata(f"{file.filename} is no readable wheel") from error


class RemoteFile(io.RawIOBase):
    """A file behind HTTP Range, as far as it was read; the whole of it where Range is not understood."""

    def __init__(self, web: Web, url: str) -> None:
        self._web, self._url = web, url
        self._position = 0
        self._parts: list[tuple[int, bytes]] = []
        answer = self._get(f"bytes=-{TAIL}")
        if answer.status == PARTIAL:
            span, _, total = answer.content_range.removeprefix("bytes ").partition("/")
            first = span.partition("-")[0]
            if not (first.isdecimal() and total.isdecimal() and int(first) + len(answer.body) == int(total)):
                raise Unreachable(url, "its answer to a Range does not say which bytes it holds")
            self._size = int(total)
            self._parts.append((int(first), answer.body))
        elif answer.status == OK:
            self._size = len(answer.body)
            self._parts.append((0, answer.body))
        else:
            raise Unreachable(url, f"it answered HTTP {answer.status} for a file that its index lists", answer.status)

    def _get(self, span: str) -> Answer:
        return self._web.get(self._url, {"Range": span, "Accept-Encoding": "identity", "Cache-Control": "no-store"})

    def seekable(self) -> bool:
        """Yes."""
        return True

    def readable(self) -> bool:
        """Yes."""
        return True

    def tell(self) -> int:
        """Return the position."""
        return self._position

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move, as `io.IOBase.seek`."""
        self._position = (0, self._position, self._size)[whence] + offset
        return self._position

    def read(self, size: int = -1) -> bytes:
        """Return up to ``size`` bytes, fetching what was not read before."""
        start = self._position
        end = self._size if size < 0 else min(self._size, start + size)
        if end <= start:
            return b""
        for offset, body in self._parts:
            if offset <= start and end <= offset + len(body):
                self._position = end
                return body[start - offset : end - offset]
        reach = min(self._size, max(end, start + TAIL))
        answer = self._get(f"bytes={start}-{reach - 1}")
        if answer.status == PARTIAL and len(answer.body) == reach - start:
            self._parts.append((start, answer.body))
        elif answer.status == OK and len(answer.body) == self._size:
            self._parts.append((0, answer.body))
        else:
            raise Unreachable(self._url, f"it answered HTTP {answer.status} to a Range", answer.status)
        return self.read(size)


def keep(path: Path, content: bytes) -> None:
    """Write beside and rename; a cache that cannot be written is no reason to fail a lock."""
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=".part-")
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(content)
        os.replace(name, path)  # noqa: PTH105
