"""``kpack remove``: packages and checkpoints out of kaggle-env.toml."""

from __future__ import annotations

import click

from kpack.cli.add import finish
from kpack.cli.session import Session, json_option
from kpack.errors import UsageError


@click.command()
@click.argument("names", nargs=-1, metavar="NAME...")
@click.option("--checkpoint", "checkpoints", multiple=True, metavar="PATH", help="Path or URL of a checkpoint.")
@json_option
@click.pass_obj
def remove(session: Session, names: tuple[str, ...], checkpoints: tuple[str, ...], *, as_json: bool) -> int:
    r"""Remove packages or checkpoints from kaggle-env.toml; comments and order of the others stay.

    \b
    kpack remove sentencepiece
    kpack remove ./fork --checkpoint checkpoints/model.ckpt
    """
    from kpack.environment import edit

    if not names and not checkpoints:
        raise UsageError("nothing to remove", next="name packages, or --checkpoint PATH")
    path, text = edit.open_file(session.config)
    edits = [edit.remove_packages(text, path, names)] if names else []
    for which in checkpoints:
        edits.append(edit.remove_checkpoint(edits[-1].text if edits else text, path, which))
    return finish(path, text, edits, as_json=as_json)
