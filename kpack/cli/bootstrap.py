"""``kpack bootstrap``: the line to paste."""

from __future__ import annotations

from pathlib import Path

import click

from kpack import pack
from kpack.cli.images import pack_path
from kpack.cli.session import Session, answer, json_option, say, tell


@click.command()
@click.argument("path", metavar="[PACK]", required=False, type=click.Path(path_type=Path))
@click.option("--copy", is_flag=True, help="Put the line on the clipboard, too.")
@json_option
@click.pass_obj
def bootstrap(session: Session, path: Path | None, *, copy: bool, as_json: bool) -> None:
    r"""Print the line that restores a pack in the offline kernel.

    \b
    kpack bootstrap
    kpack bootstrap dist/toxic-comments.kpack.bin --copy
    """
    found = pack.read(pack_path(session, path))
    if not as_json:
        tell(found.line, wrap=False)
    if copy:
        from kpack.cli.clipboard import copy as put

        say(f"copied by {put(found.line)}")
    if as_json:
        answer({"pack": str(found.path), "id": found.id, "bootstrap": found.line})
