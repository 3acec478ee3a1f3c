"""What the wheels say of themselves, once all of them are at hand, against what they were locked by.

A resolution reads the metadata that an index serves beside a wheel (PEP 658); an installed distribution has the
wheel's own. Nothing makes the two the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

from packaging.specifiers import SpecifierSet

from kpack import urls
from kpack.errors import IntegrityError
from kpack.resolve.consistency import unmet
from kpack.resolve.model import Pin, TargetResolution

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from kpack.environment.model import Environment
    from kpack.lock.model import Lock, LockedPin, LockedTarget
    from kpack.target import Target

_SHOWN = 5


class OwnMetadata(Protocol):
    """Fields of the METADATA in a wheel."""

    @property
    def requires_dist(self) -> tuple[str, ...]:
        """The Requires-Dist lines, markers kept."""

    @property
    def requires_python(self) -> str:
        """Requires-Python, empty for none."""


class _Fault(NamedTuple):
    wheel: str
    words: str
    next: str


def check(made: Lock, environment: Environment, targets: Sequence[Target], wheels: Mapping[str, OwnMetadata]) -> None:
    """Hold every locked target to what its wheels require by their own METADATA, by file name in ``wheels``.

    What kaggle-env.toml leaves open (``exclude``, ``no-deps``, ``substitute``) is as open as it was for the lock.

    Raises:
        IntegrityError: a wheel requires what the kernel would not have, or another Python.

    """
    faults = [
        fault
        for locked, target in zip(made.targets, targets, strict=True)
        for fault in (*_pythons(locked, target, wheels), *_requirements(environment, locked, target, wheels))
    ]
    if faults:
        sentences = list(dict.fromkeys(fault.words for fault in faults))
        more = f"; and {len(sentences) - _SHOWN} more" if len(sentences) > _SHOWN else ""
        raise IntegrityError("; ".join(sentences[:_SHOWN]) + more, where=faults[0].wheel, next=faults[0].next)


def _pythons(locked: LockedTarget, target: Target, wheels: Mapping[str, OwnMetadata]) -> Iterator[_Fault]:
    for pin in locked.packed:
        wanted = wheels[pin.wheel.filename].requires_python
        try:
            fits = SpecifierSet(wanted).contains(target.python_full_version, prereleases=True)
        except ValueError:
            continue  # it asks for nothing, as in pip
        if not fits:
            yield _Fault(
                pin.wheel.filename,
                f"METADATA in the wheel of {pin.name} {pin.version} asks for Python {wanted}, and {locked.label} has "
                f"{target.python_full_version}; {_origin(pin)} let it pass",
                f"tell the owner of {_owner(pin)}; until then ask for another version of {pin.name}",
            )


def _requirements(
    environment: Environment, locked: LockedTarget, target: Target, wheels: Mapping[str, OwnMetadata]
) -> Iterator[_Fault]:
    pins = {pin.name: pin for pin in locked.packed}
    found = TargetResolution(
        target=target,
        packed=tuple(
            Pin(
                name=pin.name,
                version=pin.version,
                wheel=pin.wheel,
                needed_by=pin.needed_by,
                extras=pin.extras,
                requires_dist=wheels[pin.wheel.filename].requires_dist,
                source=pin.source,
            )
            for pin in locked.packed
        ),
        from_base=locked.leans,
        dropped=locked.dropped,
    )
    base_needs = [need for item in locked.leans for need in item.needed_by]
    for problem in unmet(environment, found):
        pin = pins.get(problem.by)
        if pin is None:
            continue  # an extra of the base's: the lock has seen it
        needs = (*(need for item in locked.packed for need in item.needed_by), *base_needs)
        known = [need.requirement for need in needs if need.by == pin.name]
        asked = f"{problem.requirement.name}{problem.requirement.specifier}"
        yield _Fault(
            pin.wheel.filename,
            f"{problem.words}: so says METADATA in its wheel; by {_origin(pin)} it needs "
            f"{', '.join(known[:_SHOWN]) or 'nothing'}{', …' if len(known) > _SHOWN else ''}",
            f'tell the owner of {_owner(pin)}; until then write "{asked}" in packages and lock, or ask for another '
            f"version of {pin.name}",
        )


def _origin(pin: LockedPin) -> str:
    """Return whose words the lock was made from."""
    if pin.source is not None:
        return "what was known of it at the lock"
    if pin.wheel.index is None:
        return "the metadata which the lock was made from"
    return f"the metadata that {urls.shown(pin.wheel.index)} has for it, which the lock was made from,"


def _owner(pin: LockedPin) -> str:
    return pin.name if pin.source is not None or pin.wheel.index is None else urls.shown(pin.wheel.index)
