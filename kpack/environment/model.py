"""What a kaggle-env.toml says, as frozen values."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlsplit

from kpack import urls
from kpack.environment import hashes
from kpack.places import lock_beside

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from packaging.requirements import Requirement
    from packaging.utils import NormalizedName

DEFAULT_PLATFORM = "manylinux_2_35_x86_64"
"""The platform of a file that names ``python`` and no ``platform``: Kaggle's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """One entry of ``packages``."""

    text: str
    """As written in the file."""
    requirement: Requirement | None
    """The PEP 508 requirement (``name``, ``name[extra]>=1``, ``name @ url``); None for a bare path."""
    path: str | None = None
    """A local project folder or wheel, relative to the file (``./fork``, ``./x.whl``); else None."""
    extras: tuple[str, ...] = ()
    """Of a local path (``./fork[one,two]``), normalised and sorted; a requirement has its own."""
    hashes: tuple[str, ...] = ()
    """SHA-256 digests, one of which its file has to have (``--hash=sha256:…``); empty when nobody wrote any."""

    @property
    def plain(self) -> str:
        """The text without its digests, for messages."""
        return hashes.split(self.text)[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Exclusion:
    """One entry of ``exclude``: a name, a pattern (``nvidia-*``) or a pin (``torch==2.10.0+cu128``)."""

    pattern: str
    """Normalised name, or pattern over normalised names (fnmatch: only ``*`` and ``?``)."""
    version: str | None = None
    """The version of a pin."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointRequest:
    """One ``[[checkpoints]]`` table."""

    urls: tuple[str, ...]
    """``url``, or ``urls`` (mirrors, tried in order): https, http, file, hf, kaggle."""
    path: str | None
    """Where it lands, normalised; None only for hf:// URLs, which land in the Hugging Face cache layout."""
    sha256: str | None = None
    attached: str | None = None
    """Absolute path in the kernel where the file is mounted already, or the folder below which it is to be found by its
    size and digest: not packed, verified at restore."""
    include: tuple[str, ...] = ()
    """Patterns over the files of a repository (hf, kaggle); empty means all."""

    @property
    def names(self) -> frozenset[str]:
        """By which words a user means this one: its path, and its URLs without what is secret in them."""
        return frozenset(filter(None, (self.path, *(urls.shown(url) for url in self.urls))))


@dataclass(frozen=True, slots=True, kw_only=True)
class Index:
    """One ``[[indexes]]`` table."""

    name: str
    url: str
    """As written, credentials, ``${NAME}`` and all: never shown, logged or locked so."""
    packages: tuple[str, ...] = ()
    """Normalised names or patterns that belong to this index and to no other; empty for a folder that owns what lies
    in it."""
    format: Literal["simple", "links"] | None = None
    """As written; see `shape`."""

    @property
    def local(self) -> bool:
        """The index lies on this machine: a path (relative to the file, or absolute), or a ``file:`` URL."""
        return not re.match(r"https?://", self.url)

    @property
    def shape(self) -> Literal["simple", "links"]:
        """``simple`` has a page for each project (PEP 503), ``links`` is one page, or a folder, of files of many.

        What is not said is told by the URL: a path, and a page whose name ends in ``.html``, is no Simple index.
        """
        if self.format is not None:
            return self.format
        page = urlsplit(urls.VARIABLE.sub("x", self.url)).path.lower().endswith((".html", ".htm"))
        return "links" if self.local or page else "simple"

    @property
    def option(self) -> str:
        """What pip calls an index of this shape."""
        return "--find-links" if self.shape == "links" else "--extra-index-url"

    def path(self, folder: Path) -> Path:
        """Return where a `local` index lies; ``folder`` is that of kaggle-env.toml."""
        plain = urls.file_path(self.url) if self.url.startswith("file:") else self.url
        # Links in it stay as they are: a lock speaks of the path that was written.
        return Path(os.path.normpath(folder.resolve() / plain))

    def location(self, folder: Path, environ: Mapping[str, str] | None = None) -> str:
        """Return the URL: a path becomes a ``file:`` URL, every ``${NAME}`` is replaced from ``environ``.

        ``folder`` is that of kaggle-env.toml, ``environ`` the process's own by default. The result may hold
        credentials.

        Raises:
            UsageError: a variable is not set.

        """
        if self.local:
            return self.path(folder).as_uri()
        return urls.expanded(self.url, of=f"index {self.name!r}", environ=environ)

    def owned(self, folder: Path) -> tuple[str, ...]:
        """Return the names and patterns that belong to this index, for a folder without ``packages`` those in it."""
        if self.packages or not self.local:
            return self.packages
        from kpack.environment.folders import names_in

        return names_in(self.path(folder))


UNSIGNED = "nobody"
"""What ``signed-by`` says of an archive whose index nobody has signed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AptSource:
    """One ``[[apt-sources]]`` table: an archive of system packages."""

    url: str
    """As written: https, http, ``file:``; ``{snapshot}`` in it is the moment of ``exclude-newer``. May hold
    credentials and ``${NAME}``: never shown, logged or locked so."""
    suites: tuple[str, ...]
    """``jammy``, ``jammy-updates``; one that ends in ``/`` is a flat archive's folder."""
    components: tuple[str, ...] = ("main",)
    """``main``, ``universe``; of no use to a flat archive."""
    signed_by: str | None = None
    """A file of keys, relative to kaggle-env.toml; `UNSIGNED`; None for the keyring of the image's distribution."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreOptions:
    """The ``[restore]`` table."""

    directory: str | None = None
    env: Mapping[str, str] = field(default_factory=dict)
    link: bool = False
    """Whether checkpoints with a relative path are linked from the working folder."""
    apt: str | None = None
    """How system packages are installed: ``dpkg`` or ``prefix``; None: by dpkg where the kernel may."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LicenseRules:
    """The ``[licenses]`` table."""

    allow: tuple[str, ...] = ()
    """SPDX expressions, as SPDX spells them, sorted; empty: every licence may enter."""
    unchecked: tuple[NormalizedName, ...] = ()
    """Distributions whose licence somebody has read and taken."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """A checked kaggle-env.toml."""

    path: Path
    """The file; relative paths in it start at its folder."""
    name: str
    bases: tuple[str, ...]
    """Names of shipped snapshots or paths of probe files; empty when ``python`` is given."""
    python: str | None = None
    """``3.12``, when there is no base."""
    platform: str | None = None
    """``manylinux_2_35_x86_64``, when there is no base; a base has its own, and this is None."""
    packages: tuple[Package, ...] = ()
    exclude: tuple[Exclusion, ...] = ()
    replace: tuple[NormalizedName, ...] = ()
    allow_source: tuple[NormalizedName, ...] = ()
    allow_broken: tuple[NormalizedName, ...] = ()
    allow_preloaded: tuple[NormalizedName, ...] = ()
    lax_record: tuple[NormalizedName, ...] = ()
    lax_archive: tuple[NormalizedName, ...] = ()
    allow_native: tuple[NormalizedName, ...] = ()
    accelerator: str | None = None
    """The GPU of the session: ``T4``; None when the file names none."""
    no_deps: tuple[NormalizedName, ...] = ()
    substitute: Mapping[NormalizedName, NormalizedName] = field(default_factory=dict)
    """A requirement on a key counts as one on its value."""
    no_build_isolation: tuple[NormalizedName, ...] = ()
    exclude_newer: datetime | None = None
    """Files uploaded at or after this UTC moment do not exist (a date in the file includes its whole day)."""
    checkpoints: tuple[CheckpointRequest, ...] = ()
    indexes: tuple[Index, ...] = ()
    apt: tuple[str, ...] = ()
    """System packages: names, or ``name=version``; sorted."""
    apt_sources: tuple[AptSource, ...] = ()
    """Archives that they come from; empty for that of the image's distribution."""
    restore: RestoreOptions = field(default_factory=RestoreOptions)
    licenses: LicenseRules = field(default_factory=LicenseRules)
    dataset: str | None = None
    """``[publish] dataset``: ``owner/slug``."""
    max_size: int | None = None
    """Bytes that a pack may have; None for no limit."""

    def __post_init__(self) -> None:
        if not self.bases and self.platform is None:
            object.__setattr__(self, "platform", DEFAULT_PLATFORM)

    @property
    def lock_path(self) -> Path:
        """``pylock.<stem>.toml`` beside the file."""
        return lock_beside(self.path)
