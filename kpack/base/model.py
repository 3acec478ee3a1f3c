"""What a Kaggle kernel has before anything is installed, as a frozen value."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from packaging.utils import NormalizedName
    from packaging.version import Version


class Removal(StrEnum):
    """How a restore makes room in the image for another version of a distribution."""

    RECORD = "record"
    """By the RECORD of its ``.dist-info`` folder."""
    INSTALLED_FILES = "installed-files"
    """By the ``installed-files.txt`` that setuptools left in its ``.egg-info`` folder."""
    HIDDEN = "hidden"
    """It stays: it lies in a folder that Python searches after the one that a restore installs to."""
    HIDES = "hides"
    """Not at all: it lies in a folder that Python searches before, so that it would go on being imported."""
    NONE = "none"
    """Not at all: nothing lists its files."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NativeRecord:
    """What a probe wrote down of a kernel's native side; `kpack.base.native` makes answers of it."""

    os: str
    """``Ubuntu 22.04``."""
    libraries: tuple[str, ...] | None
    """Names of the shared libraries that the loader finds: those of its cache, and of ``LD_LIBRARY_PATH``; None when
    they could not be listed."""
    glibcxx: str
    """Highest version of ``GLIBCXX`` in libstdc++, ``3.4.30``; empty when it could not be read."""
    cxxabi: str
    """Highest version of ``CXXABI`` there, ``1.3.13``; empty when it could not be read."""
    cuda: str
    """Release of the CUDA runtime among these libraries, ``12.8``; empty without one."""
    driver: str
    """Version of the GPU's driver, ``560.35.03``; empty without one."""
    gpus: tuple[str, ...] = ()
    """Model and compute capability of each GPU, ``Tesla T4, 7.5``; empty without one."""


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
    certainty: str = ""
    """How sure the version is: ``seen`` in a kernel of this image, ``medium`` (resolved as of the day, not seen),
    ``low`` (a step of the image's build had to be guessed); empty for a list of the day, a pin or a probe."""
    library: str | None = None
    """The absolute folder that its modules are imported from; None when the snapshot does not know."""
    top_level: tuple[str, ...] | None = None
    """Modules and folders that it has directly in `library`; None when the snapshot does not know them.

    A folder among them is its own as a whole, unless entries of `outside` lie in it.
    """
    outside: tuple[str, ...] | None = None
    """What else is its own: files, and folders with a slash behind; None when the snapshot does not know.

    Relative to `library` where they lie in it (``six.py``, ``google/cloud/storage/``), absolute elsewhere.
    """
    removal: Removal | None = None
    """How it can give way to another version; None when the snapshot does not know."""
    libraries: tuple[str, ...] | None = None
    """Names of the shared libraries (``libcublas.so.12``) that it brings; None when nobody knows them."""

    @property
    def doubt(self) -> str:
        """What to say where the version is not certain (``resolved, not seen``); empty where it is."""
        return {"medium": "resolved, not seen", "low": "guessed, not seen"}.get(self.certainty, "")


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
    """The day that the list speaks of."""
    accelerator: str = ""
    """``gpu``, ``cpu``, ``tpu``, or ``any`` for an image of all; empty when the snapshot does not know."""
    glibc_inferred: tuple[int, int] | None = None
    """The glibc that the image has by inference only: wheels are chosen for `glibc`, which is surely there."""
    images: tuple[str, ...] = ()
    """Digests (``sha256:…``) of the docker images that the list stands for, or of the one that was probed."""
    system: Mapping[str, str] = field(default_factory=dict)
    """Version by name of the system packages (dpkg); empty when the snapshot does not know them."""
    apt_sources: tuple[str, ...] = ()
    """Archives that the image's apt is set up for, as a probe read them: URL, suite, components; empty when it is not
    known."""
    native: NativeRecord | None = None
    """What a probe wrote down of native libraries; None for a list that nobody probed."""
    scheme: Mapping[str, str] | None = None
    """The absolute folders that ``pip install`` installs to: purelib, platlib, scripts, data, include (where each
    distribution's headers get a folder of their own). None when the snapshot does not know."""
    shipped: bool = False
    """True for a reconstructed list that comes with kpack; a probe of one's own kernel beats it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotInfo:
    """One line of ``kpack probe --list``."""

    name: str
    python: str
    machine: str
    glibc: str
    """What wheels are chosen for."""
    glibc_inferred: str
    """What the image has by inference only; empty when that is what wheels are chosen for."""
    accelerator: str
    """``gpu``, ``cpu``, ``tpu``, or ``any``."""
    taken: str
    distributions: int
    unknown: int
    certainty: str
    images: tuple[str, ...]
    """Digests (``sha256:…``) of the docker images that it stands for."""
