"""Core metadata and its requirements, read for the target: the one place where the worker evaluates markers."""

from __future__ import annotations

import functools
import re
from typing import TYPE_CHECKING

from pip._vendor.packaging.markers import UndefinedEnvironmentName
from pip._vendor.packaging.requirements import InvalidRequirement, Requirement
from pip._vendor.packaging.specifiers import SpecifierSet
from pip._vendor.packaging.utils import canonicalize_name

from kpack import licenses, urls
from kpack.restore.headers import headers

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence


_EXTRA = re.compile(r"""\bextra\s*==\s*['"]([^'"]+)""")


class Metadata:
    """The headers of a METADATA file that a resolution looks at."""

    __slots__ = ("extras", "license", "name", "requires", "requires_python", "version")

    def __init__(
        self,
        name: str,
        version: str,
        requires: Sequence[str],
        extras: Sequence[str],
        requires_python: str | None,
        license: Sequence[str] = (),  # noqa: A002 - the header's name
    ) -> None:
        self.name = name
        self.version = version
        self.requires = tuple(repaired(line) for line in requires)
        # What only a marker names is an extra, too: not every tool writes Provides-Extra for it.
        of_markers = (extra for line in self.requires if "extra" in line for extra in _EXTRA.findall(line))
        self.extras = tuple(dict.fromkeys(canonicalize_name(extra) for extra in (*extras, *of_markers)))
        self.requires_python = requires_python
        self.license = tuple(license)
        """Lines of `kpack.licenses.headers`."""

    @staticmethod
    def fields(content: bytes) -> dict[str, list[str]]:
        """Return the headers by name in lower case, of folded lines one, without spaces around."""
        return {
            key: [" ".join(map(str.strip, value.split("\n"))).strip() for value in values]
            for key, values in headers(content.decode("utf-8", "replace")).items()
        }

    @classmethod
    def parse(cls, content: bytes) -> Metadata:
        """Read METADATA or PKG-INFO."""
        fields = cls.fields(content)
        return cls(
            next(iter(fields.get("name", ())), ""),
            next(iter(fields.get("version", ())), ""),
            fields.get("requires-dist", []),
            fields.get("provides-extra", []),
            next(iter(fields.get("requires-python", ())), None),
            licenses.headers((key, value) for key in licenses.FIELDS for value in fields.get(key, ())),
        )

    def as_version(self, version: str) -> Metadata:
        """Return the same headers under another version."""
        return Metadata(self.name, version, self.requires, self.extras, self.requires_python, self.license)

    def dumps(self) -> bytes:
        """Return headers that `parse` reads as the same value."""
        lines = [f"Name: {self.name}", f"Version: {self.version}"]
        if self.requires_python:
            lines.append(f"Requires-Python: {self.requires_python}")
        lines += self.license
        lines += [f"Provides-Extra: {extra}" for extra in self.extras]
        lines += [f"Requires-Dist: {line}" for line in self.requires]
        return ("\n".join(lines) + "\n").encode()


MOST_LINES = 10_000
"""Requires-Dist lines of one METADATA."""
MOST_PLAIN_LINES = 2_000
"""Those that count without an extra."""
MOST_CLAUSES = 200
"""Different clauses (``!=1.2``) on one name in one METADATA."""
FEW = 8
"""Requirements of one distribution on one name that stay apart, each to be told as it was written."""

LONGEST_LINE = 1 << 16
"""Characters of one Requires-Dist line."""

_ENDLESS = re.compile(r"[0-9]{1000}")
"""Python reads no number of more than 4,300 digits."""

_ODD_MARKER = re.compile(r"""~=|===|\bextras\b|\bdependency_groups\b|["']\s*(?:[<>=!]+|(?:not\s+)?in)\s*["']""")
"""In a marker: ``~=`` and ``===`` are undefined for what is no version, two names are of lock files (PEP 751), and of
two texts that are compared pip takes one for a name."""

_UNKNOWABLE = re.compile(r"\bplatform_(release|version)\b")


_BEGIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*", re.ASCII)
"""The name that a requirement begins with."""
_NAMED = r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,98}[A-Za-z0-9])?"
_CLAUSE = r"(?:[<>!=]=|[<>]) ?[0-9]{1,9}(?:\.[0-9]{1,9}){0,5}"
_OF_EXTRA = re.compile(
    rf"{_NAMED}(?:\[{_NAMED}(?:, ?{_NAMED}){{0,7}}\])? ?(?:{_CLAUSE}(?:, ?{_CLAUSE}){{0,7}})?"
    rf" ?; ?extra ?== ?([\"'])(?P<extra>{_NAMED})\1",
    re.ASCII,
)
"""A requirement in its usual spelling, which counts with one extra and else never; most lines of METADATA are such."""

