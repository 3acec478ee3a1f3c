"""What lies beside a pack: the line as a file, a notebook that begins with it, and the head of the pack before it.

For ``dist/<name>.kpack.bin`` these are ``dist/<name>.line.py``, ``dist/<name>.ipynb`` and ``dist/<name>.previous``.
The last one is bootstrap.py and kpack.json of the pack that stood there: enough for `kpack.pack.read` and for
``kpack diff``, whatever became of the file.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from kpack.errors import IntegrityError, MachineError, UsageError
from kpack.files import given_text, open_regular, replacing, sweep, write_text
from kpack.notebook import LINE_CELL, code, dumps, markdown, with_source
from kpack.notebook.pair import checkpoints_cell
from kpack.pack import SUFFIX, read

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from kpack.pack import BuiltPack, ReadPack


class Beside(NamedTuple):
    """Where the files beside a pack are, whether or not they are there."""

    line: Path
    notebook: Path
    previous: Path


class Delivered(NamedTuple):
    """What `deliver` did."""

    files: Beside
    before: str | None
    """Id of the pack that stood there; None when none did."""
    notes: tuple[str, ...] = ()


def beside(pack: Path) -> Beside:
    """Return the places beside the pack at ``pack``."""
    stem = pack.name.removesuffix(SUFFIX).removesuffix(".kpack")
    return Beside(*(pack.with_name(stem + suffix) for suffix in (".line.py", ".ipynb", ".previous")))


def standing_head(pack: Path, lock: Path | None = None) -> tuple[str, bytes] | None:
    """Return id and head of the pack at ``pack``, before another one takes its place; None when there is no pack.

    With ``lock``, which the other one is made from, the pack may not be that of another lock beside it.

    Raises:
        UsageError: it is: two environments of one folder have one name.

    """
    try:
        found = read(pack)
        if found.is_folder:
            return None
        with open_regular(pack) as stream:
            head = stream.read(found.origin)
    except (IntegrityError, MachineError, OSError):
        return None  # what cannot be read is compared with nothing; the new pack takes its place all the same
    other = found.manifest.lock
    if lock is not None and other != lock.name and lock.with_name(other).exists():
        raise UsageError(
            f"the pack that is there was made from {other}, and this one would be from {lock.name}: both are called "
            f"{found.manifest.name!r}",
            where=str(pack),
            next="give one of them another name in its toml file, or write to another file with --output",
        )
    return found.id, head


def previous(pack: Path) -> ReadPack:
    """Return the pack that stood at ``pack`` before the one that is there now, as far as its head goes.

    Raises:
        UsageError: nothing is known of one.
        IntegrityError: what is kept of it is damaged.

    """
    place = beside(pack).previous
    try:
        return read(place)
    except MachineError as error:
        raise UsageError(
            "nothing is known of a pack before this one",
            where=str(place),
            next="kpack build keeps the head of a pack when it makes another one in its place; "
            "kpack diff OLD NEW compares two files",
        ) from error


def deliver(made: BuiltPack, before: tuple[str, bytes] | None, lands: Mapping[str, str]) -> Delivered:
    """Write what lies beside the pack that was just ``made`` in the place of the one ``before`` (`standing_head`).

    ``lands`` is where its checkpoints are in the kernel. Of a notebook that is there only the cell of the line
    changes: the rest is the user's; one without such a cell is left alone, with a note.

    Raises:
        MachineError: a file cannot be written.

    """
    files, notes = beside(made.path), []
    if before is not None and before[0] != made.id:
        with replacing(files.previous) as stream:
            stream.write(before[1])
    else:
        sweep(files.previous)  # an earlier build that was killed here had made this very pack
    about = f"# Restores {made.name} (pack {made.id[:12]}): the first cell of the notebook."
    write_text(files.line, f"{about}\n{made.line}\n")
    if files.notebook.exists():
        try:
            text = given_text(files.notebook)
            after = with_source(text, LINE_CELL, made.line, str(files.notebook))
        except UsageError:
            notes.append(f"{files.notebook.name} has no cell of kpack's for the line, and was left as it is")
        else:
            if after != text:
                write_text(files.notebook, after)
            else:
                sweep(files.notebook)
    else:
        write_text(files.notebook, _notebook(made, lands))
    return Delivered(files, None if before is None else before[0], tuple(notes))


def _notebook(made: BuiltPack, lands: Mapping[str, str]) -> str:
    about = f"""
# {made.name}

Attach `{made.name}{SUFFIX}` (a dataset or the output of a notebook) and switch the internet off. The first cell
restores the environment. `kpack build` renews that cell and leaves the others as you write them.
"""
    return dumps([
        markdown("kpack-about", about),
        code(LINE_CELL, made.line),
        code("kpack-checkpoints", checkpoints_cell(lands)),
        code("your-code", "# Your code starts here: everything that kaggle-env.toml names can be imported."),
    ])  # fmt: skip
