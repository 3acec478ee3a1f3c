"""``kpack record``: run a notebook once, and write what it downloads into kaggle-env.toml."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from kpack.cli.add import finish
from kpack.cli.session import Session, json_option, say

if TYPE_CHECKING:
    from kpack.environment.edit import Edit
    from kpack.recording.found import Recorded


@click.command()
@click.argument("code", metavar="NOTEBOOK|SCRIPT", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--python", metavar="PATH", help="Run it in this interpreter, which has its packages; default: kpack's.")
@click.option(
    "--folder",
    metavar="DIR",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    help="The working folder; default: that of the notebook.",
)
@click.option("--dry-run", is_flag=True, help="Run it, show the change, and write nothing.")
@json_option
@click.pass_obj
def record(
    session: Session, code: Path, python: str | None, folder: Path | None, *, dry_run: bool, as_json: bool
) -> int:
    r"""Run a notebook or script once, the network on, and write what it downloads as [[checkpoints]].

    Caches (Hugging Face, torch hub, NLTK, tiktoken, Keras, …) are empty for it; what it saves in its working folder
    stays there. Afterwards the same code finds the same files offline. What no checkpoint can express is said.

    \b
    kpack record inference.ipynb --python .venv/bin/python
    kpack record download.py --dry-run
    """
    from kpack.environment import edit
    from kpack.environment.edit_restore import set_restore
    from kpack.recording.found import found
    from kpack.recording.observe import observed

    path, text = edit.open_file(session.config)
    with observed(code, python=python, folder=folder) as seen:
        result = found(seen)
    edits = _edits(text, path, result)
    if result.env or result.link:
        edits.append(set_restore(edits[-1].text, path, env=result.env, link=result.link))
    for sentence in result.left:
        say(f"left to you: {sentence}")
    return finish(path, text, edits, dry_run=dry_run, as_json=as_json, left=result.left)


def _edits(text: str, path: Path, result: Recorded) -> list[Edit]:
    from kpack.environment import edit, edit_checkpoints
    from kpack.environment.read import parse

    edits = [edit.Edit(text)]
    landed = {one.path: one.urls for one in parse(text, path).checkpoints if one.path}
    for entry in result.entries:
        others = landed.get(entry.path or "", ())
        if others and entry.url not in others:
            say(f"note: {entry.path} is in the file already, from another URL, and stays")
            continue
        if len(others) > 1:
            continue  # one of several mirrors
        edits.append(
            edit_checkpoints.add_checkpoint(
                edits[-1].text, path, entry.url, sha256=entry.sha256, lands=entry.path, include=entry.include
            )
        )
    return edits
