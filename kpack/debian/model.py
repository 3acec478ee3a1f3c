"""A system package as a lock pins it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kpack.restore import deb

if TYPE_CHECKING:
    from collections.abc import Mapping

ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
"""What Debian calls a machine."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SystemPackage:
    """One package that goes into the pack."""

    name: str
    version: str
    """As Debian Policy 5.6.12 spells it, with its epoch."""
    architecture: str
    """``amd64``, ``arm64`` or ``all``."""
    url: str
    """Without credentials."""
    size: int
    """Bytes."""
    sha256: str
    stage: int = 0
    """Packages of one stage are unpacked together, then configured; a later one may need them configured before."""
    needed_by: tuple[str, ...] = ()
    """Packed ones that depend on it, sorted."""

    @property
    def filename(self) -> str:
        """The name of its file, as archives give it: ``ffmpeg_4.4.2-0ubuntu0.22.04.1_amd64.deb``, without an epoch."""
        return deb.filename(self.name, self.version, self.architecture)

    def problem(self) -> str:
        """Return what is wrong with its words, empty when nothing is: some of them are handed to dpkg."""
        if not deb.NAME.match(self.name):
            return f"{self.name!r:.80} is no name of a package"
        if not deb.VERSION.match(self.version):
            return f"{self.version!r:.80} is no version of a package"
        if self.architecture not in {*ARCHITECTURES.values(), "all"}:
            return f"{self.architecture!r:.80} is no architecture that kpack knows"
        for name in self.needed_by:
            if not deb.NAME.match(name):
                return f"{name!r:.80} is no name of a package"
        if not re.match(r"(?:https?|file):/", self.url):
            return f"{self.url!r:.80} is no address"
        return "" if 0 <= self.stage < 1000 else f"stage {self.stage} is none"


@dataclass(frozen=True, slots=True, kw_only=True)
class SystemImage:
    """What packages are added to."""

    label: str
    os: str
    """``Ubuntu 22.04``; empty when it is not known."""
    machine: str
    """``x86_64``."""
    packages: Mapping[str, str]
    """Version by name of what dpkg has installed; empty when it is not known."""
    sources: tuple[str, ...] = ()
    """Archives that its apt is set up for: URL, suite, components."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """What is to be packed for one image."""

    packages: tuple[SystemPackage, ...]
    """In the order in which they are installed."""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class LockedSystem:
    """What a lock says of one image's system packages."""

    asked: str
    """SHA-256 of all that the answer depends on but the archives' content: see `kpack.debian.locking.asked`."""
    packages: tuple[SystemPackage, ...]
    """In the order in which they are installed."""
