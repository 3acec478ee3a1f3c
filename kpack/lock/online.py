"""A second opinion on a lock: does the index report the locked sha256 by another road too.

The lock was made from the Simple API; here hashin asks the index's JSON API. Its import starts ``python -m pip`` and
reads ``INDEX_URL``, and where a digest is missing it would download to a predictable temporary file: it is imported
only when it is used, and never sees a file whose sha256 the index does not report.
"""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import threading
import urllib.error
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from packaging.utils import parse_wheel_filename
from packaging.version import Version

from kpack import urls
from kpack.errors import MachineError, NetworkError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kpack.lock import Lock
    from kpack.resolve.model import Source, Wheel

WORKERS = 8
"""Projects asked at once."""

_TIMEOUT = 30.0
_OK_TO_MISS = "the index has no JSON API, or does not know the project"


@dataclass(frozen=True, slots=True, kw_only=True)
class Doubt:
    """A locked file that the index does not confirm."""

    file: str
    """The wheel's file name, or the source's URL."""
    what: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Opinion:
    """What the index said."""

    confirmed: tuple[str, ...]
    """File names whose sha256 the index reports."""
    doubts: tuple[Doubt, ...]
    """Files that the index reports otherwise: somebody altered the lock or the index."""
    unasked: tuple[Doubt, ...]
    """Files that nobody could be asked about, and why."""


@dataclass(frozen=True, slots=True)
class _Question:
    root: str
    """Scheme and host of the index."""
    project: str
    version: Version
    files: list[tuple[str, str]] = field(default_factory=list)
    """File name and sha256."""


def check(lock: Lock, *, index_url: str | None = None) -> Opinion:
    """Ask the index of each locked file whether its JSON API reports the locked sha256.

    ``index_url`` takes the place of every index in the lock. A wheel that kpack built is checked by its sdist.

    Raises:
        NetworkError: an index cannot be reached.
        MachineError: hashin cannot be used.

    """
    questions, unasked = _questions(lock, index_url)
    hashin = _hashin()
    confirmed: list[str] = []
    doubts: list[Doubt] = []
    with _timeout(), ThreadPoolExecutor(WORKERS, thread_name_prefix="kpack-online") as pool:
        for question, answer in zip(questions, pool.map(lambda q: _ask(hashin, q), questions), strict=True):
            for name, sha256 in question.files:
                if isinstance(answer, str):
                    unasked.append(Doubt(file=name, what=answer))
                elif sha256 in answer:
                    confirmed.append(name)
                else:
                    doubts.append(
                        Doubt(
                            file=name,
                            what=f"the lock says sha256 {sha256}; the index's JSON API reports {len(answer)} other "
                            f"{'digest' if len(answer) == 1 else 'digests'} for {question.project} {question.version}",
                        )
                    )
    return Opinion(
        confirmed=tuple(sorted(confirmed)),
        doubts=tuple(sorted(doubts, key=lambda doubt: doubt.file)),
        unasked=tuple(sorted(unasked, key=lambda doubt: doubt.file)),
    )


def _questions(lock: Lock, index_url: str | None) -> tuple[list[_Question], list[Doubt]]:
    found: dict[tuple[str, str, str], _Question] = {}
    unasked: dict[str, Doubt] = {}
    indexes = {pin.wheel.index for target in lock.targets for pin in target.packed} - {None}
    # The lock does not say where an sdist was listed; no private name may be asked of a public index.
    common = _default_index() if not indexes else indexes.pop() if len(indexes) == 1 else None
    for project, version, wheel, source in _files(lock):
        name, sha256 = wheel.filename, wheel.sha256
        if source is not None:
            if source.kind != "sdist" or source.sha256 is None:
                unasked[name] = Doubt(file=name, what=f"kpack built it from a {source.kind}")
                continue
            name, sha256 = source.url.rpartition("/")[2], source.sha256
        index = index_url or wheel.index or (common if source is not None else None)
        if index is None:
            what = "its URL is its own, not an index's" if source is None else "which index has its source is not known"
            unasked[name] = Doubt(file=name, what=what)
            continue
        root = urls.server(index)
        question = found.setdefault((root, project, str(version)), _Question(root, project, version))
        if (name, sha256) not in question.files:
            question.files.append((name, sha256))
    return list(found.values()), list(unasked.values())


def _files(lock: Lock) -> Iterator[tuple[str, Version, Wheel, Source | None]]:
    """Yield project, version, wheel and source of everything that a pack of the lock holds."""
    for target in lock.targets:
        for pin in target.packed:
            yield str(pin.name), pin.version, pin.wheel, pin.source
        if target.accelerator is not None:
            name, version, _, _ = parse_wheel_filename(target.accelerator.filename)
            yield str(name), version, target.accelerator, None


def _default_index() -> str:
    from pip._internal.models.index import PyPI

    return os.environ.get("KPACK_INDEX_URL") or str(PyPI.simple_url)


def _hashin() -> Any:
    try:
        import hashin
    except (subprocess.CalledProcessError, AssertionError, OSError, ValueError) as error:
        raise MachineError(
            "hashin, which asks the index, does not start",
            where=type(error).__name__,
            next="it needs pip in kpack's own Python, and no empty INDEX_URL in the environment",
        ) from error
    return hashin


def _ask(hashin: Any, question: _Question) -> frozenset[str] | str:
    """Return the digests that the index reports for a version, or why there are none to compare with."""
    try:
        data = hashin.get_package_data(question.project, question.root)
        releases = data["releases"]
        version = next(text for text in releases if _same(text, question.version))
        # What has no sha256 would be downloaded by hashin to be hashed.
        releases[version] = [file for file in releases[version] if file.get("digests", {}).get("sha256")]
        found = hashin.get_package_hashes(
            question.project,
            version,
            algorithm="sha256",
            lookup_memory={question.project: data},
            index_url=question.root,
        )
        return frozenset(str(item["hash"]) for item in found["hashes"])
    except hashin.PackageNotFoundError as error:
        _close(error)
        return _OK_TO_MISS
    except (StopIteration, hashin.PackageError, KeyError, TypeError, AttributeError) as error:
        _close(error)
        if "Download error" in str(error):
            return f"the index's JSON API refused ({str(error).partition(' on ')[0].removeprefix('Download error. ')})"
        return f"the index's JSON API has no files of {question.project} {question.version}"
    except ValueError:
        return "what the index answers is no JSON"
    except (urllib.error.URLError, OSError) as error:
        reason = getattr(error, "reason", error)
        raise NetworkError(
            f"the index cannot be asked: {getattr(reason, 'strerror', None) or type(reason).__name__}",
            where=question.root,
            next="try again when it answers; `kpack verify` without --online needs no network",
        ) from error


def _close(error: Exception) -> None:
    """Close the answer of a server that hashin raised ``error`` for: it leaves it open, which Python 3.14 warns of."""
    if isinstance(error.__context__, urllib.error.HTTPError):
        error.__context__.close()


def _same(text: str, version: Version) -> bool:
    try:
        return Version(text) == version
    except ValueError:
        return False


_TIMEOUT_LOCK = threading.Lock()


@contextlib.contextmanager
def _timeout() -> Iterator[None]:
    """Give the connections that urllib makes a limit; it has no other place for one."""
    with _TIMEOUT_LOCK:
        before = socket.getdefaulttimeout()
        socket.setdefaulttimeout(_TIMEOUT)
        try:
            yield
        finally:
            socket.setdefaulttimeout(before)
