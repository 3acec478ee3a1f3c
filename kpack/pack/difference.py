"""What differs between two locks, two packs, or a lock and a pack."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kpack.lock import Lock
    from kpack.restore.manifest import Manifest


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """A distribution or system package of one target, or a checkpoint, as one lock or pack has it."""

    version: str | None
    """None for a checkpoint."""
    sha256: str
    size: int
    """Bytes; 0 where a lock does not know."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One line of a difference: ``before`` is None for what was added, ``after`` for what was removed."""

    kind: str
    """``package``, ``system`` or ``checkpoint``."""
    target: str | None
    name: str
    before: Item | None
    after: Item | None


class Listing(NamedTuple):
    """What a lock names or a pack holds."""

    packages: Mapping[tuple[str, str], Item]
    """By target and name."""
    system: Mapping[tuple[str, str], Item]
    """System packages, by target and name."""
    checkpoints: Mapping[str, Item]
    """By path."""

    @property
    def size(self) -> int:
        """Bytes of the distinct files."""
        return sum({item.sha256: item.size for group in self for item in group.values()}.values())


NOTHING = Listing({}, {}, {})
"""What there is before the first lock."""


def of_lock(lock: Lock) -> Listing:
    """Return what a lock names."""
    return Listing(
        {
            (target.label, pin.name): Item(version=str(pin.version), sha256=pin.wheel.sha256, size=pin.wheel.size or 0)
            for target in lock.targets
            for pin in target.packed
        },
        {
            (target.label, item.name): Item(version=item.version, sha256=item.sha256, size=item.size)
            for target in lock.targets
            if target.system is not None
            for item in target.system.packages
        },
        {item.path: Item(version=None, sha256=item.sha256, size=item.size) for item in lock.checkpoints},
    )


def of_manifest(manifest: Manifest) -> Listing:
    """Return what a pack holds."""
    members = {member.path: member for member in manifest.members}
    return Listing(
        {
            (target.label, item.name): Item(
                version=item.version, sha256=members[item.wheel].sha256, size=members[item.wheel].size
            )
            for target in manifest.targets
            for item in target.distributions
        },
        {
            (target.label, item.name): Item(
                version=item.version, sha256=members[item.member].sha256, size=members[item.member].size
            )
            for target in manifest.targets
            for item in target.system
        },
        {item.path: Item(version=None, sha256=item.sha256, size=item.size) for item in manifest.checkpoints},
    )


def difference(old: Listing, new: Listing) -> tuple[Change, ...]:
    """Return what was added, removed or changed from ``old`` to ``new``: packages by target, then checkpoints.

    Behind the distributions of a target stand its system packages. A target that only one of them has shows all of
    them as added or removed. A file is the same when its digest is, whatever a lock knows of its size.
    """
    groups = (("package", old.packages, new.packages), ("system", old.system, new.system))
    keys = {(target, kind, name) for kind, *both in groups for each in both for target, name in each}
    held = {kind: (before, after) for kind, before, after in groups}
    changes = [
        Change(kind=kind, target=target, name=name, before=before, after=after)
        for target, kind, name in sorted(keys)
        for before, after in [(held[kind][0].get((target, name)), held[kind][1].get((target, name)))]
        if not _same(before, after)
    ]
    changes += [
        Change(kind="checkpoint", target=None, name=path, before=before, after=after)
        for path in sorted(old.checkpoints.keys() | new.checkpoints.keys())
        for before, after in [(old.checkpoints.get(path), new.checkpoints.get(path))]
        if not _same(before, after)
    ]
    return tuple(changes)


def _same(before: Item | None, after: Item | None) -> bool:
    if before is None or after is None:
        return before is after
    return (before.version, before.sha256) == (after.version, after.sha256)
