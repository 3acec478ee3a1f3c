"""Versions and specifiers of PEP 440, as far as judging an installed version needs them.

The standard library has neither; ``packaging`` may not be imported in the kernel. The tests hold every answer
against ``packaging``.
"""

from __future__ import annotations

import re
from functools import total_ordering
from typing import Any, Optional, Tuple

_VERSION = re.compile(
    r"""v?
    (?:(?P<epoch>[0-9]+)!)?
    (?P<release>[0-9]+(?:\.[0-9]+)*)
    (?:[-_.]?(?P<pre>alpha|beta|preview|pre|rc|a|b|c)[-_.]?(?P<pre_n>[0-9]+)?)?
    (?P<post>-(?P<post_bare>[0-9]+)|[-_.]?(?:post|rev|r)[-_.]?(?P<post_n>[0-9]+)?)?
    (?P<dev>[-_.]?dev[-_.]?(?P<dev_n>[0-9]+)?)?
    (?:\+(?P<local>[a-z0-9]+(?:[-_.][a-z0-9]+)*))?
    \Z""",
    re.VERBOSE | re.IGNORECASE | re.ASCII,
)
_LONGEST = 1000
"""Characters of a version; Python counts no number of more than 4,300 digits."""
_PRE = {"alpha": "a", "a": "a", "beta": "b", "b": "b", "c": "rc", "rc": "rc", "pre": "rc", "preview": "rc"}
_CLAUSE = re.compile(r"\s*(===|~=|==|!=|<=|>=|<|>)\s*([^\s,]+)\s*\Z")
_REQUIREMENT = re.compile(r"\s*(?P<name>[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)\s*(?:\[[^\]]*\])?\s*(?P<rest>.*)\Z")


def normalize_name(name: str) -> str:
    """Return the normalised name of a distribution: lower case, runs of ``-``, ``_`` and ``.`` as one ``-``."""
    return re.sub(r"[-_.]+", "-", name).lower()


@total_ordering
class Version:
    """A version of PEP 440 that compares as the specification orders them.

    Raises ValueError for text that is no version.
    """

    def __init__(self, text: str) -> None:
        # Around it every space of Unicode is none of it, as in `packaging`; inside only ASCII is.
        found = _VERSION.match(text.strip()) if len(text) <= _LONGEST else None
        if not found:
            raise ValueError("not a version: {!r:.200}".format(text))
        self.text = text.strip()
        self.epoch = int(found["epoch"] or 0)
        self.release = tuple(int(part) for part in found["release"].split("."))
        self.pre: Optional[Tuple[str, int]] = None
        if found["pre"]:
            self.pre = (_PRE[found["pre"].lower()], int(found["pre_n"] or 0))
        self.post: Optional[int] = None
        if found["post"]:
            self.post = int(found["post_bare"] or found["post_n"] or 0)
        self.dev: Optional[int] = int(found["dev_n"] or 0) if found["dev"] else None
        local = found["local"]
        self.local: Tuple[str, ...] = tuple(re.split(r"[-_.]", local.lower())) if local else ()

    @property
    def is_prerelease(self) -> bool:
        """Tell whether it comes before the release that it is named after."""
        return self.pre is not None or self.dev is not None

    @property
    def base(self) -> Tuple[int, Tuple[int, ...]]:
        """Epoch and release without trailing zeros: what two versions of one release share."""
        end = len(self.release)
        while end > 1 and not self.release[end - 1]:
            end -= 1
        return self.epoch, self.release[:end]

    @property
    def public_key(self) -> Tuple[Any, ...]:
        """What the order goes by, without the local part."""
        if self.pre is not None:
            pre: Tuple[Any, ...] = (1, *self.pre)
        else:
            pre = (0,) if self.post is None and self.dev is not None else (2,)
        post = -1 if self.post is None else self.post
        dev = (1, 0) if self.dev is None else (0, self.dev)
        return (self.base, pre, post, dev)

    @property
    def _key(self) -> Tuple[Any, ...]:
        return (self.public_key, tuple((1, int(p), "") if p.isdigit() else (0, 0, p) for p in self.local))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Version) and self._key == other._key

    def __lt__(self, other: Version) -> bool:
        return self._key < other._key

    def __hash__(self) -> int:
        return hash(self._key)

    def __repr__(self) -> str:
        return "Version({!r})".format(self.text)


