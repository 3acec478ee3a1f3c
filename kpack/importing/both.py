"""Two entries of ``packages`` for one name that hold at once, as the lines of one requirements file do for pip."""

from __future__ import annotations

from typing import TYPE_CHECKING

from packaging.specifiers import SpecifierSet

from kpack.environment import hashes

if TYPE_CHECKING:
    from packaging.requirements import Requirement

    from kpack.environment.model import Package


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


def _ranges(requirement: Requirement) -> list[str]:
    return [part for part in str(requirement.specifier).split(",") if part]
