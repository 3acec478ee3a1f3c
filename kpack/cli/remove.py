"""``kpack remove``: packages and checkpoints out of kaggle-env.toml."""

from __future__ import annotations

import click

from kpack.cli import complete
from kpack.cli.add import finish, list_options
from kpack.cli.session import Session, json_option
from kpack.errors import UsageError


@click.command()
@click.argument("names", nargs=-1, metavar="NAME...", shell_complete=complete.of_file("packages"))
@click.option(
    "--checkpoint",
    "checkpoints",
    multiple=True,
    metavar="PATH",
    help="Path or URL of a checkpoint.",
    shell_complete=complete.of_tables("checkpoints", "path"),
)
@click.option(
    "--index",
    "indexes",
    multiple=True,
    metavar="NAME",
    help="Name or URL of an index.",
    shell_complete=complete.of_tables("indexes", "name"),
)
@list_options("Remove a name from")
@json_option
@click.pass_obj
def remove(
    session: Session,
    /,
    names: tuple[str, ...],
    checkpoints: tuple[str, ...],
    indexes: tuple[str, ...],
    *,
    dry_run: bool,
    as_json: bool,
    **lists: tuple[str, ...],
) -> int:
    r"""Remove packages, checkpoints and names from kaggle-env.toml; comments and order of the others stay.

    \b
    kpack remove sentencepiece
    kpack remove transformers --replace transformers --dry-run
    kpack remove ./fork --checkpoint checkpoints/model.ckpt
    """
    from kpack.environment import edit, edit_checkpoints, edit_lists, edit_packages

    if not (names or checkpoints or indexes or any(lists.values())):
        raise UsageError("nothing to remove", next="name packages, or --checkpoint PATH")
    path, text = edit.open_file(session.config)
    edits = [edit_packages.remove_packages(text, path, names)] if names else []
    for key in edit_lists.LISTS:
        if gone := lists[key.replace("-", "_")]:
            edits.append(edit_lists.remove_names(edits[-1].text if edits else text, path, key, gone))
    for which in indexes:
        edits.append(edit_lists.remove_index(edits[-1].text if edits else text, path, which))
    for which in checkpoints:
        edits.append(edit_checkpoints.remove_checkpoint(edits[-1].text if edits else text, path, which))
    return finish(path, text, edits, dry_run=dry_run, as_json=as_json)
