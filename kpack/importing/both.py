"""Two entries of ``packages`` for one name that hold at once, as the lines of one requirements file do for pip."""

from __future__ import annotations

from typing import TYPE_CHECKING

from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from kpack.environment import hashes
from kpack.environment.requirements import package
from kpack.environment.rows import LONGEST

if TYPE_CHECKING:
    from kpack.environment.model import Package


RANGES = 32
"""Ranges of one entry that are put together: nobody writes more, and to see whether they meet takes their square."""


def joinable(first: Package, second: Package) -> bool:
    """Tell whether two entries are small enough to be put together, or told apart, for `both` and `apart`."""
    one, two = first.requirement, second.requirement
    assert one is not None
    assert two is not None
    # Told apart, each has the marker of the other, too, and says again what both do.
    room = LONGEST - len(f"{one}{two}{one.marker or ''}{two.marker or ''}")
    return len(one.specifier) + len(two.specifier) <= RANGES and room > len(" not in ")


def both(first: Package, second: Package) -> str | None:
    """Return the entry that asks for what two entries of one name and marker ask for; None when no file is both.

    A URL decides the version by itself, and its entry has no range beside it.
    """
    one, two = first.requirement, second.requirement
    assert one is not None
    assert two is not None
    if one.url and two.url and one.url != two.url:
        return None
    extras = ",".join(sorted(one.extras | two.extras))
    name = f"{one.name}[{extras}]" if extras else one.name
    marker = f"; {one.marker}" if one.marker else ""
    url = one.url or two.url
    if url:
        return f"{name} @ {url}{' ' if marker else ''}{marker}"
    ranges = [*dict.fromkeys([*_ranges(one), *_ranges(two)])]
    if SpecifierSet(",".join(ranges)).is_unsatisfiable():
        return None
    pins = [part for part in ranges if part.startswith("==") and not part.endswith(".*")]
    digests = first.hashes or second.hashes
    if first.hashes and second.hashes:
        digests = tuple(digest for digest in first.hashes if digest in second.hashes)
        if not digests:
            return None
    return hashes.joined(f"{name}{','.join(pins if len(pins) == 1 else ranges)}{marker}", digests)


_OPPOSITE = {"<": ">=", ">=": "<", ">": "<=", "<=": ">", "==": "!=", "!=": "==", "in": "not in", "not in": "in"}


def apart(every: Package, some: Package) -> tuple[str, str] | None:
    """Return the two entries, with markers that tell them apart, for one of every kernel and one of some.

    None where no file is both, and for a marker whose opposite is no marker of one comparison.
    """
    assert some.requirement is not None
    marker = some.requirement.marker
    words = str(marker).split(" ")
    opposite = _OPPOSITE.get(" ".join(words[1:-1]))
    if opposite is None:
        return None
    where = both(_where(every, str(marker)), some)
    elsewhere = _where(every, f"{words[0]} {opposite} {words[-1]}")
    return None if where is None else (where, elsewhere.text)


def _where(held: Package, marker: str) -> Package:
    """Return an entry for the kernels of a marker."""
    requirement = Requirement(str(held.requirement))
    requirement.marker = Marker(marker)
    return package(hashes.joined(str(requirement), held.hashes))


def _ranges(requirement: Requirement) -> list[str]:
    return [part for part in str(requirement.specifier).split(",") if part]
