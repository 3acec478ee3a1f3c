"""``kpack status``: where this environment stands, and the one next command."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from kpack.cli.progress import busy
from kpack.cli.session import Session, answer, json_option, tell
from kpack.errors import typed

if TYPE_CHECKING:
    from kpack.status import Status


@click.command()
@click.option("--offline", is_flag=True, help="Do not ask Kaggle; say what the last push saw.")
@json_option
@click.pass_obj
def status(session: Session, *, offline: bool, as_json: bool) -> None:
    r"""Show where this environment stands: file, lock, pack, dataset on Kaggle, last rehearsal, the next command.

    \b
    kpack status
    kpack status --offline --json
    """
    from kpack.project import Project
    from kpack.status import status as look

    with busy("asking Kaggle"):
        found = look(Project.find(session.config), offline=offline)
    if as_json:
        answer(found.to_dict())
    else:
        show(found)


def show(found: Status) -> None:
    """Print a status on one screen."""
    rows = [
        ("file", str(found.config)),
        ("lock", _lock(found)),
        ("pack", _pack(found)),
        ("dataset", _dataset(found)),
        ("rehearsed", _rehearsed(found)),
        ("next", typed(*found.next)),
    ]
    for name, text in rows:
        tell(f"{name:<10} {text}")


def _lock(found: Status) -> str:
    if found.fresh:
        return "speaks for the file"
    why = "; ".join(found.stale)
    return f"stale: {why}" if found.lock.exists() else why


def _pack(found: Status) -> str:
    if found.id is None:
        return f"{found.pack}: {found.problem}"
    return f"{found.pack}, id {found.id[:12]}" + ("" if found.of_lock else ", of another lock")


def _dataset(found: Status) -> str:
    dataset = found.dataset
    if dataset is None:
        return "none is named ([publish] dataset)"
    source = "" if dataset.asked else f" (as the last kpack push saw it; {dataset.note})"
    if dataset.version is None:
        known = "is not on Kaggle, or not visible" if dataset.asked else "was never pushed from here"
        return f"{dataset.ref} {known}" + ("" if dataset.asked else f" ({dataset.note})")
    whose = "this pack" if dataset.id == found.id else f"another pack, id {(dataset.id or 'unknown')[:12]}"
    ready = "can be mounted" if dataset.mountable else "cannot be mounted yet"
    return f"{dataset.ref} version {dataset.version}: {whose}, {ready}{source}"


def _rehearsed(found: Status) -> str:
    if not found.rehearsals:
        return "never"
    said = []
    for item in found.rehearsals:
        verdict = "passed" if item.ok else "FAILED"
        whose = "this pack" if item.id == found.id else f"another pack, id {item.id[:12]}"
        said.append(f"{item.where} {verdict} on {item.at} ({whose})")
    return "; ".join(said)
