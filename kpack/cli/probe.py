"""``kpack probe``: the cell that writes down what a kernel has, and the snapshots that come with kpack."""

from __future__ import annotations

from dataclasses import asdict

import click

from kpack.cli.session import answer, json_option, say, tell


@click.command()
@click.option("--list", "listing", is_flag=True, help="Show the snapshots that kpack ships and their certainty.")
@json_option
def probe(*, listing: bool, as_json: bool) -> None:
    r"""Print a cell that writes down what a Kaggle kernel has.

    Paste it in a notebook with the image that you mean, run it first, download kaggle-base.json, and write
    base = "./kaggle-base.json" in kaggle-env.toml. A probe of your own kernel beats every shipped snapshot.

    \b
    kpack probe > cell.py
    kpack probe --list
    """
    if listing:
        _list(as_json=as_json)
        return
    from kpack.base.probe import cell

    if as_json:
        answer({"cell": cell()})
        return
    tell(cell().rstrip("\n"))
    say("Paste this as the first cell of a fresh notebook session, run it, and download kaggle-base.json.")


def _list(*, as_json: bool) -> None:
    from kpack.base import shipped

    snapshots = shipped()
    if as_json:
        answer({"bases": [asdict(info) for info in snapshots]})
        return
    width = max(len(info.name) for info in snapshots)
    for info in snapshots:
        count = f"{info.distributions} distributions"
        if info.unknown:
            count += f" and {info.unknown} of unknown version"
        tell(f"{info.name:<{width}}  {info.taken}, Python {info.python}, glibc {info.glibc}, {count}")
        tell(f"{'':<{width}}  certainty: {info.certainty}")
        for digest in info.images:
            tell(f"{'':<{width}}  {digest}")
    tell("")
    tell("These lists are reconstructed. A probe of your own kernel (kpack probe) is exact and beats them.")
