"""Whether a lock still says what kaggle-env.toml and its bases say."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kpack.lock.make import requests_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kpack.base import BaseImage
    from kpack.environment import Environment
    from kpack.lock.model import Lock

_WORDS = {
    "bases": "base",
    "packages": "packages",
    "exclude": "exclude",
    "replace": "replace",
    "allow_source": "allow-source",
    "allow_broken": "allow-broken",
    "allow_preloaded": "allow-preloaded",
    "lax_record": "lax-record",
}


def stale(
    lock: Lock, environment: Environment, bases: Sequence[BaseImage], *, meaning: str | None = None
) -> tuple[str, ...]:
    """Return why ``lock`` does not speak for ``environment`` any more, one sentence each; empty when it does.

    ``meaning`` is the digest of `kpack.environment.digest`, computed when it is not given.
    """
    if meaning is None:
        from kpack.environment.digest import meaning as meaning_of

        meaning = meaning_of(environment)
    reasons = []
    if lock.meaning != meaning:
        reasons = list(_changes(lock, environment)) or [
            "another setting of kaggle-env.toml changed (a checkpoint, an index, …)"
        ]
    locked = {target.base: target.fingerprint for target in lock.targets if target.base}
    for base in bases:
        if base.name in locked and locked[base.name] != base.fingerprint:
            reasons.append(f"the base image {base.name} is another one than when it was locked")
    return tuple(reasons)


def _changes(lock: Lock, environment: Environment) -> list[str]:
    asked = requests_of(environment)
    changes = []
    if lock.name != environment.name:
        changes.append(f"name: {lock.name!r} became {environment.name!r}")
    for field, word in _WORDS.items():
        before: tuple[str, ...] = getattr(lock.requests, field)
        now: tuple[str, ...] = getattr(asked, field)
        added = [item for item in now if item not in before]
        gone = [item for item in before if item not in now]
        if added or gone:
            changes.append(f"{word}: " + ", ".join([*(f"+ {item}" for item in added), *(f"- {item}" for item in gone)]))
        elif before != now:
            changes.append(f"{word}: in another order")
    for field, word in (("python", "python"), ("platform", "platform"), ("exclude_newer", "exclude-newer")):
        old, new = getattr(lock.requests, field), getattr(asked, field)
        if old != new:
            changes.append(f"{word}: {_say(old)} became {_say(new)}")
    if lock.restore.directory != environment.restore.directory:
        changes.append(
            f"restore.directory: {_say(lock.restore.directory)} became {_say(environment.restore.directory)}"
        )
    before_env, now_env = dict(lock.restore.env), dict(environment.restore.env)
    changed = [key for key in sorted(before_env.keys() | now_env.keys()) if before_env.get(key) != now_env.get(key)]
    if changed:
        changes.append(f"restore.env: {', '.join(changed)} changed")
    return changes


def _say(value: object) -> str:
    return "nothing" if value is None else str(value)
