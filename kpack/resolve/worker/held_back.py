"""Which distributions are older than the newest, and what holds each."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

from pip._vendor.packaging.utils import canonicalize_name
from pip._vendor.packaging.version import Version

from kpack.resolve.wire import Older
from kpack.resolve.worker.files import specifiers
from kpack.resolve.worker.metadata import BadMetadata
from kpack.resolve.worker.requirements import bare
from kpack.resolve.worker.unusable import Reasons
from kpack.resolve.worker.web import Unreachable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pip._vendor.packaging.specifiers import SpecifierSet

    from kpack.resolve.wire import Request, Resolved
    from kpack.resolve.worker.files import IndexFile
    from kpack.resolve.worker.pages import Page
    from kpack.resolve.worker.readers import Readers


class Comparison:
    """Compares an answer with what the indexes have."""

    def __init__(self, readers: Readers, rows: Sequence[Resolved]) -> None:
        self._readers = readers
        self._reasons = Reasons(readers.pages.fit, readers.request.tags)
        self._rows = {row.name: row for row in rows}
        self._asks: dict[str, list[tuple[str, SpecifierSet, str]]] = {}
        self._wanted: dict[str, SpecifierSet] = {}
        self._requested: set[str] = set()
        for row in rows:
            for ask in row.asks:
                self._ask(ask.name, f"{row.name} {row.version}", ask.requirement)
        for limit in readers.request.limits:
            self._ask(
                str(canonicalize_name(bare(limit.requirement).name)), f"{limit.by} of the base", limit.requirement
            )

    def _ask(self, name: str, by: str, requirement: str) -> None:
        self._asks.setdefault(name, []).append((by, bare(requirement).specifier, requirement))

    def list(self, asked: Sequence[Request]) -> list[Older]:
        """Return what is held back among the packed and the requested, given the requests by name."""
        for item in asked:
            if "@" not in item.requirement and "/" not in item.requirement:
                # Who wrote it knows it: what is newer than that is no news.
                self._wanted[item.name] = bare(item.requirement).specifier
        requested = {item.name for item in asked}
        self._requested = requested
        found = []
        for name, row in sorted(self._rows.items()):
            if row.direct or (row.kernel and name not in requested):
                continue
            try:
                held = self._compared(name, Version(row.version))
            except Unreachable:
                continue  # the answer stands without the index's newest version
            if held is not None:
                found.append(held)
        return found

    def _compared(self, name: str, taken: Version) -> Older | None:
        page = self._readers.pages.page(name)
        versions = {
            version: files
            for version, files in self._reasons.versions(page, Version(taken.public)).items()
            if (taken.is_prerelease or not version.is_prerelease)
            and any(file.yanked is None for file in files)
            and Version(version.public) > Version(taken.public)
            and (name not in self._wanted or self._wanted[name].contains(version, prereleases=True))
        }
        if not versions:
            return None
        newest = next(iter(versions))
        reasons: list[str] = []
        candidate: Version | None = None
        for version, files in versions.items():
            verdict = self._reasons.why(name, version, files)
            if candidate is None and (verdict is None or verdict.sdist):
                candidate = version
            if verdict is None:
                reasons.append(self._reason(name, taken, version))
                break
            # A wheel that only an inferred glibc would take is told wherever it stands: a probe could allow it.
            if not reasons or ("kpack probe" in verdict.words and not any("kpack probe" in said for said in reasons)):
                reasons.append(f"{version} {verdict.words}")
        return Older(
            name=name,
            version=str(taken),
            newest=str(newest),
            because="; ".join(reasons),
            candidate=str(candidate or ""),
            days=None if candidate is None else _days(page, taken, candidate),
        )

    def _reason(self, name: str, taken: Version, version: Version) -> str:
        """Return what keeps a usable ``version`` from being taken."""
        kernel = self._readers.kernel
        if kernel.fixed(name):
            item = kernel.provided[name]
            return f"{'exclude says' if item.by == 'exclude' else 'the base image has'} {item.shown}"
        apart = self._apart_from(name)
        for by, specifier, requirement in self._asks.get(name, ()):
            asker = by.partition(" ")[0]
            if (asker in apart or asker not in self._rows) and not specifier.contains(version, prereleases=True):
                return f"{by} needs {requirement}"
        own = next(self._own_needs(self._readers.pages.best(name).get(version)), None)
        if own is not None:
            return f"{version} {own}"
        if self._readers.request.pins.get(name) == str(taken):
            return f"the old lock has {taken} (--upgrade-package {name} lets go of it)"
        return f"{version} clashes with what else was taken"

    def _apart_from(self, name: str) -> set[str]:
        """Return what the requests lead to without ``name``: the others are as old as they are because of it."""
        waiting, reached = list(self._requested - {name}), set[str]()
        while waiting:
            at = waiting.pop()
            if at not in reached and at in self._rows:
                reached.add(at)
                waiting.extend(ask.name for ask in self._rows[at].asks if ask.name != name)
        return reached

    def _own_needs(self, file: IndexFile | None) -> Iterator[str]:
        """Yield what that version needs and this answer does not have."""
        if file is None or not file.is_wheel:
            return
        try:
            metadata = self._readers.metadata(file)
        except BadMetadata as error:
            yield f"{error}"
            return
        request = self._readers.request
        admitted = specifiers(metadata.requires_python)
        if not admitted.contains(request.python_full_version, prereleases=True):
            yield f"needs Python {admitted}, the target has {request.python_full_version}"
        extras = self._rows[str(canonicalize_name(metadata.name))].extras
        later = []
        for line in self._readers.markers.active(metadata, extras):
            requirement = self._readers.markers.asked(line)
            other = str(canonicalize_name(requirement.name))
            has = self._readers.kernel.version(other) if self._readers.kernel.fixed(other) else None
            if has is not None:
                if not requirement.specifier.contains(has, prereleases=True):
                    yield f"needs {requirement}, and the kernel has {self._readers.kernel.provided[other].shown}"
            elif other in self._rows:
                got = self._rows[other].version
                if not requirement.specifier.contains(got, prereleases=True):
                    later.append(f"needs {requirement}, and {got} was taken")
            elif not requirement.url and not list(requirement.specifier.filter(self._readers.pages.best(other))):
                page = self._readers.pages.page(other)
                newest = next(iter(requirement.specifier.filter(self._reasons.versions(page))), None)
                files = [file for file in page.files if file.version == newest]
                verdict = self._reasons.why(other, newest, files) if newest is not None else None
                yield f"needs {requirement}, " + (
                    f"and {newest} {verdict.words}" if verdict else "of which there is none"
                )
        yield from later


def _days(page: Page, older: Version, newer: Version) -> int | None:
    """Return the days between the first uploads of two versions."""
    times = []
    for wanted in (older, newer):
        uploads = sorted(file.upload_time[:10] for file in page.files if file.version == wanted and file.upload_time)
        try:
            times.append(date.fromisoformat(uploads[0]))
        except (IndexError, ValueError):
            return None
    return (times[1] - times[0]).days
