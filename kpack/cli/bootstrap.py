"""``kpack bootstrap``: the line to paste."""

from __future__ import annotations

from pathlib import Path

import click

from kpack import pack
from kpack.cli.session import answer, json_option, tell


@click.command()
@click.argument("path", metavar="PACK", type=click.Path(path_type=Path))
@json_option
def bootstrap(path: Path, *, as_json: bool) -> None:
    r"""Print the line that restores a pack in the offline kernel.

    \b
    kpack bootstrap dist/toxic-comments.kpack.bin
    """
    found = pack.read(path)
    if as_json:
        answer({"pack": str(path), "id": found.id, "bootstrap": found.line})
    else:
        tell(found.line)
