"""How a difference between locks or packs is shown: rows for a person, objects for a machine."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from kpack.cli.session import human_size

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from kpack.pack.difference import Change, Item, Listing


def rows(changes: Sequence[Change]) -> Iterator[str]:
    """Yield a heading for each target, and a line for each change: ``+`` added, ``-`` removed, ``~`` moved."""
    place: str | None = ""
    for change in changes:
        if change.target != place:
            place = change.target
            yield f"{place}:" if place else "checkpoints:"
        yield _row(change)


def total(old: Listing, new: Listing) -> str:
    """Return what the change weighs: ``30.1 MB → 33.4 MB (+3.3 MB)``."""
    more = new.size - old.size
    sign = "-" if more < 0 else "+"
    return f"{human_size(old.size)} → {human_size(new.size)} ({sign}{human_size(abs(more))})"


def objects(changes: Sequence[Change]) -> list[dict[str, Any]]:
    """Return the changes as they stand in JSON."""
    return [asdict(change) for change in changes]


def _row(change: Change) -> str:
    before, after = change.before, change.after
    if before is None and after is not None:
        return f"  + {change.name} {_item(after)}"
    if after is None and before is not None:
        return f"  - {change.name} {_item(before)}"
    assert before is not None
    assert after is not None
    if before.version is not None and before.version == after.version:
        return f"  ~ {change.name} {after.version}: another file ({human_size(before.size)} → {human_size(after.size)})"
    return f"  ~ {change.name} {_item(before)} → {_item(after)}"


def _item(item: Item) -> str:
    version = item.version or f"sha256 {item.sha256[:12]}…"
    return f"{version} ({human_size(item.size)})" if item.size else version