_STAR = re.compile(r"((?:[<>]=?|~=)\s*[0-9][0-9.]*)\.\*")


@functools.cache
def repaired(line: str) -> str:
    """Return a Requires-Dist line with ``>=1.7.*`` read as ``>=1.7`` (as uv does); others as they are."""
    if ".*" not in line:
        return line
    try:
        parsed(line)
    except InvalidRequirement:
        return _STAR.sub(r"\1", line) if len(line) <= LONGEST_LINE else line
    return line


@functools.cache
def parsed(line: str) -> Requirement:
    """Return the requirement that a Requires-Dist line spells.

    Raises:
        InvalidRequirement: it spells none, or one that no target can be asked: ``python_version ~= "x"``.

    """
    if len(line) > LONGEST_LINE or _ENDLESS.search(line):
        raise InvalidRequirement(f"too long to be a requirement: {line[:40]}…")
    try:
        requirement = Requirement(line)
    except RecursionError as error:  # pip 26.2 and older
        raise InvalidRequirement(f"nested too deep: {line[:40]}…") from error
    if requirement.marker is not None and _ODD_MARKER.search(line.partition(";")[2]):
        try:
            requirement.marker.evaluate({"extra": ""})
        except (ValueError, UndefinedEnvironmentName) as error:
            raise InvalidRequirement(str(error)) from error
    return requirement


@functools.cache
def bare(line: str) -> Requirement:
    """Return the requirement of ``line`` without its marker."""
    return _copy(line, url=True)


@functools.cache
def named(line: str) -> Requirement:
    """Return the requirement of ``line`` without marker and URL."""
    return _copy(line, url=False)


def _copy(line: str, *, url: bool, name: str = "") -> Requirement:
    """Return the requirement of ``line`` without its marker; parsing is slow, and `copy.copy` would parse again."""
    original = parsed(line)
    requirement = Requirement.__new__(Requirement)
    requirement.name = name or original.name
    requirement.url = original.url if url else None
    requirement.extras = original.extras
    requirement.specifier = original.specifier
    requirement.marker = None
    return requirement


class UrlDependency(Exception):
    """A distribution wants another from a URL that kaggle-env.toml does not name: that is not for it to say."""

    def __init__(self, by: str, requirement: str) -> None:
        self.by = by
        """Name and version of the distribution."""
        self.requirement = urls.redacted(requirement)
        super().__init__(f"{by} needs {self.requirement}, and only kaggle-env.toml may take something from a URL")


class Markers:
    """Evaluates markers for one target, each once per extra; knows what kaggle-env.toml says of single names.

    ``direct`` are the names that it takes from a URL, ``no_deps`` those whose requirements are not followed;
    ``substitute`` says which name stands for which.
    """

    def __init__(
        self,
        environment: Mapping[str, str],
        direct: Iterable[str] = (),
        no_deps: Iterable[str] = (),
        substitute: Mapping[str, str] | None = None,
    ) -> None:
        self.direct = frozenset(direct)
        self.no_deps = frozenset(no_deps)
        self._substitute = dict(substitute or {})
        self._environment = dict(environment)
        self._known: dict[tuple[str, str], bool] = {}
        self.unknowable: list[str] = []
        """Lines whose marker names what cannot be known of a kernel: ``platform_release``, ``platform_version``."""

    def holds(self, line: str, extra: str = "") -> bool:
        """Tell whether the requirement ``line`` counts for the target when ``extra`` is asked for."""
        known = self._known.get((line, extra))
        if known is None:
            of_extra = _OF_EXTRA.fullmatch(line)
            if of_extra is None:
                known = self._evaluated(line, extra)
            else:  # without reading it, which takes twenty times as long
                known = bool(canonicalize_name(of_extra["extra"]) == canonicalize_name(extra))
            self._known[line, extra] = known
        return known

    def _evaluated(self, line: str, extra: str) -> bool:
        marker = parsed(line).marker
        if marker is not None and _UNKNOWABLE.search(line) and line not in self.unknowable:
            self.unknowable.append(line)
        try:
            return marker is None or bool(marker.evaluate({**self._environment, "extra": extra}))
        except ValueError:  # an empty platform_release under pip 25 and older
            return False

    def asked(self, line: str) -> Requirement:
        """Return what ``line`` asks for: without its marker, on the name that stands for its own."""
        requirement = bare(line)
        name = self._substitute.get(canonicalize_name(requirement.name)) if self._substitute else None
        return requirement if name is None or requirement.url is not None else _copy(line, url=False, name=name)

    def active(self, metadata: Metadata, extras: Collection[str] = ()) -> Iterator[str]:
        """Yield the lines that count when ``extras`` are asked for (with none: those without extra)."""
        if self.no_deps and canonicalize_name(metadata.name) in self.no_deps:
            return
        for line in metadata.requires:
            if (extras and any(self.holds(line, extra) for extra in extras)) or self.holds(line):
                yield line


