"""What an index's sdist promises to need, and what the wheel that is built of it needs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from kpack.errors import IntegrityError
from kpack.markers import counts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kpack.resolve.model import Pin
    from kpack.target import Target


def check_promise(pin: Pin, target: Target, found: Sequence[str]) -> None:
    """Refuse a built wheel of ``pin`` whose Requires-Dist, ``found``, asks for more than was known at resolution.

    Raises:
        IntegrityError: it needs on ``target`` what nobody knew when versions were chosen.

    """
    if more := _unpromised(pin, target, found):
        raise IntegrityError(
            f"the wheel that its build gives needs {', '.join(more)}, of which its PKG-INFO says nothing",
            where=f"{pin.name} {pin.version}",
            next=f'take another version; or write no-deps = ["{pin.name}"], and what it needs in packages',
        )


def _unpromised(pin: Pin, target: Target, found: Sequence[str]) -> tuple[str, ...]:
    known = {_spelled(line) for line in pin.requires_dist}
    more = (line for line in found if _spelled(line) not in known)
    return tuple(line for line in more if _asked(line, pin.extras, target))


def _spelled(line: str) -> str:
    """Return a requirement in one spelling; what is none as it is."""
    try:
        requirement = Requirement(line)
    except InvalidRequirement:
        return line
    requirement.name = canonicalize_name(requirement.name)
    requirement.extras = {canonicalize_name(extra) for extra in requirement.extras}
    return str(requirement)


def _asked(line: str, extras: Sequence[str], target: Target) -> bool:
    try:
        requirement = Requirement(line)
        return any(counts(requirement, target.environment, each) for each in ("", *extras))
    except ValueError:  # InvalidRequirement, OddMarker
        return True
