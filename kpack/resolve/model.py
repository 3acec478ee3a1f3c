"""The value between resolving and locking: what each target gets, from where, and why."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from kpack.licenses import NOTHING, License

if TYPE_CHECKING:
    from datetime import datetime

    from packaging.utils import NormalizedName
    from packaging.version import Version

    from kpack.resolve.wire import Older
    from kpack.target import Target


@dataclass(frozen=True, slots=True, kw_only=True)
class Wheel:
    """One wheel file, pinned by its bytes."""

    filename: str
    sha256: str
    size: int | None
    """Bytes."""
    url: str | None
    """Where it is fetched, without credentials and fragment; None for a wheel that kpack built (see `Source`)."""
    upload_time: datetime | None = None
    index: str | None = None
    """URL of the Simple index that listed it, without credentials; None for a direct URL or a built wheel."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """What a built (or local) wheel was made from."""

    kind: Literal["sdist", "archive", "vcs", "directory", "wheel"]
    url: str
    """URL without credentials; for a folder or a local wheel the path relative to kaggle-env.toml, POSIX style."""
    sha256: str | None = None
    """Of the sdist or archive; for a folder the digest of its tracked content."""
    commit: str | None = None
    revision: str | None = None
    """The VCS revision that was asked for."""
    subdirectory: str | None = None
    build_requires: tuple[Wheel, ...] = ()
    """The wheels of the build environment, pinned so that a later rebuild uses the same ones."""
    built_on: str | None = None
    """Marker of the host that built it (``cp312-linux_x86_64``) when the wheel is not pure; else None."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """Who asked for a distribution, and in which words."""

    by: str
    """Normalised name of the distribution that asks; the empty string for kaggle-env.toml."""
    requirement: str
    """The requirement as its owner wrote it, without marker: ``tokenizers<=0.23,>=0.22``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pin:
    """A distribution that goes into the pack for one target."""

    name: NormalizedName
    version: Version
    wheel: Wheel | None
    """None until it is built; `source` says from what."""
    needed_by: tuple[Need, ...]
    extras: tuple[str, ...] = ()
    requires_dist: tuple[str, ...] = ()
    """Requires-Dist of the wheel's metadata, markers kept."""
    license: License = NOTHING
    source: Source | None = None
    replaces: Version | None = None
    """The base's version that this one takes the place of."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BaseUse:
    """A distribution of the base image that the resolution leans on."""

    name: NormalizedName
    version: Version
    needed_by: tuple[Need, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldBack:
    """A distribution that is older than the newest one, and what holds it."""

    name: NormalizedName
    version: Version
    newest: Version
    because: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Fallback:
    """A request that got a version much older than the newest one for the target's Python."""

    name: NormalizedName
    version: Version
    newest: Version
    """The newest that exists for the target's Python, as a wheel or as an sdist."""
    because: str
    """What stands in the way of it, found by asking for it outright."""
    words: str = ""
    """What to write to get it; tried. Empty where no words were found."""

    def __str__(self) -> str:
        return f"{self.name} {self.version} and not {self.newest}: {self.because}"


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetResolution:
    """The answer for one target; every tuple is sorted by name."""

    target: Target
    packed: tuple[Pin, ...]
    from_base: tuple[BaseUse, ...]
    held_back: tuple[HeldBack, ...] = ()
    older: tuple[Older, ...] = ()
    """The same as the resolver tells it: with the newest that could be had, for whoever looks into it."""
    fallbacks: tuple[Fallback, ...] = ()
    """Requests among them that would surprise: of another minor version, or much older."""
    dropped: tuple[NormalizedName, ...] = ()
    """Resolved, then left out because of ``exclude``, with what only they needed."""
    broken: tuple[NormalizedName, ...] = ()
    """Distributions of the base that do not fit what is replaced, as ``allow-broken`` permits."""
    notes: tuple[str, ...] = ()
    """Sentences for the user that are no errors (a broken requirement that the base had already, …)."""
    accelerator: Wheel | None = None
    """The ``isal`` wheel that fits the target's interpreter; None when the index has none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolution:
    """The answer for every target, in the order of the file's bases."""

    targets: tuple[TargetResolution, ...]
    notes: tuple[str, ...] = field(default=())
