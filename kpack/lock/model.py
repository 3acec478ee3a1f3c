"""A lock as a frozen value."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from packaging.utils import parse_wheel_filename
from packaging.version import Version

from kpack.environment.model import RestoreOptions
from kpack.target import marker, supported_tags

if TYPE_CHECKING:
    from packaging.tags import Tag
    from packaging.utils import NormalizedName

    from kpack.checkpoints import LockedCheckpoint
    from kpack.debian import LockedSystem, SystemPackage
    from kpack.lock.requests import Requests
    from kpack.resolve.model import BaseUse, HeldBack, Need, Source, Wheel

FORMAT = 1
"""The format number of ``[tool.kpack]``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LockedPin:
    """A distribution that goes into the pack for one target."""

    name: NormalizedName
    version: Version
    wheel: Wheel
    needed_by: tuple[Need, ...]
    extras: tuple[str, ...] = ()
    source: Source | None = None
    """What kpack built the wheel from; None for a wheel of the index."""
    replaces: Version | None = None
    """The base's version that this one takes the place of."""


def listed_version(filename: str, version: Version) -> Version:
    """Return the version under which PEP 751 lists a wheel of the distribution version ``version``.

    That is the one of its file name, which may have a local version more (``2.8.3+cu12`` for METADATA's ``2.8.3``):
    prebuilt GPU wheels are named so.
    """
    if "+" not in filename or version.local is not None:
        return version
    try:
        found = parse_wheel_filename(filename)[1]
    except ValueError:
        return version
    return found if Version(found.public) == version else version


@dataclass(frozen=True, slots=True, kw_only=True)
class LockedTarget:
    """The answer for one target; every tuple is sorted by name."""

    base: str | None
    """The base image's name; None when the lock is for a bare Python."""
    fingerprint: str | None
    """Of the base image (`kpack.base.BaseImage.fingerprint`)."""
    python: str
    """``3.12``."""
    python_full_version: str
    machine: str
    glibc: tuple[int, int]
    packed: tuple[LockedPin, ...]
    leans: tuple[BaseUse, ...] = ()
    """What of the base the packed distributions and the requests rely on."""
    held_back: tuple[HeldBack, ...] = ()
    dropped: tuple[NormalizedName, ...] = ()
    """Resolved, then left out because of ``exclude``."""
    notes: tuple[str, ...] = ()
    preloaded: tuple[str, ...] = ()
    """Top-level modules that the image imports before the first cell."""
    accelerator: Wheel | None = None
    system: LockedSystem | None = None
    """System packages; None when kaggle-env.toml asks for none."""

    @property
    def label(self) -> str:
        """The base's name, or ``python-3.12``."""
        return self.base or f"python-{self.python}"

    @property
    def marker(self) -> str:
        """The marker that tells this target from the others."""
        return marker(self.python, self.machine)

    @property
    def tags(self) -> tuple[Tag, ...]:
        """Supported wheel tags, best first."""
        return supported_tags(self.python, self.machine, self.glibc)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lock:
    """Everything after kaggle-env.toml is a function of this value."""

    name: str
    """The pack's name."""
    meaning: str
    """SHA-256 of the meaning of the kaggle-env.toml that it was made from."""
    requests: Requests
    targets: tuple[LockedTarget, ...]
    """In the order of the file's bases."""
    restore: RestoreOptions = field(default_factory=RestoreOptions)
    checkpoints: tuple[LockedCheckpoint, ...] = ()
    notes: tuple[str, ...] = ()

    def wheels(self) -> tuple[Wheel, ...]:
        """Return every distinct wheel of the pack, accelerators too, sorted by file name."""
        found = {pin.wheel.filename: pin.wheel for target in self.targets for pin in target.packed}
        found |= {t.accelerator.filename: t.accelerator for t in self.targets if t.accelerator is not None}
        return tuple(found[name] for name in sorted(found))

    def system(self) -> tuple[SystemPackage, ...]:
        """Return every distinct system package of the pack, sorted by file name."""
        found = {item.filename: item for target in self.targets if target.system for item in target.system.packages}
        return tuple(found[name] for name in sorted(found))

    @property
    def size(self) -> int:
        """Bytes of all files that are packed, as far as they are known."""
        blobs = {item.sha256: item.size for item in self.checkpoints if item.attached is None}
        wheels = sum(item.size or 0 for item in self.wheels())
        return wheels + sum(item.size for item in self.system()) + sum(blobs.values())
