"""What was found in all inputs together: the entries of a kaggle-env.toml to be, and a finding for each line."""

from __future__ import annotations

import contextlib
import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, NamedTuple

from packaging.utils import NormalizedName, canonicalize_name

from kpack import urls
from kpack.environment import mistakes_in
from kpack.environment.errors import quoted
from kpack.environment.positions import dotted
from kpack.environment.requirements import NotAPackageError, package
from kpack.environment.template import CheckpointEntry, IndexEntry
from kpack.errors import UsageError
from kpack.importing.both import RANGES, apart, both, joinable
from kpack.importing.credentials import hidden
from kpack.importing.finding import Finding, Lines, Outcome

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from packaging.requirements import Requirement

    from kpack.environment.model import Package

_LONGEST = 160
"""Characters of a line that are shown."""

MOST = 5000
"""Findings of a list of an environment: who asks for more means something else."""


class Import(NamedTuple):
    """One ``import`` of a notebook or script."""

    module: str
    """Its first name."""
    place: Lines
    said: str
    names: set[str]
    """Whatever is imported of it, with dots, here and below: ``autogluon``, ``autogluon.tabular``."""


class Line(NamedTuple):
    """Where a finding stands, and what stands there."""

    place: Lines
    said: str


@dataclass(slots=True)
class Harvest:
    """The entries found so far. Every method takes the line that asks, and adds one finding for it."""

    folder: Path
    """Where the kaggle-env.toml will stand; local paths are written relative to it."""
    packages: dict[str, str] = field(default_factory=dict)
    """Entries of ``packages`` by normalised name and marker, or by path."""
    exclude: dict[str, None] = field(default_factory=dict)
    replace: dict[str, None] = field(default_factory=dict)
    no_deps: dict[str, set[Lines]] = field(default_factory=dict)
    """The lines that ask for a name without what it asks for."""
    asks: dict[str, set[Lines]] = field(default_factory=dict)
    """All lines that ask for a name."""
    constraints: list[tuple[Requirement, Line]] = field(default_factory=list)
    indexes: dict[str, IndexEntry] = field(default_factory=dict)
    """By URL."""
    checkpoints: dict[tuple[str, str | None], CheckpointEntry] = field(default_factory=dict)
    """By URL and path."""
    system: dict[str, None] = field(default_factory=dict)
    """System packages, as apt names them."""
    env: dict[str, str] = field(default_factory=dict)
    """Variables of ``[restore] env``."""
    imports: dict[str, Import] = field(default_factory=dict)
    """Each module that is imported, where it is first."""
    search_path: list[str] = field(default_factory=list)
    """Folders that the code adds to sys.path."""
    findings: list[Finding] = field(default_factory=list)
    code: dict[str, set[tuple[int, int]]] = field(default_factory=dict)
    """CodeCell and number of each input's lines that are neither empty nor a comment."""
    python: str | None = None
    """Python series that an environment or Pipfile names, ``3.12``."""
    most: int = MOST
    """Findings that there may be."""
    _landed: set[str] = field(default_factory=set)
    _keys: dict[str, dict[str, None]] = field(default_factory=dict)
    """By name: the keys of ``packages`` that it has, or had."""
    _request: int = 0
    """The request that is read, 0 for none."""
    _requests: dict[str, int] = field(default_factory=dict)
    """Those that were read, by what they are called."""
    _of_request: dict[str, int] = field(default_factory=dict)
    """By key of ``packages``: the request that asks for it."""
    _hosts: dict[str, int] = field(default_factory=dict)
    """How many of ``indexes`` are named after each host."""
    _names: set[str] = field(default_factory=set)
    """The names of ``indexes``."""

    def understood(self, line: Line, entry: str = "", why: str = "") -> None:
        """Say that a line became ``entry``, or why nothing is to be written for it."""
        self._found(line, Outcome.UNDERSTOOD, entry=entry, why=why)

    def left(self, line: Line, why: str, write: str, about: NormalizedName | None = None) -> None:
        """Leave a line to a person, unless an image turns out to have the package that it is about."""
        self._found(line, Outcome.LEFT, why=why, write=write, about=about)

    def in_image(self, line: Line, why: str) -> None:
        """Say that the image has what a line asks for."""
        self._found(line, Outcome.IN_IMAGE, why=why)

    @contextlib.contextmanager
    def together(self, name: str = "") -> Iterator[None]:
        """Let entries of one name hold at once, which are lines of one file or words of one command, as for pip.

        A request inside another one is a part of it; those of one ``name`` are one.
        """
        before = self._request
        if not before:
            self._request = self._requests.setdefault(name or f"#{len(self._requests)}", len(self._requests) + 1)
        try:
            yield
        finally:
            self._request = before

    def add(self, entry: str, line: Line, *, why: str = "", upgrade: bool = False) -> None:
        """Take one entry of ``packages`` over, or say why not.

        A later one beats an earlier one of the same name, or holds with it when they are of one request. A bare name
        asks for nothing more than an earlier one did, unless it asks for an upgrade.
        """
        entry = re.sub(r"[\t\f\v]+", " ", entry)
        if urls.without_secrets(entry) != entry:
            why = "; ".join(
                filter(None, [why, "its password or signature stays out: give the whole URL in KPACK_URLS"])
            )
            entry = urls.without_secrets(entry)
        try:
            found = package(entry)
        except NotAPackageError as error:
            self.left(line, error.what, error.advice)
            return
        if found.requirement is None:
            path = (found.path or "").rstrip("/")
            self.packages.setdefault(path, entry)
            self.understood(line, f"packages {quoted(self.packages[path])}", why)
            return
        requirement = found.requirement
        name = canonicalize_name(requirement.name)
        self.exclude.pop(name, None)
        self.asks.setdefault(name, set()).add(line.place)
        held = dict(self._held(name, requirement))
        if entry in held.values():
            self._asked(line, name, entry, why, upgrade=upgrade)
        elif pair := self._parted(found, held):
            held_text = next(iter(held.values()))
            for key in held:
                del self.packages[key]
            for part in pair:
                self._put(name, part)
            self._asked(line, name, pair[0], f"with {quoted(pair[1])}, for {quoted(held_text)}", upgrade=upgrade)
        elif held and not upgrade and str(requirement) == requirement.name:
            self._asked(line, name, list(held.values())[-1], why, upgrade=upgrade)
        elif requirement.marker and name in held:
            self.left(
                line,
                f"{quoted(held[name])} asks for it in every kernel, and beside such an entry stands none for some",
                "give both entries markers that tell them apart, or write what it asks for into that one",
            )
        else:
            self._join(found, entry, held, line, why, upgrade=upgrade)

    def _join(self, found: Package, entry: str, held: dict[str, str], line: Line, why: str, *, upgrade: bool) -> None:
        """Write an entry down with those ``held`` (by key) that hold with it, or in their place."""
        assert found.requirement is not None
        name = canonicalize_name(found.requirement.name)
        words = [why]
        if self._is_asked_with(held) and list(held) == [_key(found.requirement)]:
            (text,) = held.values()
            small = joinable(package(text), found)
            joined = both(package(text), found) if small else None
            if not small:
                words.append(f"more than {RANGES} ranges, or a very long line, are not put together")
            elif joined is None:
                words.append("no version is what both lines ask for, and pip refuses them")
            else:
                words += [f"together with {quoted(text)}"] if joined not in {entry, text} else []
                entry, held = joined, {}
        words += [f"takes the place of {quoted(text)}" for text in held.values() if text != found.requirement.name]
        for key in held:
            del self.packages[key]
        self._put(name, entry)
        self._asked(line, name, entry, "; ".join(filter(None, words)), upgrade=upgrade)

    def _parted(self, found: Package, held: dict[str, str]) -> tuple[str, str] | None:
        """Return two entries in place of one for every kernel and one for some, which are of one request."""
        if len(held) != 1 or not self._is_asked_with(held):
            return None
        (there,) = map(package, held.values())
        assert found.requirement is not None
        assert there.requirement is not None
        if (found.requirement.marker is None) == (there.requirement.marker is None) or not joinable(there, found):
            return None
        return apart(there, found) if found.requirement.marker else apart(found, there)

    def _is_asked_with(self, keys: Iterable[str]) -> bool:
        """Tell whether what is asked for now is of the request that asks for these keys of ``packages``."""
        return bool(self._request) and all(self._of_request.get(key) == self._request for key in keys)

    def _put(self, name: NormalizedName, entry: str) -> None:
        """Write an entry of a name down."""
        requirement = package(entry).requirement
        assert requirement is not None
        key = _key(requirement)
        self.packages[key] = entry
        self._of_request[key] = self._request
        self._keys.setdefault(name, {})[key] = None

    def _held(self, name: NormalizedName, requirement: Requirement) -> list[tuple[str, str]]:
        """Return the keys and entries that ``requirement`` speaks of, too."""
        own = f"{name};{requirement.marker}"
        return [
            (key, self.packages[key])
            for key in self._keys.get(name, ())
            if key in self.packages and (key in {name, own} or requirement.marker is None)
        ]

    def _asked(self, line: Line, name: NormalizedName, entry: str, why: str, *, upgrade: bool) -> None:
        self._found(line, Outcome.UNDERSTOOD, f"packages {quoted(entry)}", why, about=name, upgrade=upgrade)

    def keys_of(self, name: str) -> list[str]:
        """Return the keys of ``packages`` that ask for a normalised name."""
        return [key for key in self._keys.get(name, ()) if key in self.packages]

    def lands(self, path: str) -> bool:
        """Tell whether a checkpoint lands at a path, or in a folder there."""
        return path in self._landed or f"{path}/" in self._landed

    def remove(self, name: str, line: Line, why: str) -> None:
        """Add a name or pattern to ``exclude``; a package of that name is not asked for any more."""
        plain = re.sub(r"[-_.]+", "-", name).lower()
        if not re.fullmatch(r"[a-z0-9*?-]*[a-z0-9][a-z0-9*?-]*", plain):
            self.left(line, f"{quoted(name)} is not the name of a package", 'exclude = ["NAME"]')
            return
        for key in self._keys.get(plain, ()):
            self.packages.pop(key, None)
        self.exclude[plain] = None
        named = None if set(plain) & set("*?") else canonicalize_name(plain)
        self._found(line, Outcome.UNDERSTOOD, f"exclude {quoted(plain)}", why, about=named)

    def without_dependencies(self, name: NormalizedName, line: Line) -> None:
        """Add a name to ``no-deps``, unless another line brings its dependencies, or an image has the package."""
        self.no_deps.setdefault(name, set()).add(line.place)
        self._found(line, Outcome.UNDERSTOOD, f"no-deps {quoted(name)}", about=name)

    def constrain(self, requirement: Requirement, line: Line) -> None:
        """Hold the versions of a package down if something asks for it."""
        self.constraints.append((requirement, line))

    def serve(self, url: str, names: list[str], line: Line, *, links: bool) -> None:
        """Let an index (or a page of links) serve these packages, but for those that another one serves already."""
        held = self.indexes.get(url)
        served = {name: other for at, other in self.indexes.items() if at != url for name in other.packages}
        for name in names:
            if name in served:
                self.left(
                    line,
                    f"{url} may have {name}, too, which {served[name].url} serves already: a name belongs to one index",
                    f"if this one has it, move it to the packages of this index in [[indexes]]: {url}",
                )
        names = [name for name in names if name not in served]
        if not names:
            return
        every = list(dict.fromkeys([*(held.packages if held else ()), *names]))
        name = held.name if held else self._index_name(url)
        self.indexes[url] = IndexEntry(name=name, url=url, packages=tuple(every), links=links)
        self.understood(line, f"[[indexes]] {url} for {', '.join(names)}")

    def _index_name(self, url: str) -> str:
        host = re.sub(r"[^a-z0-9]+", "-", url.rpartition("://")[2].lower()).strip("-")[:34].strip("-") or "folder"
        name = ""
        while not name or name in self._names:
            number = self._hosts[host] = self._hosts.get(host, 0) + 1
            name = host if number == 1 else f"{host}-{number}"
        self._names.add(name)
        return name

    def fetch(self, entry: CheckpointEntry, line: Line, why: str = "", env: dict[str, str] | None = None) -> None:
        """Add a checkpoint, or say what is wrong with it."""
        shown = f"[[checkpoints]] {urls.redacted(entry.url)}" + (f" at {entry.path}" if entry.path else "")
        if urls.stable(entry.url, fragment=True) != entry.url:
            why = "; ".join(
                filter(None, [why, "its password or signature stays out: give the whole URL in KPACK_URLS"])
            )
            entry = replace(entry, url=urls.stable(entry.url, fragment=True))
        if (entry.url, entry.path) not in self.checkpoints:
            fault = self._fault(entry)
            if fault:
                self.left(line, fault, f'write its [[checkpoints]] table by hand: url = "{entry.url}"')
                return
            self.checkpoints[entry.url, entry.path] = entry
        self.env.update(env or {})
        self.understood(line, shown, why)

    def _fault(self, entry: CheckpointEntry) -> str:
        asked = {"url": entry.url, "sha256": entry.sha256, "path": entry.path, "include": list(entry.include) or None}
        table = {key: value for key, value in asked.items() if value is not None}
        data = {"name": "x", "python": "3.12", "checkpoints": [table]}
        for mistake in mistakes_in(data, self.folder / "kaggle-env.toml"):
            return f"{dotted(mistake.key).rpartition('.')[2]}: {mistake.what}"
        if entry.path is None:
            return ""
        parts = entry.path.split("/")
        above = {"/".join(parts[:count]) + "/" for count in range(1, len(parts))}
        if {entry.path, f"{entry.path}/"} & self._landed or {folder.rstrip("/") for folder in above} & self._landed:
            return f"another file lands at {quoted(entry.path)}, or at a folder that it needs"
        self._landed |= {entry.path} | above
        return ""

    def counts(self) -> dict[str, int]:
        """Return how many lines there are, and how many of each verdict; what is left to a person counts before all.

        ``nothing`` are the lines that install and download nothing: ``total`` is the sum of the others.
        """
        rank = [Outcome.IN_IMAGE, Outcome.UNDERSTOOD, Outcome.LEFT]
        places: dict[Lines, Outcome] = {}
        for finding in self.findings:  # a script that a cell runs has one place, however many lines it has
            held = places.get(finding.place, Outcome.IN_IMAGE)
            places[finding.place] = max(finding.verdict, held, key=rank.index)
        verdicts: dict[tuple[str, int, int], Outcome] = {}
        for place, verdict in places.items():
            for line in range(place.line, place.last + 1):
                key = place.file, place.cell, line
                verdicts[key] = max(verdict, verdicts.get(key, Outcome.IN_IMAGE), key=rank.index)
        code = {key: verdict for key, verdict in verdicts.items() if self.code_line(*key)}
        total = sum(map(len, self.code.values()))
        counted = {str(verdict): sum(held is verdict for held in code.values()) for verdict in Outcome}
        return {"total": total, **counted, "nothing": total - len(code)}

    def code_line(self, file: str, cell: int, line: int) -> bool:
        """Tell whether a line holds more than a comment."""
        return (cell, line) in self.code.get(file, set())

    def _found(
        self,
        line: Line,
        verdict: Outcome,
        entry: str = "",
        why: str = "",
        write: str = "",
        about: NormalizedName | None = None,
        *,
        upgrade: bool = False,
    ) -> None:
        if len(self.findings) >= self.most:
            raise UsageError(
                f"asks for more than {self.most:,} things up to here: this is no list for one environment",
                where=str(line.place),
                next="take the lines over that the kernel needs, kpack init --from a file with these alone",
            )
        said = hidden(" ".join(line.said[: 10 * _LONGEST].split()))
        said = said if len(said) <= _LONGEST else said[: _LONGEST - 1] + "…"
        finding = Finding(
            verdict=verdict,
            place=line.place,
            said=said,
            entry=entry,
            why=why,
            write=write,
            package=about,
            upgrade=upgrade,
        )
        self.findings.append(finding)


def _key(requirement: Requirement) -> str:
    """Return the key of ``packages`` that a requirement has."""
    name = canonicalize_name(requirement.name)
    return f"{name};{requirement.marker}" if requirement.marker else name
