"""The kinds of keys: how a list of names, a moment or a size is read, compared and kept in a lock."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from kpack import licenses, urls
from kpack.environment import hashes, requirements
from kpack.environment.errors import quoted
from kpack.environment.rows import LONGEST_NAME, NAME, SIZE_UNITS, Flag, Kind, Moment, Size, Text, TextMap, Texts

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import date

    from packaging.utils import NormalizedName

    from kpack.environment.model import Exclusion, Package
    from kpack.environment.positions import KeyPath
    from kpack.environment.rows import Reading


def word(shape: Text) -> Kind:
    """Return the kind of a string that a lock keeps as it is."""
    return Kind(shape=shape, kept="text")


def without_credentials(url: str) -> str:
    """Return ``url`` without user name, password and the secrets of its query: they change, and it means the same."""
    return urls.stable(url, fragment=True)


def _names(entries: Sequence[str | None], at: KeyPath, reading: Reading) -> tuple[NormalizedName, ...]:
    return requirements.names(at, entries, reading.mistakes)


_DISTRIBUTION = Text(pattern=NAME, longest=LONGEST_NAME, advice='write a package\'s name alone, like "tokenizers"')


def _sorted(texts: Sequence[str]) -> tuple[str, ...]:
    return tuple(sorted(texts))


NAMES = Kind(shape=Texts(item=_DISTRIBUTION), read=_names, meaning=_sorted, asked=_sorted, kept="names")
"""Names of distributions."""

BASE_NAMES = Kind(
    shape=Texts(item=_DISTRIBUTION), read=_names, meaning=_sorted, asked=_sorted, kept="names", of_base=True
)
"""Names of distributions that a base has."""


def _spdx(entries: Sequence[str | None], at: KeyPath, reading: Reading) -> tuple[str, ...]:
    found = set()
    for number, text in enumerate(entries):
        if text is None:
            continue
        try:
            found.add(licenses.expression(text))
        except ValueError:
            advice = licenses.identifier(text)
            reading.say(
                (*at, number),
                f"{quoted(text)} is no SPDX licence expression",
                f'write "{advice}"' if advice else 'write the identifier of spdx.org/licenses, like "BSD-3-Clause"',
            )
    return _sorted(tuple(found))


SPDX = Kind(shape=Texts(item=Text(longest=LONGEST_NAME)), read=_spdx, meaning=_sorted)
"""SPDX licence expressions."""


def _bases(entries: Sequence[str | None], at: KeyPath, reading: Reading) -> tuple[str, ...]:
    seen: dict[str, int] = {}
    for number, base in enumerate(entries):
        if base is not None and seen.setdefault(base, number) != number:
            reading.say((*at, number), f"{quoted(base)} stands there twice", "remove one")
    return tuple(seen)


BASES = Kind(shape=Texts(item=Text(), single=True, at_least=1), read=_bases, kept="texts")
"""Base images; their order is that of the lock's targets."""


def _exclusions(entries: Sequence[str | None], at: KeyPath, reading: Reading) -> tuple[Exclusion, ...]:
    del at
    return requirements.exclusions(entries, reading.mistakes)


def _excluded(entries: Sequence[Exclusion]) -> tuple[str, ...]:
    return _sorted([one.pattern if one.version is None else f"{one.pattern}=={one.version}" for one in entries])


EXCLUSIONS = Kind(
    shape=Texts(
        item=Text(
            pattern=r"[A-Za-z0-9._*?-]*[A-Za-z0-9][A-Za-z0-9._*?-]*(?: *== *[A-Za-z0-9.+!_-]+)?",
            longest=LONGEST_NAME,
            advice='write a name ("torch-xla"), a pattern ("nvidia-*") or a pin ("torch==2.10.0+cu128")',
        )
    ),
    read=_exclusions,
    meaning=_excluded,
    asked=_excluded,
    kept="texts",
)
"""Names, patterns and pins."""


def _packages(entries: Sequence[str | None], at: KeyPath, reading: Reading) -> tuple[Package, ...]:
    del at
    return requirements.packages(entries, reading.mistakes)


