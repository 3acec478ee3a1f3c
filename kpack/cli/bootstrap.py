"""``kpack bootstrap``: the line to paste."""

from __future__ import annotations

from pathlib import Path

import click

from kpack import pack
from kpack.cli.session import answer, json_option, say, tell


@click.command()
@click.argument("path", metavar="PACK", type=click.Path(path_type=Path))
@click.option("--copy", is_flag=True, help="Put the line on the clipboard, too.")
@json_option
def bootstrap(path: Path, *, copy: bool, as_json: bool) -> None:
    r"""Print the line that restores a pack in the offline kernel.

    \b
    kpack bootstrap dist/toxic-comments.kpack.bin
    kpack bootstrap dist/toxic-comments.kpack.bin --copy
    """
    found = pack.read(path)
    if as_json:
        answer({"pack": str(path), "id": found.id, "bootstrap": found.line})
    else:
        tell(found.line, wrap=False)
    if copy:
        from kpack.cli.clipboard import copy as put

        say(f"copied by {put(found.line)}")
