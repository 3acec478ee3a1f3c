"""``kpack lock``: kaggle-env.toml compiled for the kernel. What it does is in `kpack.cli.locking`."""

from __future__ import annotations

import click

from kpack.cli import complete
from kpack.cli.headstart import headstart
from kpack.cli.interrupt import stoppable
from kpack.cli.session import Session, json_option

GOING_ON = "the lock is as it was; run kpack lock again: what was fetched up to now is not fetched twice"


@click.command()
@click.option("--upgrade", is_flag=True, help="Let go of all pins of the old lock.")
@click.option(
    "-P",
    "--upgrade-package",
    "names",
    multiple=True,
    metavar="NAME",
    help="Let go of one pin: a package's, or a checkpoint's, by its path or URL.",
    shell_complete=complete.packed,
)
@click.option("--check", is_flag=True, help="Write nothing; exit 1 when the lock is stale or missing, and say why.")
@click.option(
    "--strict", is_flag=True, help="Refuse checkpoints without sha256, and old versions of what is asked for."
)
@json_option
@click.pass_obj
def lock(session: Session, names: tuple[str, ...], *, upgrade: bool, check: bool, strict: bool, as_json: bool) -> int:
    r"""Compile kaggle-env.toml to a hashed lock for the kernel's Python and image, from any machine.

    \b
    kpack lock
    kpack lock --upgrade-package sentencepiece
    kpack lock -P checkpoints/model.ckpt   the file is another one this week
    kpack lock --check                     in CI: is the lock still true?
    """
    with stoppable(GOING_ON):
        if check:
            from kpack.cli import locking

            return locking.check(session.config, as_json=as_json)
        with headstart(session.config, renew=upgrade or strict or bool(names)) as workers:
            from kpack.cli import locking

            return locking.lock(session.config, names, upgrade=upgrade, strict=strict, as_json=as_json, workers=workers)
