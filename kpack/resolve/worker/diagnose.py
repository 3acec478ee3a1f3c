"""Says why there is no solution, and which words in kaggle-env.toml would help."""

from __future__ import annotations

import contextlib
import difflib
import time
from typing import TYPE_CHECKING, Any

from pip._internal.exceptions import (
    DistributionNotFound,
    PipError,
    UnsupportedPythonVersion,
)
from pip._vendor.packaging.requirements import InvalidRequirement, Requirement
from pip._vendor.packaging.specifiers import SpecifierSet
from pip._vendor.packaging.utils import canonicalize_name

from kpack.resolve.wire import Failure
from kpack.resolve.worker import failed_build
from kpack.resolve.worker.clashes import Clash, ClashSearch
from kpack.resolve.worker.failed_build import IMPORT_NAMES

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from kpack.resolve.worker.search import Search

OTHERS = 3
"""Further clashes that are told beside the first."""
SECONDS = 15.0
"""Time spent at most on finding words that help."""


class Diagnosis:
    """One failed resolution, looked at again."""

    def __init__(self, search: Search, asked: Sequence[tuple[str, str]]) -> None:
        self._search = search
        self._finder = search.finder
        self._kernel = search.finder.kernel
        self._asked = asked
        self._until = time.monotonic() + SECONDS

    def failure(self, error: Exception) -> Failure:
        """Return what is wrong, and what to write."""
        if not isinstance(error, (DistributionNotFound, UnsupportedPythonVersion)):
            return failed_build.failure(error, self._finder.building, self._kernel)
        if broken := self._broken_base():
            return broken
        causes = list(getattr(error.__cause__, "causes", ()))
        names = {canonicalize_name(cause.requirement.project_name) for cause in causes}
        clashes = self._walk().clashes()
        relevant = [clash for clash in clashes if clash.name in names] or clashes
        if not any(clash.kind == "kernel" for clash in relevant):
            relevant = clashes
        if not relevant:
            return Failure(kind="no-solution", text=_from_causes(causes) or str(error))
        opened, found = self._try_opening(relevant, names)
        if opened:
            relevant = [clash for clash in clashes if clash.name in opened] or relevant
        clash = min(relevant, key=lambda clash: (clash.kind == "two", len(clash.chain)))
        # Advice that was tried settles it; else the other clashes on the way stand in the way too.
        others = [] if opened else [other for other in clashes if other is not clash and other.kind != "two"][:OTHERS]
        damaged = clash.verdict is not None and clash.verdict.kind == "damaged"
        return Failure(
            kind="integrity" if damaged else "no-solution",
            text="\n".join([self._text(clash), *(f"also: {self._first(other)}" for other in others)]),
            next=self._next(clash, [clash, *others], opened, found),
            name=clash.name,
            because=clash.kind if clash.verdict is None else clash.verdict.kind,
            replace=tuple(sorted(opened)),
        )

    def _broken_base(self) -> Failure | None:
        """Return the failure when only what base packages ask of opened names stands against a solution."""
        limits = self._search.request.limits
        if not limits:
            return None
        try:
            found = self._search.resolve(self._asked, {}, until=self._until, limited=False)
        except (PipError, TimeoutError):
            return None
        versions = {canonicalize_name(ireq.name): next(iter(ireq.req.specifier)).version for ireq in found}
        broken = []
        for limit in limits:
            requirement = Requirement(limit.requirement)
            name = canonicalize_name(requirement.name)
            if name in versions and not requirement.specifier.contains(versions[name], prereleases=True):
                broken.append((limit, name))
        if not broken:
            return None
        owners = ", ".join(f'"{owner}"' for owner in sorted({limit.by.partition(" ")[0] for limit, _ in broken}))
        return Failure(
            kind="no-solution",
            text="; ".join(
                f"{limit.by} of the base needs {limit.requirement}, but the requests lead to {name} {versions[name]}"
                for limit, name in broken
            ),
            next=f"add {owners} to replace, so that they may move too; or, if you do not use them, write "
            f"allow-broken = [{owners}]",
            name=broken[0][1],
            because="broken-base",
        )

    def _try_opening(self, clashes: Sequence[Clash], names: set[str]) -> tuple[set[str], list[Any]]:
        """Solve again with the clashing kernel names opened, so that the advice is one that works."""
        if not self._search.request.explain:
            return set(), []
        grown = {clash.name for clash in clashes if clash.kind == "kernel"}
        grown |= {name for name in names if self._kernel.fixed(name) and grown}
        moved: dict[str, Any] = {}
        try:
            while grown and not moved and time.monotonic() < self._until:
                try:
                    moved = self._moved(grown)
                except PipError as error:
                    with self._search.opening(grown):
                        more = self._standing(error) - grown
                    if not more:
                        break
                    grown |= more
            for name in sorted(moved):  # name only what must move
                with contextlib.suppress(PipError):
                    moved = self._moved({*moved} - {name}) if len(moved) > 1 and name in moved else moved
        except TimeoutError:
            pass  # what was found out so far is said
        return set(moved), [moved[name] for name in sorted(moved)]

    def _moved(self, opened: set[str]) -> dict[str, Any]:
        """Return what takes another version than the kernel's when ``opened`` may, and as little as possible does."""
        held = {name: self._kernel.provided[name].version for name in opened}
        with self._search.opening(opened):
            try:
                found = self._search.resolve(self._asked, held, until=self._until)
            except PipError:
                found = self._search.resolve(self._asked, {}, until=self._until)
        named = {str(canonicalize_name(ireq.name)): ireq for ireq in found if not self._is_kernels(ireq)}
        return {name: ireq for name, ireq in named.items() if name in opened}

    def _standing(self, error: PipError) -> set[str]:
        """Return the kernel's names that still stand against a solution."""
        causes = getattr(error.__cause__, "causes", ())
        names = {str(canonicalize_name(cause.requirement.project_name)) for cause in causes}
        return {name for name in names if self._kernel.fixed(name)} | {
            clash.name for clash in self._walk().clashes() if clash.kind == "kernel"
        }

    def _walk(self) -> ClashSearch:
        return ClashSearch(self._finder, self._search.markers, self._asked, self._until)

    def _is_kernels(self, ireq: Any) -> bool:
        return self._kernel.name_of(ireq.link.url_without_fragment) is not None

    def _newest_that_fits(self, clash: Clash) -> str:
        """Return ``name version``: the newest version of the request behind ``clash`` that has a solution."""
        text = clash.chain[0][1]
        line = next((line for line, other in self._asked if other == text), None)
        if line is None or not self._search.request.explain:
            return ""
        try:
            requirement = Requirement(line)
        except InvalidRequirement:
            return ""
        if not requirement.specifier or self._kernel.fixed(canonicalize_name(requirement.name)):
            return ""
        requirement.specifier = SpecifierSet()
        others = [(str(requirement), text) if other == text else (one, other) for one, other in self._asked]
        try:
            found = self._search.resolve(others, {}, until=self._until)
        except (PipError, TimeoutError):
            return ""
        name = canonicalize_name(requirement.name)
        version = next((next(iter(ireq.req.specifier)).version for ireq in found if ireq.name == name), None)
        return f"{name} {version}" if version else ""

    def _has(self, name: str) -> str:
        item = self._kernel.provided[name]
        owner = f"the base image {self._search.request.label}" if item.by != "exclude" else "the kernel (exclude)"
        return f"{owner} has {name} {item.shown}"

    def _first(self, clash: Clash) -> str:
        by, words = clash.chain[-1]
        who = by or "kaggle-env.toml"
        if clash.kind == "kernel":
            return f"{who} needs {words}, but {self._has(clash.name)}"
        if clash.kind == "unknown":
            return f"{who} needs {words}, but there is no {clash.name} on {self._finder.pages.page(clash.name).index}"
        if clash.kind == "two":
            other_by, other_words = clash.other[-1]
            return f"{who} needs {words}, but {other_by or 'kaggle-env.toml'} needs {other_words}"
        if clash.verdict is not None:
            return f"{who} needs {words}, but {clash.name} {clash.verdict.version} {clash.verdict.words}"
        return f"{who} needs {words}, but the newest {clash.name} is {clash.exists}"

    def _text(self, clash: Clash) -> str:
        lines = [self._first(clash)]
        for chain in (clash.chain, clash.other):
            if len(chain) > 1:
                steps = [f"{asker or 'kaggle-env.toml'} asks for {wish}" for asker, wish in chain]
                lines.append("  " + "; ".join(steps))
        return "\n".join(lines)

    def _next(self, clash: Clash, clashes: Sequence[Clash], opened: set[str], found: Sequence[Any]) -> str:
        """Return what to write; ``clashes`` is all that is told, ``clash`` the first of it."""
        if opened:
            packed = ", ".join(f"{ireq.name} {next(iter(ireq.req.specifier)).version}" for ireq in found)
            advice = [
                f"write replace = [{self._words(opened, self._replaced())}] to pack {packed} in place of the kernel's"
            ]
        else:
            advice = [" and ".join(self._changes(clashes))] if self._changes(clashes) else []
        fits = self._newest_that_fits(clash) if clash.kind != "unknown" else ""
        if fits:
            advice.append(f"the newest that fits is {fits}")
        elif clash.newest is not None and clash.kind == "none":
            advice.append(f"the newest {clash.name} that this target can take is {clash.newest}")
        elif clash.kind == "two":
            advice.append("loosen one of the two")
        return "; or ".join(advice)

    def _changes(self, clashes: Sequence[Clash]) -> list[str]:
        """Return the changes of kaggle-env.toml that each of ``clashes`` calls for; they were not tried."""
        kernel = {clash.name for clash in clashes if clash.kind == "kernel"}
        sdists = {clash.name for clash in clashes if clash.verdict is not None and clash.verdict.sdist}
        changes = []
        if kernel:
            names = self._words(kernel, self._replaced())
            changes.append(f"write replace = [{names}] (more may stand in the way: this was not seen to be enough)")
        if sdists:
            names = self._words(sdists, self._search.request.allow_source)
            changes.append(f"write allow-source = [{names}] to let kpack build {_them(sdists)}")
        for clash in clashes:
            kind = clash.verdict.kind if clash.verdict is not None else clash.kind
            if kind == "unknown":
                close = self._close(clash.name)
                general = "check the spelling, or add its index under [[indexes]]"
                if self._finder.pages.flat(clash.name):
                    page = self._finder.pages.page(clash.name).index
                    close, general = "", f'write format = "links" beside {page} in [[indexes]]: it is a page of links'
                changes.append(f"did you mean {close}?" if close else general)
            elif kind == "yanked" and clash.verdict is not None:
                changes.append(f"write {clash.name}=={clash.verdict.version} to take it all the same")
            elif kind in {"damaged", "invalid"}:
                changes.append("take another version, or the file from another index: its owner has to mend this one")
            elif kind == "exclude-newer":
                changes.append("move exclude-newer to a later day")
        return list(dict.fromkeys(changes))

    def _words(self, names: Iterable[str], written: Iterable[str]) -> str:
        return ", ".join(f'"{name}"' for name in sorted({*names, *written}))

    def _replaced(self) -> Iterable[str]:
        return (item.name for item in self._kernel.provided.values() if item.opened)

    def _close(self, name: str) -> str:
        if name in IMPORT_NAMES:
            return IMPORT_NAMES[name]
        return next(iter(difflib.get_close_matches(name, list(self._kernel.provided), 1, 0.8)), "")


def _them(names: Collection[str]) -> str:
    return "them" if len(names) > 1 else "it"


def _from_causes(causes: Iterable[Any]) -> str:
    """Return the resolver's own causes, when the walk found nothing better."""
    lines = []
    for cause in causes:
        parent = "kaggle-env.toml" if cause.parent is None else f"{cause.parent.name} {cause.parent.version}"
        lines.append(f"{parent} needs {cause.requirement}")
    return "; ".join(dict.fromkeys(lines))
