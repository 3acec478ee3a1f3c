"""The straight way to a solution: where no requirement stands in another's way, nothing has to be searched.

Let every requirement, taken alone (with what the old lock holds), admit the same best version of its name: then any
order of taking requirements in chooses that version and keeps it, a resolver never goes back, and its solution is
known without it. Most locks are of that kind. What base packages ask of one that may move narrows every requirement
for it, and its own version may be the best one, as for the search. Where anything is otherwise, or merely odd (a
source, a URL, a yanked file), nothing is said here, and pip searches as if nobody had tried.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, NamedTuple

from pip._vendor.packaging.requirements import InvalidRequirement, Requirement
from pip._vendor.packaging.specifiers import SpecifierSet
from pip._vendor.packaging.utils import canonicalize_name
from pip._vendor.packaging.version import Version

from kpack.resolve.worker.answer import Chosen
from kpack.resolve.worker.files import specifiers
from kpack.resolve.worker.metadata import BadMetadata
from kpack.resolve.worker.requirements import Needs, UrlDependency
from kpack.resolve.worker.web import Unreachable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from kpack.resolve.worker.course import Course
    from kpack.resolve.worker.files import IndexFile
    from kpack.resolve.worker.readers import Readers


def pins(readers: Readers, course: Course | None = None) -> list[Chosen] | None:
    """Return the solution of the question of ``readers``, sorted by name; None when it takes a search to find one.

    ``course`` hears how far it is.
    """
    try:
        asked = [Requirement(item.line) for item in readers.request.asked]
        named = {canonicalize_name(requirement.name) for requirement in asked}
        asked += [Requirement(name) for name in readers.kernel.moving() if name not in named]
        held = dict(_held(readers.request.pins, asked))
        return _Walk(readers, held, course).pins(asked)
    except (_Crooked, BadMetadata, InvalidRequirement, Unreachable, UrlDependency):
        return None  # the search meets the same, and knows what to say of it


class _Crooked(Exception):
    """Something stands in the way."""


class _Taken(NamedTuple):
    """The version of a name that every requirement up to now would take."""

    version: Version
    url: str
    needs: Needs
    extras: set[str]


class _Held(NamedTuple):
    """What the old lock holds a name to."""

    version: Version
    specifier: SpecifierSet
    """``==`` that version, which has local ones of it, too."""


def _held(pins: Mapping[str, str], asked: Iterable[Requirement]) -> Iterator[tuple[str, _Held]]:
    """Yield what the old lock holds names to, as pip-tools takes it: not what a request itself excludes."""
    primary: dict[str, SpecifierSet] = {}
    for requirement in asked:
        name = canonicalize_name(requirement.name)
        primary[name] = primary.get(name, SpecifierSet()) & requirement.specifier
    for name, version in pins.items():
        pinned = SpecifierSet(f"=={version}")
        if name not in primary or primary[name].contains(version, prereleases=pinned.prereleases):
            yield name, _Held(Version(version), pinned)


class _Walk:
    """Takes requirements in, each once."""

    def __init__(self, readers: Readers, held: Mapping[str, _Held], course: Course | None) -> None:
        self._readers = readers
        self._held = held
        self._course = course
        self._limits: dict[str, SpecifierSet] = {}
        for limit in readers.request.limits:
            requirement = Requirement(limit.requirement)
            name = canonicalize_name(requirement.name)
            self._limits[name] = self._limits.get(name, SpecifierSet()) & requirement.specifier
        self._taken: dict[str, _Taken] = {}
        self._ranked: dict[str, list[Version]] = {}
        self._waiting: deque[Requirement] = deque()

    def pins(self, asked: Sequence[Requirement]) -> list[Chosen]:
        """Return the solution, sorted by name.

        Raises:
            _Crooked: a search has to find it, if there is one.
            Unreachable, BadMetadata, InvalidRequirement, UrlDependency: as for that search.

        """
        self._waiting.extend(asked)
        seen = set()
        while self._waiting:
            requirement = self._waiting.popleft()
            if requirement.url is not None:
                raise _Crooked
            name = canonicalize_name(requirement.name)
            extras = frozenset(canonicalize_name(extra) for extra in requirement.extras)
            key = (name, str(requirement.specifier), extras)
            if key not in seen:
                seen.add(key)
                self._take(name, requirement.specifier, extras)
        found = [
            Chosen(name, str(taken.version), tuple(sorted(taken.extras)), taken.url)
            for name, taken in self._taken.items()
        ]
        return sorted(found)

    def _take(self, name: str, specifier: SpecifierSet, extras: frozenset[str]) -> None:
        best = self._best(name, specifier)
        taken = self._taken.get(name)
        if taken is None:
            taken = self._taken[name] = self._first(name, best)
            self._waiting.extend(taken.needs.asked())
            if self._course is not None:
                self._course.known(len(self._taken))
        elif taken.version != best:
            raise _Crooked
        if extras:
            taken.extras.update(extras)
            self._waiting.extend(taken.needs.asked(extras & set(taken.needs.own.extras)))

    def _best(self, name: str, specifier: SpecifierSet) -> Version:
        """Return the version that one requirement, and what the old lock holds, would take."""
        if "===" in str(specifier):
            raise _Crooked
        kernel = self._readers.kernel
        if kernel.fixed(name):
            has = kernel.version(name)
            if has is None or not specifier.contains(has, prereleases=True):
                raise _Crooked
            return has
        if name in self._held:
            specifier &= self._held[name].specifier
        if name in self._limits:
            specifier &= self._limits[name]
        has = kernel.version(name)
        if has is not None and kernel.first(name) and specifier.contains(has, prereleases=True):
            return has
        ranked = self._ranked.get(name)
        if ranked is None:
            files = self._files(name)
            found = {version for version, file in files.items() if file.yanked is None}
            ranked = self._ranked[name] = sorted(found if has is None else {*found, has}, reverse=True)
        odd = bool(specifier.prereleases)
        for version in ranked:
            if (odd or not version.is_prerelease) and specifier.contains(version, prereleases=True):
                return version
        raise _Crooked

    def _files(self, name: str) -> Mapping[Version, IndexFile]:
        """Return the file to take for every version of a name that may be taken; the kernel's own needs none."""
        held, pages, has = self._held.get(name), self._readers.pages, self._readers.kernel.version(name)
        files = pages.best(name) if held is None else pages.near(name, held.version)
        if has is None:
            return files
        return {version: file for version, file in files.items() if version not in {has, Version(has.public)}}

    def _first(self, name: str, version: Version) -> _Taken:
        """Return the version of a name that nothing was taken of yet."""
        readers = self._readers
        if version == readers.kernel.version(name):
            return _Taken(version, readers.kernel.url(name), readers.kernel.needs(name, readers.markers), set())
        file = self._files(name)[version]
        if not file.is_wheel:
            raise _Crooked
        metadata = readers.metadata(file)
        python = readers.request.python_full_version
        if not specifiers(metadata.requires_python).contains(python, prereleases=True):
            raise _Crooked
        readers.files[file.url] = file
        return _Taken(version, file.url, Needs(metadata, readers.markers), set())