def _package_meaning(package: Package) -> str:
    requirement = package.requirement
    if requirement is None:
        return _path_asked(package)
    extras = ",".join(sorted(canonicalize_name(extra) for extra in requirement.extras))
    source = without_credentials(requirement.url) if requirement.url else str(requirement.specifier)
    meant = f"{canonicalize_name(requirement.name)}[{extras}]{source};{requirement.marker or ''}"
    return hashes.joined(meant, package.hashes)


def _path_asked(package: Package) -> str:
    extras = f"[{','.join(package.extras)}]" if package.extras else ""
    return hashes.joined(f"{package.path}{extras}", package.hashes)


def _package_asked(package: Package) -> str:
    if package.requirement is None:
        return _path_asked(package)
    requirement = Requirement(str(package.requirement))
    requirement.name = canonicalize_name(requirement.name)
    requirement.extras = {canonicalize_name(extra) for extra in requirement.extras}
    return hashes.joined(urls.without_secrets(str(requirement)), package.hashes)


_LONGEST_PACKAGE = 1 << 15
"""Characters of an entry with all its ``--hash`` options: a release may have some two hundred files."""

PACKAGES = Kind(
    shape=Texts(item=Text(longest=_LONGEST_PACKAGE)),
    read=_packages,
    meaning=lambda entries: _sorted([_package_meaning(entry) for entry in entries]),
    asked=lambda entries: _sorted([_package_asked(entry) for entry in entries]),
    kept="texts",
)
"""Requirements and local paths."""


def _moment(value: date, at: KeyPath, reading: Reading) -> datetime | None:
    try:
        if isinstance(value, datetime):
            return (value if value.tzinfo else value.replace(tzinfo=UTC)).astimezone(UTC)
        return datetime(value.year, value.month, value.day, tzinfo=UTC) + timedelta(days=1)
    except OverflowError:
        reading.say(at, f"{value} is too near to the end of the calendar", "write a day of this century")
        return None


MOMENT = Kind(
    shape=Moment(), read=_moment, meaning=lambda moment: moment.isoformat() if moment else None, kept="moment"
)
"""A moment in UTC; a date stands for its whole day, so for the moment at which it ends."""


FLAG = Kind(shape=Flag(), asked=lambda value: value or None, kept="flag")
"""A boolean, false when it is absent."""


def _size(value: int | str, at: KeyPath, reading: Reading) -> int:
    if isinstance(value, int):
        return value
    match = re.fullmatch(r"([0-9.]+) ?([A-Za-z]+)", value)
    assert match is not None
    from fractions import Fraction

    size = int(Fraction(match[1]) * SIZE_UNITS[match[2]])
    if size == 0:
        reading.say(at, f"{quoted(value)} is nothing", "write a number of bytes above 0")
    return size


BUILD_SIZE = Kind(shape=Size(), read=_size, meaning=None)
"""A number of bytes that only a build looks at."""


def _substitutes(table: Mapping[str, str], at: KeyPath, reading: Reading) -> dict[NormalizedName, NormalizedName]:
    found: dict[NormalizedName, NormalizedName] = {}
    for key, text in table.items():
        left, right = canonicalize_name(key), canonicalize_name(text)
        if left == right:
            reading.say((*at, key), f"{quoted(key)} is to stand for itself", "remove it")
        elif left in found:
            reading.say((*at, key), f"{quoted(key)} stands there twice", "remove one")
        found[left] = right
    for key, text in table.items():
        right = canonicalize_name(text)
        if right in found and right != canonicalize_name(key):
            reading.say((*at, key), f"{quoted(text)} is on the left, too", f"write {quoted(found[right])} here")
    return found


def _by_name(substitutes: Mapping[NormalizedName, NormalizedName]) -> dict[str, str]:
    return {str(left): str(right) for left, right in sorted(substitutes.items())}


SUBSTITUTES = Kind(
    shape=TextMap(key=_DISTRIBUTION, value=_DISTRIBUTION),
    read=_substitutes,
    meaning=_by_name,
    asked=_by_name,
    kept="mapping",
)
"""Names of distributions, each with the one that stands for it."""


def _mapping(table: Mapping[str, str], at: KeyPath, reading: Reading) -> dict[str, str]:
    del at, reading
    return dict(table)


def mapping(*, key: Text, value: Text) -> Kind:
    """Return the kind of a table of strings."""
    return Kind(shape=TextMap(key=key, value=value), read=_mapping, meaning=dict, kept="mapping")
