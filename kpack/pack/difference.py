"""What differs between two packs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kpack.pack.read import ReadPack


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """A distribution of one target, or a checkpoint, as one pack has it."""

    version: str | None
    """None for a checkpoint."""
    sha256: str
    size: int
    """Bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One line of a difference: ``before`` is None for what was added, ``after`` for what was removed."""

    kind: str
    """``package`` or ``checkpoint``."""
    target: str | None
    name: str
    before: Item | None
    after: Item | None


def difference(old: ReadPack, new: ReadPack) -> tuple[Change, ...]:
    """Return what was added, removed or changed from ``old`` to ``new``: packages by target, then checkpoints.

    A target that only one pack has shows all its packages as added or removed.
    """
    before, after = _packages(old), _packages(new)
    changes = [
        Change(
            kind="package", target=target, name=name, before=before.get((target, name)), after=after.get((target, name))
        )
        for target, name in sorted(before.keys() | after.keys())
    ]
    stored, wanted = _checkpoints(old), _checkpoints(new)
    changes += [
        Change(kind="checkpoint", target=None, name=path, before=stored.get(path), after=wanted.get(path))
        for path in sorted(stored.keys() | wanted.keys())
    ]
    return tuple(change for change in changes if change.before != change.after)


def _packages(pack: ReadPack) -> dict[tuple[str, str], Item]:
    return {
        (target.label, item.name): Item(version=item.version, sha256=member.sha256, size=member.size)
        for target in pack.manifest.targets
        for item in target.distributions
        for member in [pack.manifest.member(item.wheel)]
    }


def _checkpoints(pack: ReadPack) -> dict[str, Item]:
    return {item.path: Item(version=None, sha256=item.sha256, size=item.size) for item in pack.manifest.checkpoints}
