"""What is asked of a fetch, what comes back, and what it tells on the way."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from kpack.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    Listener = Callable[["Event"], object]
    """Is told of events from several threads, one at a time for each call of `Fetcher.fetch`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Download:
    """One file to have."""

    name: str
    """How messages call it: a wheel's file name, a checkpoint's path."""
    urls: tuple[str, ...] = field(repr=False)
    """Mirrors, tried in order: https, http, file (absolute) or data. May hold credentials; they are never shown."""
    sha256: str | None
    """64 lower-case hexadecimal digits; None to take what comes and report its digest."""
    size: int | None = None
    """Bytes."""
    headers: tuple[tuple[str, str, str], ...] = field(default=(), repr=False)
    """(URL, name, value): request headers for one of the URLs, such as an Authorization; sent to no other host."""
    page: str | None = field(default=None, repr=False)
    """The index page that lists the file: asked for a fresh signature where a URL is refused without one."""
    anew: str | None = None
    """What to do to have another file of that name; None to let go of every pin."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """A file that is there now."""

    path: Path
    """In the cache, or the local file itself for a ``file:`` URL."""
    sha256: str
    size: int
    """Bytes."""
    hashed: bool
    """Its bytes were hashed in this process; if not, it was in the cache and the consumer has to hash what it reads."""
    delimited: bool = True
    """The end of the file was known: by a size, a digest, or the server's framing (RFC 9112, section 6.3). If not, it
    came until the connection closed, and a cut would look the same."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cached:
    """The file is in the cache."""

    download: Download
    size: int
    """Bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Announced:
    """What is about to be fetched, and for what, in a sentence."""

    sentence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Making:
    """Something is made of what was fetched, which may take long; until the next event nothing is fetched."""

    title: str
    """What is being done: ``building mamba-ssm 2.2.4``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """The file is asked for, or read where it is."""

    download: Download


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """Another process fetches the same file."""

    download: Download


@dataclass(frozen=True, slots=True, kw_only=True)
class Resumed:
    """An earlier run left a part of the file."""

    download: Download
    received: int
    """Bytes that need not come again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """So much of the file is on disk."""

    download: Download
    received: int
    """Bytes; less than before when the file has to come anew."""
    total: int | None
    """Bytes of the whole file, as the server or the lock says."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Retrying:
    """It went wrong, and is tried again."""

    download: Download
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PassedOver:
    """One URL failed; the next one is asked."""

    download: Download
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """The file is there, and the right one."""

    download: Download
    size: int
    """Bytes."""


Event = Announced | Making | Cached | Started | Waiting | Resumed | Received | Retrying | PassedOver | Finished
"""What happens to one download, or is about to happen to several."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long to wait and how often to try again; times in seconds."""

    connect: float = 15.0
    stall: float = 30.0
    """Without a byte, or with next to none, for this long a connection is given up."""
    slowest: float = 1024.0
    """Bytes a second: below that over a whole ``stall`` a connection counts as stalled, and what came does not renew
    the attempts. ``KPACK_FETCH_SLOWEST``."""
    total: float = 6 * 3600.0
    """For one file from one URL, every attempt counted. ``KPACK_FETCH_SECONDS``."""
    attempts: int = 5
    """Tries in a row without progress."""
    backoff: float = 0.5
    """Longest pause after the first failure; doubled with each further one up to ``longest_backoff``."""
    longest_backoff: float = 20.0

    @classmethod
    def of_environment(cls, environ: Mapping[str, str] = os.environ) -> Patience:
        """Return the default with what ``KPACK_FETCH_SLOWEST`` and ``KPACK_FETCH_SECONDS`` say.

        Raises:
            UsageError: one of them is not a number above 0 (or, for the rate, 0).

        """
        usual = cls()
        return cls(
            slowest=_number(environ, "KPACK_FETCH_SLOWEST", usual.slowest, "bytes a second", zero=True),
            total=_number(environ, "KPACK_FETCH_SECONDS", usual.total, "seconds for one file", zero=False),
        )


def _number(environ: Mapping[str, str], name: str, default: float, unit: str, *, zero: bool) -> float:
    text = environ.get(name, "")
    if not text:
        return default
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if math.isfinite(value) and (value > 0 or (zero and value == 0)):
        return value
    raise UsageError(f"{name} is no number of {unit}: {text!r:.40}", where=name, next=f"unset it, or write {default:g}")


class Stopped(Exception):
    """Work was called off; what is on disk stays for the next run."""