class Needs:
    """What one distribution asks for on the target."""

    def __init__(
        self, metadata: Metadata, markers: Markers, with_extras: Callable[[], Metadata | None] | None = None
    ) -> None:
        """Take ``metadata``; ``with_extras`` gives what is published of it, for one that says nothing of extras."""
        self.plain = metadata
        self._markers = markers
        self._with_extras = with_extras

    @functools.cached_property
    def own(self) -> Metadata:
        """The headers, with those of extras when they are published elsewhere."""
        own, published = self.plain, self._with_extras() if self._with_extras is not None else None
        if published is None:
            return own
        requires = (*own.requires, *(line for line in published.requires if only_extra(line)))
        return Metadata(own.name, own.version, requires, (*own.extras, *published.extras), own.requires_python)

    def asked(self, extras: Collection[str] = ()) -> Iterator[Requirement]:
        """Yield what counts for the target when ``extras`` are asked for, markers taken off.

        Raises:
            UrlDependency: one of them is a URL.

        """
        metadata = self.own if extras else self.plain
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


def only_extra(line: str) -> bool:
    """Tell whether a Requires-Dist line counts only when an extra is asked for."""
    return "extra" in line.partition(";")[2]


def readable(line: str) -> bool:
    """Tell whether a Requires-Dist line spells a requirement."""
    if _OF_EXTRA.fullmatch(line) is not None:
        return True
    try:
        parsed(line)
    except InvalidRequirement:
        return False
    return True


def excess(metadata: Metadata) -> str | None:
    """Return what of its requirements is more than a resolver answers in time, in words; None when nothing is.

    Some thousand lines exist where extras repeat what others ask for; of one name nobody excludes hundreds of versions.
    """
    if len(metadata.requires) <= MOST_CLAUSES and not any(line.count(",") > MOST_CLAUSES for line in metadata.requires):
        return None
    plain = sum(not only_extra(line) for line in metadata.requires)
    if len(metadata.requires) > MOST_LINES or plain > MOST_PLAIN_LINES:
        return f"{len(metadata.requires):,} requirements, of which {plain:,} belong to no extra"
    at_most: dict[str, int] = {}
    for line in metadata.requires:
        begin = _BEGIN.match(line)
        name = canonicalize_name(begin[0]) if begin else ""
        at_most[name] = at_most.get(name, 0) + 1 + line.count(",")
    if max(at_most.values()) <= MOST_CLAUSES:
        return None
    clauses: dict[str, set[str]] = {}
    for line in metadata.requires:
        if readable(line):
            requirement = parsed(line)
            of_name = clauses.setdefault(canonicalize_name(requirement.name), set())
            of_name.update(map(str, requirement.specifier))
    name = max(clauses, key=lambda name: len(clauses[name]), default="")
    most = len(clauses.get(name, ()))
    return f"{most:,} clauses on the versions of {name}" if most > MOST_CLAUSES else None


def together(requirements: Iterable[Requirement]) -> Iterator[Requirement]:
    """Yield requirements, many on one name and its extras as one: a resolver looks at all of them anew for each."""
    everything = list(requirements)
    grouped: dict[tuple[str, frozenset[str], str], list[Requirement]] = {}
    for requirement in everything:
        key = (requirement.name, frozenset(requirement.extras), requirement.url or "")
        grouped.setdefault(key, []).append(requirement)
    if all(len(group) <= FEW for group in grouped.values()):
        yield from everything
        return
    for group in grouped.values():
        merged = Requirement(str(group[0]))
        merged.specifier = SpecifierSet(",".join({str(one.specifier): None for one in group if str(one.specifier)}))
        yield merged


def invalid(metadata: Metadata) -> str | None:
    """Return the first Requires-Dist line that is no requirement, or None."""
    return next((line for line in metadata.requires if not readable(line)), None)
