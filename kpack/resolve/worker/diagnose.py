"""Says why there is no solution; `kpack.resolve.advice` finds the words in kaggle-env.toml that would help."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from pip._internal.exceptions import (
    DistributionNotFound,
    UnsupportedPythonVersion,
)
from pip._internal.resolution.resolvelib.requirements import ExplicitRequirement
from pip._vendor.packaging.requirements import Requirement
from pip._vendor.packaging.utils import canonicalize_name

from kpack.resolve.wire import Failure, Obstacle
from kpack.resolve.worker import failed_build
from kpack.resolve.worker.clashes import Clash, ClashSearch

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from kpack.resolve.worker.search import Search

OTHERS = 3
"""Further clashes that are told beside the first."""


class Diagnosis:
    """One failed resolution, looked at again."""

    def __init__(self, search: Search, asked: Sequence[tuple[str, str]]) -> None:
        self._finder = search.finder
        self._kernel = search.finder.kernel
        self._label = search.request.label
        self._asker = search.request.asker
        self._reads_sources = search.request.read_sources
        self._walk = ClashSearch(search.finder, search.markers, asked)

    def newest(self) -> tuple[str, tuple[Obstacle, ...]]:
        """Return the first thing that cannot be met on the way of the newest versions, in words, and all of them."""
        clashes = self._walk.clashes()
        return self._first(clashes[0]) if clashes else "", tuple(map(_obstacle, clashes))

    def unbuilt(self) -> tuple[str, ...]:
        """Return the names that the search met, on whatever road, of which there are only sdists.

        Nothing, unless words are tried: then they are names that may be allowed.
        """
        return self._walk.only_sources() if self._reads_sources else ()

    def failure(self, error: Exception) -> Failure:
        """Return what is wrong, and what of it no other words in kaggle-env.toml could change."""
        if not isinstance(error, (DistributionNotFound, UnsupportedPythonVersion)):
            finder = self._finder
            failure = failed_build.failure(error, finder.building, self._kernel, inner=finder.inner, own=finder.own)
            beside = self._finder.beside
            return failure if beside is None else replace(failure, text=f"{failure.text}\nand {beside}")
        causes = list(getattr(error.__cause__, "causes", ()))
        names = {str(canonicalize_name(cause.requirement.project_name)) for cause in causes}
        blamed = names | {str(canonicalize_name(cause.parent.project_name)) for cause in causes if cause.parent}
        clashes = self._walk.clashes()
        relevant = [clash for clash in clashes if clash.name in names] or clashes
        if not any(clash.kind == "kernel" for clash in relevant):
            relevant = clashes
        if not relevant:
            return Failure(
                kind="no-solution", text=self._from_causes(causes) or str(error), causes=tuple(sorted(blamed))
            )
        clash = min(relevant, key=lambda clash: (clash.kind == "two", len(clash.chain)))
        others = [other for other in clashes if other is not clash and other.kind != "two"]
        told = [clash, *others[:OTHERS]]
        damaged = clash.verdict is not None and clash.verdict.kind == "damaged"
        return Failure(
            kind="integrity" if damaged else "no-solution",
            text="\n".join([self._text(clash), *(f"also: {self._first(other)}" for other in told[1:])]),
            next=" and ".join(self._changes(told)),
            name=clash.name,
            because=_kind(clash),
            obstacles=tuple(map(_obstacle, (clash, *(other for other in clashes if other is not clash)))),
            causes=tuple(sorted(blamed)),
        )

    def _has(self, name: str) -> str:
        item = self._kernel.provided[name]
        owner = f"the base image {self._label}" if item.by != "exclude" else "the kernel (exclude)"
        return f"{owner} has {name} {item.shown}"

    def _first(self, clash: Clash) -> str:
        by, words = clash.chain[-1]
        who = by or self._asker
        if clash.kind == "kernel":
            by_text = ": === compares the texts of versions" if "===" in words else ""
            return f"{who} needs {words}, but {self._has(clash.name)}{by_text}"
        if clash.kind == "unknown":
            return f"{who} needs {words}, but there is no {clash.name} on {self._finder.pages.page(clash.name).index}"
        if clash.kind == "two":
            other_by, other_words = clash.other[-1]
            return f"{who} needs {words}, but {other_by or self._asker} needs {other_words}"
        if clash.verdict is not None:
            return f"{who} needs {words}, but {clash.name} {clash.verdict.version} {clash.verdict.words}"
        by_text = " (=== compares the texts of versions)" if "===" in words else ""
        return f"{who} needs {words}, but the newest {clash.name} is {clash.exists}{by_text}"

    def _text(self, clash: Clash) -> str:
        lines = [self._first(clash)]
        for chain in (clash.chain, clash.other):
            if len(chain) > 1:
                steps = [f"{asker or self._asker} asks for {wish}" for asker, wish in chain]
                lines.append("  " + "; ".join(steps))
        return "\n".join(lines)

    def _from_causes(self, causes: Iterable[Any]) -> str:
        """Return the resolver's own causes, when the walk found nothing better.

        pip counts what limits a distribution that a request brings itself (a folder, a URL) as no cause.
        """
        lines = []
        for cause in causes:
            if cause.parent is None and isinstance(cause.requirement, ExplicitRequirement):
                lines += [f"{self._asker} brings {cause.requirement}", *self._against(cause.requirement)]
                continue
            parent = self._asker if cause.parent is None else f"{cause.parent.name} {cause.parent.version}"
            lines.append(f"{parent} needs {cause.requirement}")
        return "; ".join(dict.fromkeys(lines))

    def _against(self, brought: ExplicitRequirement) -> list[str]:
        """Return what packages of the image that stay ask for in place of what a request brings."""
        limits = [(Requirement(limit.requirement), limit) for limit in self._finder.request.limits]
        return [
            f"{limit.by} of the base needs {limit.requirement}"
            for wanted, limit in limits
            if canonicalize_name(wanted.name) == canonicalize_name(brought.project_name)
            and not wanted.specifier.contains(brought.candidate.version, prereleases=True)
        ][:OTHERS]

    def _changes(self, clashes: Sequence[Clash]) -> list[str]:
        """Return what each of ``clashes`` calls for beside a change of replace, allow-broken or allow-source."""
        changes = []
        for clash in clashes:
            kind = _kind(clash)
            if kind in {"damaged", "invalid"}:
                changes.append("take another version, or the file from another index: its owner has to mend this one")
            elif kind == "exclude-newer":
                changes.append("move exclude-newer to a later day")
            elif kind == "unknown" and self._finder.pages.flat(clash.name):
                page = self._finder.pages.page(clash.name).index
                changes.append(f'write format = "links" beside {page} in [[indexes]]: it is a page of links')
        return list(dict.fromkeys(changes))


def _kind(clash: Clash) -> str:
    return clash.kind if clash.verdict is None else clash.verdict.kind


def _obstacle(clash: Clash) -> Obstacle:
    asker, request = clash.chain[0]
    verdict = clash.verdict
    return Obstacle(
        name=clash.name,
        requirement=clash.chain[-1][1],
        request="" if asker else request,
        kind=_kind(clash),
        version=str(verdict.version) if verdict is not None else "",
        sdist=verdict is not None and verdict.sdist,
        newest=str(clash.newest or ""),
        against=clash.other[0][1] if clash.other and not clash.other[0][0] else "",
    )
