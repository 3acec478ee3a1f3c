"""Guesses what the resolver will ask next, so that it finds pages and metadata there already. It decides nothing."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from pip._vendor.packaging.requirements import InvalidRequirement
from pip._vendor.packaging.utils import canonicalize_name
from pip._vendor.packaging.version import Version

from kpack.resolve.worker.metadata import BadMetadata
from kpack.resolve.worker.web import Unreachable

if TYPE_CHECKING:
    from collections.abc import Callable

    from pip._vendor.packaging.requirements import Requirement

    from kpack.resolve.worker.files import IndexFile
    from kpack.resolve.worker.readers import Readers

AHEAD = 12
"""Older versions whose metadata is fetched at most at once when a project backtracks."""


class Prefetcher:
    """Walks the requirements breadth-first, taking the newest fitting version of each name."""

    def __init__(self, readers: Readers, submit: Callable[..., object], pins: dict[str, str]) -> None:
        self._readers = readers
        self._submit = submit
        self._pins = pins
        self._seen: set[tuple[str, str, frozenset[str]]] = set()
        self._asked: dict[str, int] = {}
        self._lock = threading.Lock()

    def want(self, requirement: Requirement) -> None:
        """Start to fetch what ``requirement`` leads to."""
        name = canonicalize_name(requirement.name)
        if requirement.url or self._readers.kernel.enough(requirement):
            return
        key = (name, str(requirement.specifier), frozenset(requirement.extras))
        with self._lock:
            if key in self._seen:
                return
            self._seen.add(key)
        self._submit(self._follow, name, requirement)

    def _follow(self, name: str, requirement: Requirement) -> None:
        try:
            file = self._newest(name, requirement)
            if file is None:
                return
            metadata = self._readers.metadata(file)
            extras = [canonicalize_name(extra) for extra in requirement.extras]
            for line in self._readers.markers.active(metadata, extras):
                self.want(self._readers.markers.asked(line))
        except (Unreachable, BadMetadata, InvalidRequirement):
            return  # the resolver meets the same trouble if it comes here, and reports it

    def _newest(self, name: str, requirement: Requirement) -> IndexFile | None:
        pin = self._pins.get(name)
        if pin is not None:
            for version, file in self._readers.pages.near(name, Version(pin)).items():
                if str(version) == pin and requirement.specifier.contains(version, prereleases=True) and _plain(file):
                    return file
        best = self._readers.pages.best(name)
        wheels = [version for version, file in best.items() if _plain(file)]
        fitting = list(requirement.specifier.filter(wheels, prereleases=True))
        final = [version for version in fitting if not version.is_prerelease]
        newest = max(final or fitting, default=None)
        return None if newest is None else best[newest]

    def ahead(self, file: IndexFile) -> None:
        """Fetch metadata of the next older versions when a project is asked for the second time: it backtracks."""
        name = canonicalize_name(file.filename.partition("-")[0])
        count = self._asked[name] = self._asked.get(name, 0) + 1
        if count < 2:
            return
        best = self._readers.pages.best(name)
        older = sorted((version for version, other in best.items() if version < file.version), reverse=True)
        for version in older[: min(2 * count, AHEAD)]:
            other = best[version]
            if _plain(other) and not version.is_prerelease:
                self._submit(self._read, other)

    def _read(self, file: IndexFile) -> None:
        try:
            self._readers.metadata(file)
        except (Unreachable, BadMetadata):
            return


def _plain(file: IndexFile) -> bool:
    return file.is_wheel and file.yanked is None
