"""``kpack build``: the pack, and the line to paste."""

from __future__ import annotations

import dataclasses
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import click

from kpack import beside, building, claims
from kpack import project as projects
from kpack.cache import Cache
from kpack.checkpoints import landing
from kpack.cli import progress
from kpack.cli.interrupt import stoppable
from kpack.cli.session import (
    SCREEN,
    Session,
    answer,
    describe,
    expect_option,
    human_size,
    json_option,
    note,
    say_next,
    tell,
)
from kpack.environment.errors import shown_path
from kpack.errors import CheckFailed, IntegrityError, MachineError
from kpack.fetch import Fetcher
from kpack.files import sha256_of

if TYPE_CHECKING:
    from kpack.pack import BuiltPack

GOING_ON = "the pack that was there still stands, and what was fetched is kept: kpack build goes on from there"
_UNPACKED = (".zip", ".tar", ".gz", ".tgz", ".7z", ".pt", ".pth", ".npz")
"""Suffixes by which Kaggle knows what it unpacks."""
_SHOWN = 8
"""Checkpoints whose place is shown; a repository has hundreds."""


@click.command()
@click.option("-o", "--output", type=click.Path(path_type=Path), help="The file to write; default dist/NAME.kpack.bin.")
@click.option("--check", is_flag=True, help="Build again, beside, and compare with the pack that is there.")
@expect_option("Exit 1 when the pack has another id.")
@click.option("--offline", is_flag=True, help="Use the cache only.")
@click.option(
    "--from",
    "take_from",
    multiple=True,
    metavar="PACK",
    type=click.Path(path_type=Path),
    help="Take the files that the lock still names from an older pack.",
)
@json_option
@click.pass_obj
def build(
    session: Session,
    output: Path | None,
    expect: str | None,
    take_from: tuple[Path, ...],
    *,
    check: bool,
    offline: bool,
    as_json: bool,
) -> None:
    r"""Fetch what the lock names, verify it, and write one reproducible pack.

    \b
    kpack build
    kpack build --check --expect $PACK_ID   same lock, same bytes?
    """
    project = projects.Project.find(session.config)
    out = output or project.pack_path
    digest = None
    before = beside.standing_head(out, project.lock_path if output is None else None)
    if check:
        made, digest = _checked(project, out, expect, offline=offline, take_from=take_from)
    elif expect is not None:
        made = _expected_build(project, out, expect, offline=offline, take_from=take_from)
    else:
        made = _build(project, out, offline=offline, take_from=take_from)
    lands = landing(project.current_lock().checkpoints, project.environment.restore.directory)
    delivered = None if check else beside.deliver(made, before, lands)
    notes = (*made.notes, *(delivered.notes if delivered else ()), *_misnamed(out, project.pack_path.name))
    if as_json:
        answer(
            {
                "pack": str(out),
                "id": made.id,
                "sha256": digest or made.sha256,
                "size": made.size,
                "bootstrap": made.line,
                "checkpoints": [{"path": path, "lands": place} for path, place in lands.items()],
                "notes": list(notes),
                "before": before[0] if before else None,
                "line_file": str(delivered.files.line) if delivered else None,
                "notebook": str(delivered.files.notebook) if delivered else None,
            }
        )
        return
    for text in notes:
        note(text)
    tell(f"{out}: {'the same bytes again' if check else 'built'}, {human_size(made.size)}, id {made.id}")
    shown = len(lands) if SCREEN.volume > 0 else _SHOWN
    for place in list(lands.values())[:shown]:
        describe(f"in the kernel: {place}")
    if len(lands) > shown:
        describe(f"and {len(lands) - shown} more checkpoints; kpack -v build lists all")
    if delivered is not None:
        if delivered.before is not None:
            describe(_news(delivered.before, made.id))
        files = delivered.files
        line, book = shown_path(files.line), shown_path(files.notebook)
        describe(f"Paste this line in the notebook ({line} has it, {book} begins with it):")
        describe("")
        tell(made.line, wrap=False)
    if out == project.pack_path:
        say_next(project)


def _misnamed(out: Path, name: str) -> tuple[str, ...]:
    """Return what there is to say of a pack that is not called as its line calls it."""
    if out.name == name:
        return ()
    unpacked = ", and Kaggle unpacks a file of that kind" if out.name.endswith(_UNPACKED) else ""
    return (f"the line looks for {name}: call it so on Kaggle, or name it by KPACK_PACK{unpacked}",)


def _news(before: str, now: str) -> str:
    """Return what the id means for who has the pack on Kaggle already."""
    if before == now:
        return "same id: nothing to do, the upload and the line are still right"
    return f"id changed (it was {before[:12]}): upload the pack, and paste the new line. kpack diff shows what changed"


def _build(project: projects.Project, out: Path, *, offline: bool, take_from: tuple[Path, ...]) -> BuiltPack:
    made = project.current_lock()
    with stoppable(GOING_ON), progress.building(made.size) as (on_fetch, on_bytes):
        return building.build(
            project,
            Fetcher(Cache(), offline, listener=on_fetch),
            out=out,
            take_from=take_from,
            on_bytes=on_bytes,
        )


def _checked(
    project: projects.Project, out: Path, expect: str | None, *, offline: bool, take_from: tuple[Path, ...]
) -> tuple[BuiltPack, str]:
    """Build beside, compare, and leave the pack that is there alone; return what was built, and its file's SHA-256."""
    from kpack import pack

    before = pack.read(out).id if expect is None else expect
    with _beside(out) as place, claims.held(place):
        made = _build(project, Path(place) / out.name, offline=offline, take_from=take_from)
        _expected(made, before, out)
        digest = made.sha256
        if expect is None and digest != sha256_of(out):
            raise IntegrityError("the pack that is there is damaged", where=str(out), next="run kpack build")
    return made, digest


def _expected_build(
    project: projects.Project, out: Path, expect: str, *, offline: bool, take_from: tuple[Path, ...]
) -> BuiltPack:
    """Build beside, and let the pack take its place only when it is the expected one."""
    with _beside(out) as place, claims.held(place):
        made = _build(project, Path(place) / out.name, offline=offline, take_from=take_from)
        _expected(made, expect, out)
        made.path.replace(out)
    return dataclasses.replace(made, path=out)


def _beside(out: Path) -> tempfile.TemporaryDirectory[str]:
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        return tempfile.TemporaryDirectory(prefix=".kpack-check-", dir=out.parent)
    except OSError as error:
        raise MachineError(f"cannot write: {error.strerror}", where=str(out.parent)) from error


def _expected(made: BuiltPack, expect: str, out: Path) -> None:
    if made.id != expect:
        raise CheckFailed(
            f"the pack's id is {made.id}, {expect} was expected",
            where=str(out),
            next="kpack diff shows what differs between two packs",
        )
