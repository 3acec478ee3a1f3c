"""Bytes of one file to Kaggle: a resumable upload that goes on where it broke, in this process or in the next.

Kaggle hands out an address of Google Cloud Storage's resumable protocol: ``PUT`` the bytes; after a break, ``PUT``
nothing with ``Content-Range: bytes */SIZE`` and read from the ``Range`` of answer 308 how many have arrived. The
client's own uploader starts over after a broken connection and says nothing while it runs; this one does neither.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from kpack.errors import IntegrityError, MachineError, NetworkError
from kpack.files import open_regular, recalled, vacate
from kpack.publish.client import RefusedError, filled

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from kpack.publish.client import Kaggle

_PIECE = 1 << 20
_TIMEOUT = (30.0, 300.0)
_EXPIRES = 6 * 24 * 3600
"""Seconds: Google keeps an unfinished upload for a week."""

_STALLS = 6
"""Breaks in a row, without one more byte having arrived, after which the upload is given up for now."""

_RESTARTS = 3
"""Uploads that Kaggle opens and then does not know, after which it is not asked for another one."""

_GONE = frozenset({404, 410})
_TRANSIENT = frozenset({408, 429, 500, 502, 503, 504})


@dataclass(frozen=True, slots=True)
class Begun:
    """An upload that Kaggle has opened; ``token`` and ``url`` are as good as credentials for it."""

    token: str
    url: str
    at: float
    """Seconds since the epoch."""
    size: int
    posted: int | None = None
    """The dataset's version at the time when a new version was asked for with this file; None before that."""


class UploadMemory:
    """Where an upload is remembered between two runs: a file that only its owner can read."""

    def __init__(self, folder: Path, *key: str) -> None:
        self.path = folder / (hashlib.sha256("\0".join(key).encode()).hexdigest()[:32] + ".json")

    def recall(self, size: int) -> Begun | None:
        """Return what was begun with a file of that size and can still be gone on with."""
        try:
            raw = recalled(self.path)
            begun = Begun(**raw)
            right = all(isinstance(raw[key], str) for key in ("token", "url")) and isinstance(raw["posted"], int | None)
            return begun if right and begun.size == size and 0 <= time.time() - begun.at < _EXPIRES else None
        except (ValueError, TypeError, KeyError):
            return None

    def keep(self, begun: Begun) -> None:
        """Write it down.

        Raises:
            MachineError: the cache cannot be written.

        """
        part = self.path.with_suffix(".part")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            vacate(self.path)
            vacate(part)
            part.unlink(missing_ok=True)
            descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
                json.dump(asdict(begun), stream)
            part.replace(self.path)
        except OSError as error:
            raise MachineError(f"the cache cannot be used: {error.strerror}", where=str(self.path.parent)) from error

    def forget(self) -> None:
        """Remove it: the file has become part of a dataset, or the upload cannot be gone on with."""
        self.path.unlink(missing_ok=True)


def upload(
    kaggle: Kaggle, path: Path, name: str, memory: UploadMemory, *, on_bytes: Callable[[int], None] | None = None
) -> Begun:
    """Send the file at ``path`` as ``name`` and return the upload, whose token stands for it.

    ``on_bytes`` is told of bytes that have gone, those of an earlier run included, and with a negative number of
    bytes that have to go again.

    Raises:
        RefusedError: Kaggle does not take it.
        NetworkError: Kaggle could not be reached for long; the next call goes on from there.
        IntegrityError: the file changed while it was sent.

    """
    status = path.stat()
    size = status.st_size
    told = _Told(on_bytes or (lambda _: None))
    begun = memory.recall(size)
    arrived = None if begun else 0
    furthest = stalls = opened = 0
    while True:
        if begun is None:
            opened += 1
            begun = _begin(kaggle, name, size, int(status.st_mtime))
            memory.keep(begun)
            arrived = furthest = 0
        sender = _Sender(kaggle, begun, path, name, told)
        try:
            if arrived is None:
                arrived = sender.ask()
            told.at(arrived)
            if arrived > furthest:
                furthest, stalls = arrived, 0
            if arrived < size:
                sender.send(arrived)
        except _BrokenError as broken:
            arrived = None
            stalls += 1
            if stalls >= _STALLS:
                raise NetworkError(
                    f"the upload broke {stalls} times in a row: {broken}",
                    where=name,
                    next="run the same command again: it goes on where this broke off",
                ) from None
            time.sleep(min(0.25 * 2**stalls, 30.0))
            continue
        except _ExpiredError:
            memory.forget()
            if opened == _RESTARTS:
                raise RefusedError(
                    f"it opened {opened} uploads and knows none of them",
                    status=200,
                    where=name,
                    next="run the same command again later",
                ) from None
            begun = None
            continue
        told.at(size)
        if (path.stat().st_size, path.stat().st_mtime_ns) != (size, status.st_mtime_ns):
            memory.forget()
            raise IntegrityError("the file changed while it was sent", where=str(path), next="push it again")
        return begun


