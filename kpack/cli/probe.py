"""``kpack probe``: the cell that writes down what a kernel has, and the snapshots that come with kpack."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from kpack.cli.progress import phases
from kpack.cli.session import MINUTES, Session, answer, json_option, say, tell

if TYPE_CHECKING:
    from kpack.notebook.probe import Probed

_WAIT = 60
"""Minutes that the notebook may wait in the queue and run."""


@click.command()
@click.option("--list", "listing", is_flag=True, help="Show the snapshots that kpack ships and their certainty.")
@click.option(
    "--kaggle",
    "accelerator",
    type=click.Choice(["gpu", "cpu", "tpu"]),
    help="Run the cell on Kaggle, in a private notebook of that kind, and fetch what it writes.",
)
@click.option(
    "--image", metavar="DIGEST", help="With --kaggle: this image, not the newest (sha256:…, or its full name)."
)
@click.option("-o", "--output", type=click.Path(path_type=Path), help="With --kaggle: default kaggle-base.json.")
@click.option("--use/--no-use", default=None, help="With --kaggle: write it as base in kaggle-env.toml, or do not ask.")
@click.option(
    "--wait",
    "minutes",
    type=MINUTES,
    default=_WAIT,
    show_default=True,
    metavar="MINUTES",
    help="With --kaggle: how long the notebook may wait and run.",
)
@json_option
@click.pass_obj
def probe(
    session: Session,
    accelerator: str | None,
    image: str | None,
    output: Path | None,
    minutes: float,
    *,
    use: bool | None,
    listing: bool,
    as_json: bool,
) -> None:
    r"""Print a cell that writes down what a Kaggle kernel has, or run it on Kaggle.

    Paste it in a notebook with the image that you mean, run it first, download kaggle-base.json, and write
    base = "./kaggle-base.json" in kaggle-env.toml. With --kaggle all that is done for you, in a private notebook
    without internet. A probe of your own kernel beats every shipped snapshot.

    \b
    kpack probe > cell.py
    kpack probe --kaggle gpu
    kpack probe --list
    """
    if accelerator is not None and not listing:
        _kaggle(session, accelerator, image, output, minutes, use=use, as_json=as_json)
        return
    if image is not None or output is not None or use is not None:
        raise click.UsageError("--image, -o and --use go with --kaggle")
    if listing:
        _list(as_json=as_json)
        return
    from kpack.base.probe import cell

    if as_json:
        answer({"cell": cell()})
        return
    tell(cell().rstrip("\n"), wrap=False)
    say("Paste this as the first cell of a fresh notebook session, run it, and download kaggle-base.json.")
    say("Or let kpack do it: kpack probe --kaggle gpu")


def _kaggle(
    session: Session,
    accelerator: str,
    image: str | None,
    output: Path | None,
    minutes: float,
    *,
    use: bool | None,
    as_json: bool,
) -> None:
    from kpack.errors import UsageError
    from kpack.files import write_text
    from kpack.notebook import probe as probing
    from kpack.publish import client, kernel

    named = kernel.image_reference(image, accelerator) if image else None
    config: Path | None = None
    try:
        from kpack import environment

        config = environment.find(Path.cwd()) if session.config is None else session.config
    except UsageError:
        if use:
            raise
    kaggle = client.connect()
    try:
        with phases() as on_phase:
            found = probing.probe(
                kaggle,
                accelerator,
                image=named,
                patience=minutes * 60,
                on_state=lambda state: on_phase(f"probing on Kaggle ({accelerator}): {state}"),
            )
    except kernel.RunFailed as failed:
        from kpack.cli.push import show_log

        show_log(failed.log)
        raise
    place = output or (config.parent if config else Path.cwd()) / probing.NAME
    write_text(place, found.text)
    changed = _use(config, place, use=use, ask=not as_json)
    _tell_probed(found, place, config, changed=changed, as_json=as_json)


def _tell_probed(found: Probed, place: Path, config: Path | None, *, changed: bool, as_json: bool) -> None:
    base = found.base
    if as_json:
        answer({
            "base": str(place),
            "image": found.image,
            "python": base.python_full_version,
            "glibc": ".".join(map(str, base.glibc)),
            "distributions": len(base.distributions),
            "config": str(config) if config else None,
            "changed": changed,
        })  # fmt: skip
        return
    glibc = ".".join(map(str, base.glibc))
    tell(f"{place}: Python {base.python_full_version}, glibc {glibc}, {len(base.distributions)} distributions")
    tell(f"image: {found.image or 'Kaggle does not say which'}{_told_apart(found.image)}")
    if changed:
        tell(f"{config}: base is this snapshot now")
        tell("next: kpack lock")


def _told_apart(image: str | None) -> str:
    """Return which shipped snapshot an image is, in words that follow its digest."""
    from kpack.base import by_digest
    from kpack.base.shipped import built

    if image is None:
        return ""
    known = by_digest(image)
    if known is not None:
        return f", which is {known.name}"
    made = built(image)
    return f", built on {made.day}; no shipped snapshot is of it" if made else ", of which no shipped snapshot is"


def _use(config: Path | None, place: Path, *, use: bool | None, ask: bool) -> bool:
    """Write the snapshot as base in kaggle-env.toml when that is wanted; return whether the file is different now."""
    import os

    from kpack.environment import edit

    if config is None or use is False:
        return False
    ref = os.path.relpath(place.absolute(), config.absolute().parent).replace(os.sep, "/")
    ref = ref if ref.startswith("../") else f"./{ref}"
    if use is None and not (
        ask and sys.stdin.isatty() and click.confirm(f'Write  base = "{ref}"  in {config}?', default=True, err=True)
    ):
        say(f'To use it, write  base = "{ref}"  in {config}, or say --use.')
        return False
    path, text = edit.open_file(config)
    made = edit.set_base(text, path, ref)
    if made.text == text:
        return False
    edit.save(path, made.text)
    return True


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
        probably = f" (probably {info.glibc_inferred})" if info.glibc_inferred else ""
        tell(f"{info.name:<{width}}  {info.taken}, Python {info.python}, glibc {info.glibc}{probably}, {count}")
        tell(f"{'':<{width}}  certainty: {info.certainty}")
        for digest in info.images:
            tell(f"{'':<{width}}  image: {digest}")
        if not info.images:
            tell(f"{'':<{width}}  image: its digest is not known")
    tell("")
    tell("These lists are reconstructed. A probe of your own kernel (kpack probe) is exact and beats them.")
