"""Whether a lock still says what kaggle-env.toml and its bases say."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kpack.lock.requests import changes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kpack.base import BaseImage
    from kpack.environment import Environment
    from kpack.lock.model import Lock


def stale(
    lock: Lock, environment: Environment, bases: Sequence[BaseImage], *, meaning: str | None = None
) -> tuple[str, ...]:
    """Return why ``lock`` does not speak for ``environment`` any more, one sentence each; empty when it does.

    ``meaning`` is the digest of `kpack.environment.digest`, computed when it is not given.
    """
    if meaning is None:
        from kpack.environment.digest import meaning_digest

        meaning = meaning_digest(environment)
    reasons = []
    if lock.meaning != meaning:
        reasons = _changes(lock, environment) or [
            "another setting of kaggle-env.toml changed (a checkpoint, an index, …)"
        ]
    locked = {target.base: target.fingerprint for target in lock.targets if target.base}
    for base in bases:
        if base.name in locked and locked[base.name] != base.fingerprint:
            reasons.append(f"the base image {base.name} is another one than when it was locked")
    if environment.apt and not reasons:
        from kpack.debian import locking

        asked = {target.base: target.system.asked for target in lock.targets if target.system}
        reasons += [
            f"the system packages of {base.name} are others than when it was locked"
            for base in bases
            if asked.get(base.name) != locking.asked(environment, base)
        ]
    return tuple(reasons)


def _changes(lock: Lock, environment: Environment) -> list[str]:
    renamed = [f"name: {lock.name!r} became {environment.name!r}"] if lock.name != environment.name else []
    return [*renamed, *changes(lock.requests, lock.restore, environment)]
