"""The way of the newest versions, breadth-first from the requests, and the requirements that cannot be met on it."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pip._vendor.packaging.requirements import InvalidRequirement, Requirement
from pip._vendor.packaging.utils import canonicalize_name

from kpack.resolve.worker import seams
from kpack.resolve.worker.files import specifiers
from kpack.resolve.worker.metadata import BadMetadata
from kpack.resolve.worker.unusable import Reasons, Unusable

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pip._vendor.packaging.specifiers import SpecifierSet
    from pip._vendor.packaging.version import Version

    from kpack.resolve.worker.files import IndexFile
    from kpack.resolve.worker.finder import Finder
    from kpack.resolve.worker.requirements import Markers, Metadata

STEPS = 400
"""Requirements that the walk follows at most."""

Chain = tuple[tuple[str, str], ...]
"""(who asks, in which words), from kaggle-env.toml ('') to the clash."""


@dataclass(frozen=True, slots=True)
class Clash:
    """A requirement that cannot be met."""

    name: str
    chain: Chain
    kind: str
    """``kernel``, ``none`` (no usable file), ``unknown`` (no such project), ``two`` (two requirements clash)."""
    verdict: Unusable | None = None
    other: Chain = ()
    """For ``two``: the chain of the other requirement."""
    newest: Version | None = None
    """Newest usable version, whatever was asked."""
    exists: Version | None = None
    """Newest version of all that the index lists."""


class ClashSearch:
    """Follows the newest fitting version of everything."""

    def __init__(self, finder: Finder, markers: Markers, asked: Sequence[tuple[str, str]]) -> None:
        self._finder = finder
        self._kernel = finder.kernel
        self._markers = markers
        self._asked = asked
        self._reasons = Reasons(finder.pages.fit, finder.request.tags)

    def clashes(self) -> list[Clash]:
        """Return what clashes, in the order of the walk."""
        waiting: deque[tuple[Requirement, Chain]] = deque()
        for line, text in self._asked:
            try:
                requirement = Requirement(line)
            except InvalidRequirement:
                requirement = None
            if requirement is None or requirement.url:
                waiting.extend(self._direct(line, text))
            else:
                waiting.append((requirement, (("", text),)))
        waiting.extend((Requirement(name), (("", name),)) for name in self._kernel.moving())
        wanted: dict[str, list[tuple[SpecifierSet, Chain]]] = {}
        for limit in self._finder.request.limits:
            requirement = Requirement(limit.requirement)
            chain: Chain = ((f"{limit.by} of the base", limit.requirement),)
            wanted.setdefault(str(canonicalize_name(requirement.name)), []).append((requirement.specifier, chain))
        followed: set[tuple[str, str, tuple[str, ...]]] = set()
        clashes: dict[str, Clash] = {}
        steps = 0
        while waiting and steps < STEPS:
            steps += 1
            requirement, chain = waiting.popleft()
            name = str(canonicalize_name(requirement.name))
            if requirement.url or name in clashes:
                continue
            wanted.setdefault(name, []).append((requirement.specifier, chain))
            version, metadata, clash = self._choose(name, wanted[name])
            if clash is not None:
                clashes[name], version, metadata = self._behind(clash)
            extras = tuple(sorted(canonicalize_name(extra) for extra in requirement.extras))
            if metadata is None or (name, str(version), extras) in followed:
                continue
            followed.add((name, str(version), extras))
            for line in self._markers.active(metadata, extras):
                inner = self._markers.asked(line)
                waiting.append((inner, (*chain, (f"{name} {version}", str(inner)))))
        return list(clashes.values())

    def only_sources(self) -> tuple[str, ...]:
        """Return the names that pip asked for, of which no version has a file to use and one has an sdist."""
        names = [name for name, choice in self._finder.known.items() if not choice.versions]
        return tuple(sorted(canonicalize_name(name) for name in names if self._has_source(name)))

    def _has_source(self, name: str) -> bool:
        rows = self._reasons.versions(self._finder.pages.page(name))
        verdicts = (self._reasons.why(name, version, files) for version, files in rows.items())
        return any(verdict is not None and verdict.sdist for verdict in verdicts)

    def _direct(self, line: str, text: str) -> Iterable[tuple[Requirement, Chain]]:
        """Yield what a direct URL or folder asks for, when pip got as far as its metadata."""
        link = seams.requirement(line, comes_from=text).link
        metadata = self._finder.seen.get(link.url_without_fragment) if link is not None else None
        if metadata is not None:
            for inner in map(self._markers.asked, self._markers.active(metadata)):
                yield inner, (("", text), (f"{metadata.name} {metadata.version}", str(inner)))

    def _choose(
        self, name: str, wanted: Sequence[tuple[SpecifierSet, Chain]]
    ) -> tuple[Version | None, Metadata | None, Clash | None]:
        """Return the version that meets all of ``wanted`` (the last is new) and its metadata, or the clash."""
        specifier, chain = wanted[-1]
        has = self._kernel.version(name)
        if self._kernel.fixed(name):
            assert has is not None
            if not specifier.contains(has, prereleases=True):
                return None, None, Clash(name, chain, "kernel")
            return has, self._of_kernel(name), None
        best = self._finder.pages.best(name)
        own = [] if has is None else [has]
        usable = [*(version for version, file in best.items() if file.yanked is None), *own]
        everything = specifier
        for other, _ in wanted:
            everything &= other
        flaws: list[Unusable] = []
        ours = has if self._kernel.first(name) else None
        # A release that was yanked counts here, as in pip: beside it a pre-release is not taken unasked.
        admitted = set(everything.filter([*best, *own])).intersection(usable)
        for version in sorted(admitted, key=lambda version: (version == ours, version), reverse=True):
            if version == has:
                return version, self._of_kernel(name), None
            try:
                metadata = self._metadata(name, best[version])
            except BadMetadata as error:
                flaws.append(Unusable(version, error.kind, error.words))
                continue
            if metadata is not None:
                return version, metadata, None
            if not best[version].is_wheel:
                return version, None, None
        unusable = {verdict.version for verdict in flaws}
        usable = [version for version in usable if version not in unusable]
        return None, None, self._nothing(name, wanted, usable, flaws)

    def _behind(self, clash: Clash) -> tuple[Clash, Version | None, Metadata | None]:
        """Return ``clash``, and the version and metadata of the sdist that is no use while its name is not allowed.

        Where sources may be read, what they need of other sources is found in the same walk.
        """
        verdict = clash.verdict
        if verdict is None or not verdict.sdist or not self._finder.request.read_sources:
            return clash, None, None
        files = self._finder.pages.page(clash.name).files
        sdists = [file for file in files if file.version == verdict.version and not file.is_wheel and not file.flaw]
        try:
            return clash, verdict.version, self._finder.read_source(clash.name, sdists[0])
        except BadMetadata as error:
            return replace(clash, verdict=Unusable(verdict.version, error.kind, error.words)), None, None

    def _of_kernel(self, name: str) -> Metadata | None:
        kernel = self._kernel
        return kernel.metadata(name) if kernel.knows_extras(name) else kernel.published(name) or kernel.metadata(name)

    def _metadata(self, name: str, file: IndexFile) -> Metadata | None:
        """Return the metadata of ``file`` if it is known or a wheel's, and admits the target's Python.

        Raises:
            BadMetadata: it cannot be read or believed.

        """
        if not file.is_wheel and self._finder.request.read_sources:
            return self._finder.read_source(name, file)
        if not file.is_wheel:
            return self._finder.seen.get(file.url) or self._finder.sdists.known(file)
        metadata = self._finder.metadata(file)
        admitted = specifiers(metadata.requires_python)
        return metadata if admitted.contains(self._finder.request.python_full_version, prereleases=True) else None

    def _nothing(
        self,
        name: str,
        wanted: Sequence[tuple[SpecifierSet, Chain]],
        usable: Sequence[Version],
        flaws: Sequence[Unusable],
    ) -> Clash:
        """Return why none of ``usable`` meets ``wanted``; ``flaws`` are of files that would, if they could be read."""
        specifier, chain = wanted[-1]
        page = self._finder.pages.page(name)
        if not page.files:
            return Clash(name, chain, "unknown")
        newest = max((version for version in usable if not version.is_prerelease), default=max(usable, default=None))
        if len(wanted) > 1 and any(True for _ in specifier.filter(usable)):
            against = [line for spec, line in wanted[:-1] if not any(True for _ in (spec & specifier).filter(usable))]
            return Clash(name, chain, "two", other=(against or [wanted[0][1]])[0], newest=newest)
        versions = self._reasons.versions(page)
        matching = list(specifier.filter(versions)) or [v for v in versions if specifier.contains(v, prereleases=True)]
        judged = [self._reasons.why(name, version, versions[version]) for version in matching]
        verdicts = [verdict for verdict in judged if verdict is not None]
        if flaws and len(wanted) == 1:
            verdicts = [*flaws, *verdicts]
        # What is too new for exclude-newer is no news while an older version has a reason of its own.
        verdict = next((found for found in verdicts if found.kind != "exclude-newer"), next(iter(verdicts), None))
        return Clash(name, chain, "none", verdict, newest=newest, exists=max(versions, default=None))