def same_version(left: str, right: str) -> bool:
    """Tell whether two texts name one version; texts that are no versions must be equal."""
    try:
        return Version(left) == Version(right)
    except ValueError:
        return left.strip() == right.strip()


def specifier_of(requirement: str) -> Tuple[str, str]:
    """Split a PEP 508 requirement into its name, as written, and its version specifier.

    A direct reference (``name @ URL``) has the empty specifier, for any version may be behind it. Raises
    ValueError for text that is no requirement.
    """
    found = _REQUIREMENT.match(requirement)
    if not found:
        raise ValueError("not a requirement: {!r}".format(requirement))
    rest = found["rest"].partition(";")[0].strip()
    if rest.startswith("@"):
        return found["name"], ""
    if rest.startswith("(") and rest.endswith(")"):
        rest = rest[1:-1].strip()
    return found["name"], rest


def satisfies(version: str, specifier: str) -> bool:
    """Tell whether a version is in a specifier (``>=1,<2``); pre-releases count like any other version.

    Raises ValueError when either is not of PEP 440.
    """
    clauses = [clause for clause in specifier.split(",") if clause.strip()]
    return all(_holds(version, clause) for clause in clauses)


def _holds(text: str, clause: str) -> bool:
    found = _CLAUSE.match(clause)
    if not found:
        raise ValueError("not a version specifier: {!r}".format(clause))
    operator, wanted = found[1], found[2]
    if operator == "===":
        return text.strip().lower() == wanted.lower()
    version = Version(text)
    if wanted.endswith(".*"):
        if operator not in ("==", "!="):
            raise ValueError("not a version specifier: {!r}".format(clause))
        return _starts_with(version, Version(wanted[:-2])) == (operator == "==")
    return _compare(version, operator, Version(wanted), clause)


def _compare(version: Version, operator: str, wanted: Version, clause: str) -> bool:
    if wanted.local and operator not in ("==", "!="):
        raise ValueError("not a version specifier: {!r}".format(clause))
    if operator in ("==", "!="):
        same = version == wanted if wanted.local else version.public_key == wanted.public_key
        return same == (operator == "==")
    if operator == "~=":
        if len(wanted.release) < 2:
            raise ValueError("not a version specifier: {!r}".format(clause))
        prefix = Version("{}!{}".format(wanted.epoch, ".".join(map(str, wanted.release[:-1]))))
        return version.public_key >= wanted.public_key and _starts_with(version, prefix)
    if operator == "<=":
        return version.public_key <= wanted.public_key
    if operator == ">=":
        return version.public_key >= wanted.public_key
    if operator == "<":
        return version.public_key < _first_of(wanted)
    return _later(version, wanted)


def _first_of(wanted: Version) -> Tuple[Any, ...]:
    """Return the key that ``<wanted`` stays below: of a release, its earliest pre-release."""
    if wanted.is_prerelease:
        return wanted.public_key
    pre: Tuple[Any, ...] = (0,) if wanted.post is None else (2,)
    return (wanted.base, pre, -1 if wanted.post is None else wanted.post, (0, 0))


def _later(version: Version, wanted: Version) -> bool:
    """Tell whether ``>wanted`` admits a version: neither local versions nor, unless it is one, post-releases of it."""
    if wanted.dev is not None:
        return version.public_key > wanted.public_key
    if wanted.post is not None:
        base, pre, post, _ = wanted.public_key
        return version.public_key >= (base, pre, post + 1, (0, 0))
    family = version.base == wanted.base and version.pre == wanted.pre
    return version.public_key > wanted.public_key and not family


def _starts_with(version: Version, prefix: Version) -> bool:
    release = version.release + (0,) * (len(prefix.release) - len(version.release))
    return version.epoch == prefix.epoch and release[: len(prefix.release)] == prefix.release
