"""What a Kaggle kernel has before anything is installed, as a frozen value."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from packaging.utils import NormalizedName
    from packaging.version import Version


@dataclass(frozen=True, slots=True, kw_only=True)
class BaseDistribution:
    """One distribution of the image."""

    name: NormalizedName
    version: Version
    requires_dist: tuple[str, ...] | None = None
    """Requires-Dist lines; None when the snapshot does not know them."""
    provides_extra: tuple[str, ...] | None = None
    provenance: str = ""
    """Where the version comes from (``colab-freeze``, ``uv-estimate``, ``probe``, …)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BaseImage:
    """A fixed set of distributions under one interpreter."""

    name: str
    python_full_version: str
    machine: str
    glibc: tuple[int, int]
    environment: Mapping[str, str]
    """The marker environment as far as it is known."""
    distributions: Mapping[NormalizedName, BaseDistribution]
    preloaded: tuple[str, ...]
    """Top-level modules that are imported before the first cell."""
    certainty: str
    """One sentence on how far the list can be trusted."""
    fingerprint: str
    """SHA-256 (64 hexadecimal digits) over what a resolution can see of the image."""
    preloaded_by: Mapping[NormalizedName, str] = field(default_factory=dict)
    """Distributions that own a preloaded module, and that module's name; a bare namespace (``google``) is nobody's."""
    unknown: tuple[NormalizedName, ...] = ()
    """Names that are in the image with a version that nobody recorded: a request that touches one cannot be judged."""
    provenance: Mapping[str, str] = field(default_factory=dict)
    """What each word in `BaseDistribution.provenance` means."""
    taken: str = ""
    """The day or month that the list speaks of."""
    shipped: bool = False
    """True for a reconstructed list that comes with kpack; a probe of one's own kernel beats it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotInfo:
    """One line of ``kpack probe --list``."""

    name: str
    python: str
    machine: str
    glibc: str
    taken: str
    distributions: int
    unknown: int
    certainty: str
