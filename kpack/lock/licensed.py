"""May what a lock packs be packed, by its licences."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kpack import licenses
from kpack.errors import CheckFailed
from kpack.lock.why import why

if TYPE_CHECKING:
    from kpack.environment import Environment
    from kpack.licenses import License
    from kpack.lock.model import Lock
    from kpack.resolve.model import Pin, Resolution


def check_licenses(environment: Environment, resolution: Resolution, lock: Lock) -> tuple[str, ...]:
    """Hold every packed distribution against ``[licenses] allow``; ``lock`` was made of ``resolution``.

    Returns a note for each name of ``unchecked`` that nothing needs.

    Raises:
        CheckFailed: a licence is not allowed; the message says which, and who brought it.

    """
    rules = environment.licenses
    if not rules.allow:
        return ()
    pins = {(pin.name, pin.version): pin for target in resolution.targets for pin in target.packed}
    refused = [
        pin
        for (_, _), pin in sorted(pins.items())
        if pin.name not in rules.unchecked and not licenses.allowed(pin.license, rules.allow)
    ]
    if refused:
        lines = [f"{pin.name} {pin.version}: {pin.license}{_brought(lock, pin)}" for pin in refused]
        raise CheckFailed(
            f"[licenses] allow does not let in {len(refused)} of {len(pins)} distributions:\n  " + "\n  ".join(lines),
            where=str(environment.path),
            next=_advice(refused),
        )
    names = {name for name, _ in pins}
    return tuple(
        f'licenses.unchecked: "{name}" is not packed: the entry does nothing'
        for name in rules.unchecked
        if name not in names
    )


def _brought(lock: Lock, pin: Pin) -> str:
    chain = next((found.chain for found in why(lock, pin.name) if found.chain), ())
    return f" ({' → '.join(chain)})" if chain else ""


def _advice(refused: list[Pin]) -> str:
    named: dict[str, License] = {pin.license.expression: pin.license for pin in refused if pin.license.expression}
    nameless = [str(pin.name) for pin in refused if not pin.license.expression]
    ways = []
    if named:
        ways.append("to take them, add " + ", ".join(f'"{each}"' for each in sorted(named)) + " to allow")
    if nameless:
        listed = ", ".join(f'"{name}"' for name in nameless)
        ways.append(f"read the licence of {', '.join(nameless)} yourself, and write unchecked = [{listed}]")
    return "; ".join(ways) + "; else ask for something else"
