"""A distribution as pip's resolver sees it, with the dependencies of the target."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from pip._internal.metadata.importlib import Distribution
from pip._vendor.packaging.utils import canonicalize_name
from pip._vendor.packaging.version import InvalidVersion, Version

from kpack.resolve.worker.files import specifiers, version_of
from kpack.resolve.worker.requirements import Metadata, UrlDependency, named, only_extra, together

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    from pip._vendor.packaging.requirements import Requirement
    from pip._vendor.packaging.specifiers import SpecifierSet

    from kpack.resolve.worker.requirements import Markers


class NoVersion(InvalidVersion):  # type: ignore[misc] # pip is not typed
    """A distribution given by URL or path whose version nobody can read."""


class TargetDistribution(Distribution):  # type: ignore[misc] # pip is not typed
    """A distribution whose dependencies are those of the target, not of the host."""

    def __init__(
        self,
        metadata: Metadata,
        markers: Markers,
        with_extras: Callable[[], Metadata | None] | None = None,
    ) -> None:
        """Take ``metadata``; ``with_extras`` gives what is published of it, for one that says nothing of extras."""
        # Nothing of pip's class that looks at files is kept, so its __init__ is not called.
        self._own = metadata
        self._markers = markers
        self._with_extras = with_extras

    @functools.cached_property
    def own(self) -> Metadata:
        """The headers, with those of extras when they are published elsewhere."""
        own, published = self._own, self._with_extras() if self._with_extras is not None else None
        if published is None:
            return own
        requires = (*own.requires, *(line for line in published.requires if only_extra(line)))
        return Metadata(own.name, own.version, requires, (*own.extras, *published.extras), own.requires_python)

    @property
    def canonical_name(self) -> str:
        """Normalised name."""
        return str(canonicalize_name(self._own.name))

    @property
    def raw_name(self) -> str:
        """Name as the metadata spells it."""
        return self._own.name

    @property
    def version(self) -> Version:
        """Version of the metadata.

        Raises:
            NoVersion: it is none, or longer than any.

        """
        version = version_of(self._own.version)
        if version is None:
            raise NoVersion(f"{self._own.name}: its METADATA says version {self._own.version[:80]!r}, which is none")
        return version

    @property
    def requires_python(self) -> SpecifierSet:
        """Requires-Python; an invalid one counts as none, as in pip."""
        return specifiers(self._own.requires_python)

    def iter_provided_extras(self) -> list[str]:
        """Return the normalised extras."""
        return list(self.own.extras)

    def is_extra_provided(self, extra: str) -> bool:
        """Tell whether there is such an extra (asked by older pips)."""
        return canonicalize_name(extra) in self.own.extras

    def iter_dependencies(self, extras: Collection[str] = ()) -> Iterator[Requirement]:
        """Yield what counts for the target, markers taken off.

        Raises:
            UrlDependency: one of them is a URL.

        """
        return together(self._asked(extras))

    def _asked(self, extras: Collection[str]) -> Iterator[Requirement]:
        metadata = self.own if extras else self._own
        for line in self._markers.active(metadata, [canonicalize_name(extra) for extra in extras]):
            requirement = self._markers.asked(line)
            if requirement.url is None:
                yield requirement
            elif canonicalize_name(requirement.name) in self._markers.direct:
                yield named(line)
            else:
                extras_asked = f"[{','.join(sorted(requirement.extras))}]" if requirement.extras else ""
                asked = f"{requirement.name}{extras_asked} @ {requirement.url}"
                raise UrlDependency(f"{metadata.name} {metadata.version}", asked)
