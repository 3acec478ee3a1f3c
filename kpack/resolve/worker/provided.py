"""What the kernel has already, as candidates for the resolver."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pip._vendor.packaging.utils import canonicalize_name
from pip._vendor.packaging.version import Version

from kpack.resolve.worker.metadata import BadMetadata
from kpack.resolve.worker.requirements import Metadata, Needs, only_extra, parsed, readable

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pip._vendor.packaging.requirements import Requirement

    from kpack.resolve.wire import Provided
    from kpack.resolve.worker.files import IndexFile
    from kpack.resolve.worker.metadata import MetadataStore
    from kpack.resolve.worker.pages import TargetPages
    from kpack.resolve.worker.requirements import Markers

HOST = "https://kernel.invalid/"
"""Address of the synthetic wheels (RFC 6761: never a real host)."""


class ProvidedDistributions:
    """The distributions of the base image and of pinned exclusions, each as one synthetic wheel."""

    def __init__(self, provided: Iterable[Provided], pages: TargetPages, metadata: MetadataStore) -> None:
        self.provided = {item.name: item for item in provided}
        self.opened = frozenset(item.name for item in self.provided.values() if item.opened)
        self._pages = pages
        self._metadata = metadata

    def fixed(self, name: str) -> bool:
        """Tell whether ``name`` is there and may not be replaced."""
        return name in self.provided and name not in self.opened

    def version(self, name: str) -> Version | None:
        """Return the version that the kernel has."""
        item = self.provided.get(name)
        return Version(item.version) if item else None

    def url(self, name: str) -> str:
        """Return the address of the synthetic wheel."""
        stem = f"{name.replace('-', '_')}-{self.provided[name].version}-py3-none-any.whl"
        return HOST + stem.replace("+", "%2B").replace("!", "%21")

    def name_of(self, url: str) -> str | None:
        """Return the distribution whose synthetic wheel ``url`` is, or None."""
        if not url.startswith(HOST):
            return None
        return str(canonicalize_name(url.removeprefix(HOST).partition("-")[0]))

    def metadata(self, name: str) -> Metadata:
        """Return what the resolver may see at once: requirements on opened names, and extras when the list has them.

        The plain requirements are left out: they are installed already, and would make the resolver resolve the
        whole image.
        """
        item = self.provided[name]
        lines = [
            line
            for line in item.requires_dist or ()
            if readable(line) and (only_extra(line) or (item.counts and self._on_opened(line)))
        ]
        return Metadata(name, item.version, lines, item.provides_extra or (), None)

    def needs(self, name: str, markers: Markers) -> Needs:
        """Return what the kernel's ``name`` asks for, as far as the resolver may see it."""
        later = None if self.knows_extras(name) else lambda: self.published(name)
        return Needs(self.metadata(name), markers, later)

    def knows_extras(self, name: str) -> bool:
        """Tell whether the extras are known without the index."""
        item = self.provided[name]
        return item.requires_dist is not None and item.provides_extra is not None

    def first(self, name: str) -> bool:
        """Tell whether the kernel's own version of ``name`` is tried before others."""
        return name in self.provided and self.provided[name].first

    def enough(self, requirement: Requirement) -> bool:
        """Tell whether the resolver will hardly look beyond the kernel's own version for ``requirement``."""
        name = canonicalize_name(requirement.name)
        if not self.first(name):
            return self.fixed(name)
        return bool(requirement.specifier.contains(self.provided[name].version, prereleases=True))

    def moving(self) -> list[str]:
        """Return the opened names that take part whether anything asks for them or not."""
        return [name for name, item in self.provided.items() if item.opened and item.counts]

    def published(self, name: str) -> Metadata | None:
        """Return the metadata that the index has of the kernel's version of ``name`` (for its extras), if any."""
        item = self.provided[name]
        file = self._file(name, Version(item.version))
        try:
            return None if file is None else self._metadata(file)
        except BadMetadata:
            return None  # what the index has of it says nothing, like no file

    def _file(self, name: str, version: Version) -> IndexFile | None:
        wheels = [file for file in self._pages.page(name).files if file.is_wheel and not file.flaw]
        public = Version(version.public)
        for wanted in (version, public):
            same = [file for file in wheels if file.version == wanted]
            if same:
                return min(same, key=self._preference)
        return None

    def _preference(self, file: IndexFile) -> tuple[bool, int, str]:
        rank = self._pages.fit.rank(file.tags or "")
        return rank is None, rank or 0, file.filename

    def _on_opened(self, line: str) -> bool:
        """Tell whether a line speaks of an opened name, and the kernel itself is as it says."""
        if not self.opened:
            return False
        requirement = parsed(line)
        name = canonicalize_name(requirement.name)
        return name in self.opened and requirement.specifier.contains(self.provided[name].version, prereleases=True)
