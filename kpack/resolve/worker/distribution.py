"""A distribution as pip's resolver sees it, with the dependencies of the target."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pip._internal.metadata.importlib import Distribution
from pip._vendor.packaging.utils import canonicalize_name
from pip._vendor.packaging.version import InvalidVersion, Version

from kpack.resolve.worker.files import specifiers, version_of
from kpack.resolve.worker.requirements import together

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from pip._vendor.packaging.requirements import Requirement
    from pip._vendor.packaging.specifiers import SpecifierSet

    from kpack.resolve.worker.requirements import Needs


class NoVersion(InvalidVersion):  # type: ignore[misc] # pip is not typed
    """A distribution given by URL or path whose version nobody can read."""


class NoRequirement(ValueError):
    """A distribution given by URL or path which asks for something that nobody can read."""


class TargetDistribution(Distribution):  # type: ignore[misc] # pip is not typed
    """A distribution whose dependencies are those of the target, not of the host."""

    def __init__(self, needs: Needs) -> None:
        # Nothing of pip's class that looks at files is kept, so its __init__ is not called.
        self._needs = needs

    @property
    def canonical_name(self) -> str:
        """Normalised name."""
        return str(canonicalize_name(self._needs.plain.name))

    @property
    def raw_name(self) -> str:
        """Name as the metadata spells it."""
        return self._needs.plain.name

    @property
    def version(self) -> Version:
        """Version of the metadata.

        Raises:
            NoVersion: it is none, or longer than any.

        """
        said = self._needs.plain.version
        version = version_of(said)
        if version is None:
            raise NoVersion(f"{self.raw_name}: its METADATA says version {said[:80]!r}, which is none")
        return version

    @property
    def requires_python(self) -> SpecifierSet:
        """Requires-Python; an invalid one counts as none, as in pip."""
        return specifiers(self._needs.plain.requires_python)

    def iter_provided_extras(self) -> list[str]:
        """Return the normalised extras."""
        return list(self._needs.own.extras)

    def is_extra_provided(self, extra: str) -> bool:
        """Tell whether there is such an extra (asked by older pips)."""
        return canonicalize_name(extra) in self._needs.own.extras

    def iter_dependencies(self, extras: Collection[str] = ()) -> Iterator[Requirement]:
        """Yield what counts for the target, markers taken off.

        Raises:
            UrlDependency: one of them is a URL.

        """
        return together(self._needs.asked(extras))
