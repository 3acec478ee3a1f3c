"""``kpack diff``: what differs between two packs, two locks, or a lock and a pack."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import NamedTuple

import click

from kpack import beside, pack
from kpack.cli import changes as shown
from kpack.cli.session import Session, answer, json_option, tell
from kpack.errors import ExitCode
from kpack.lock import load, relative
from kpack.pack.difference import Listing, difference, of_lock, of_manifest
from kpack.project import Project


class _Side(NamedTuple):
    id: str
    """Of a pack; for a lock the SHA-256 of what it says."""
    holds: Listing
    is_lock: bool


@click.command()
@click.argument("old", required=False, type=click.Path(path_type=Path))
@click.argument("new", required=False, type=click.Path(path_type=Path))
@click.option("--exit-code", is_flag=True, help="Exit 1 when they differ.")
@json_option
@click.pass_obj
def diff(session: Session, old: Path | None, new: Path | None, *, exit_code: bool, as_json: bool) -> int:
    r"""Show packages, versions, sizes and checkpoints that were added, removed or changed.

    OLD and NEW are packs, or locks (*.toml). Without NEW it is the project's own pack, or its lock when OLD is one;
    without both, what the last build changed: kpack keeps the head of the pack that stood there before.

    \b
    kpack diff
    kpack diff last-week.kpack.bin
    kpack diff main/pylock.kaggle-env.toml pylock.kaggle-env.toml
    """
    first, second = _sides(session, old, new)
    changes = difference(first.holds, second.holds)
    same = not changes if first.is_lock != second.is_lock else first.id == second.id
    if as_json:
        answer({"same": same, "old": first.id, "new": second.id, "changes": shown.objects(changes)})
    elif same:
        both = "lock" if first.is_lock else "pack"
        tell(f"the same {both}, id {first.id}" if first.id == second.id else "the same packages and checkpoints")
    else:
        for row in shown.rows(changes):
            tell(row)
        if changes:
            tell(f"together: {shown.total(first.holds, second.holds)}")
        else:
            text = (
                "what the locks say besides differs" if first.is_lock else "the lock's or the engine's own text differs"
            )
            tell(f"the same packages and checkpoints; {text}")
    return int(ExitCode.CHECK_FAILED if exit_code and not same else ExitCode.DONE)


def _sides(session: Session, old: Path | None, new: Path | None) -> tuple[_Side, _Side]:
    if old is not None and new is not None:
        return _side(old), _side(new)
    project = Project.find(session.config)
    if old is None:
        return _of_pack(beside.previous(project.pack_path)), _side(project.pack_path)
    return _side(old), _side(project.lock_path if _is_lock(old) else project.pack_path)


def _is_lock(path: Path) -> bool:
    return path.suffix == ".toml"


def _side(path: Path) -> _Side:
    if not _is_lock(path):
        return _of_pack(pack.read(path))
    found = load(path)
    return _Side(hashlib.sha256(relative(found).encode()).hexdigest(), of_lock(found), is_lock=True)


def _of_pack(found: pack.ReadPack) -> _Side:
    return _Side(found.id, of_manifest(found.manifest), is_lock=False)
