"""``kpack diff``: what differs between two packs."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from kpack import pack
from kpack.cli.session import answer, human_size, json_option, tell
from kpack.errors import ExitCode
from kpack.pack.difference import Change, Item, difference


@click.command()
@click.argument("old", type=click.Path(path_type=Path))
@click.argument("new", type=click.Path(path_type=Path))
@click.option("--exit-code", is_flag=True, help="Exit 1 when the packs differ.")
@json_option
def diff(old: Path, new: Path, *, exit_code: bool, as_json: bool) -> int:
    r"""Show packages, versions, sizes and checkpoints that were added, removed or changed.

    \b
    kpack diff last-week.kpack.bin dist/toxic-comments.kpack.bin
    """
    first, second = pack.read(old), pack.read(new)
    changes = difference(first, second)
    same = first.id == second.id
    if as_json:
        answer({"same": same, "old": first.id, "new": second.id, "changes": [asdict(change) for change in changes]})
    elif same:
        tell(f"the same pack, id {first.id}")
    else:
        place: str | None = ""
        for change in changes:
            if change.target != place:
                place = change.target
                tell(f"{place}:" if place else "checkpoints:")
            tell(_line(change))
        if not changes:
            tell("the same packages and checkpoints; the lock's or the engine's own text differs")
    return int(ExitCode.CHECK_FAILED if exit_code and not same else ExitCode.DONE)


def _line(change: Change) -> str:
    if change.before is None and change.after is not None:
        return f"  + {change.name} {_item(change.after)}"
    if change.after is None and change.before is not None:
        return f"  - {change.name} {_item(change.before)}"
    assert change.before is not None
    assert change.after is not None
    return f"  ~ {change.name} {_item(change.before)} → {_item(change.after)}"


def _item(item: Item) -> str:
    version = item.version or f"sha256 {item.sha256[:12]}…"
    return f"{version} ({human_size(item.size)})"