def _begin(kaggle: Kaggle, name: str, size: int, modified: int) -> Begun:
    from kagglesdk.blobs.types.blob_api_service import ApiBlobType, ApiStartBlobUploadRequest

    request = filled(
        ApiStartBlobUploadRequest,
        type=ApiBlobType.DATASET,
        name=name,
        content_length=size,
        last_modified_epoch_seconds=modified,
    )
    answer = kaggle.ask(lambda client: client.blobs.blob_api_client.start_blob_upload(request), where=name)
    if not answer.token or not answer.create_url:
        raise RefusedError("it opened no upload", status=200, where=name)
    return Begun(token=answer.token, url=answer.create_url, at=time.time(), size=size)


class _BrokenError(Exception):
    """The connection broke, or the server is busy: ask how far it is and go on."""


class _ExpiredError(Exception):
    """The server does not know this upload any more."""


class _Told:
    """Tells the listener how far the upload is, forwards and back."""

    def __init__(self, listener: Callable[[int], None]) -> None:
        self._listener = listener
        self._done = 0

    def at(self, done: int) -> None:
        """Tell that so many bytes have gone."""
        if done != self._done:
            self._listener(done - self._done)
        self._done = done


class _Sender:
    """One opened upload."""

    def __init__(self, kaggle: Kaggle, begun: Begun, path: Path, name: str, told: _Told) -> None:
        self.kaggle, self.begun, self.path, self.name, self.told = kaggle, begun, path, name, told

    def ask(self) -> int:
        """Return how many bytes have arrived."""
        return self._put(b"", {"Content-Range": f"bytes */{self.begun.size}"})

    def send(self, start: int) -> None:
        """Send all bytes from ``start`` on; fewer that arrive are a break like any other."""
        size = self.begun.size
        headers = {"Content-Range": f"bytes {start}-{size - 1}/{size}"} if start else {}
        if self._put(_Rest(self.path, start, size, self.told), headers) < size:
            raise _BrokenError("bytes are missing at the other end")

    def _put(self, body: Any, headers: dict[str, str]) -> int:
        import requests

        try:
            answer = requests.put(
                self.begun.url,
                data=body,
                headers={"Content-Type": "application/octet-stream", **headers},
                timeout=_TIMEOUT,
                allow_redirects=False,
            )
        except requests.RequestException as error:
            if isinstance(error, ValueError):  # no address at all, which is not shown: it may be a signed one
                raise RefusedError(
                    f"it gave an address that nothing can be sent to ({type(error).__name__})",
                    status=200,
                    where=self.name,
                ) from None
            raise _BrokenError(type(error).__name__) from None
        if answer.status_code in (200, 201):
            return self.begun.size
        if answer.status_code == 308:
            found = re.fullmatch(r"bytes=0-([0-9]{1,18})", answer.headers.get("Range", ""))
            return min(int(found[1]) + 1, self.begun.size) if found else 0
        if answer.status_code in _GONE:
            raise _ExpiredError
        if answer.status_code in _TRANSIENT:
            raise _BrokenError(f"HTTP {answer.status_code}")
        raise RefusedError(self.kaggle.scrub(answer.reason or "the upload"), status=answer.status_code, where=self.name)


class _Rest:
    """The bytes of a file from ``start`` on, as a body of known length."""

    def __init__(self, path: Path, start: int, size: int, told: _Told) -> None:
        self.path, self.start, self.size, self.told = path, start, size, told

    def __len__(self) -> int:
        return self.size - self.start

    def __iter__(self) -> Iterator[bytes]:
        done = self.start
        with open_regular(self.path) as stream:
            stream.seek(done)
            while done < self.size and (piece := stream.read(min(_PIECE, self.size - done))):
                yield piece
                done += len(piece)
                self.told.at(done)
