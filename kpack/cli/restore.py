"""``kpack restore``: what the pasted line does, into an interpreter or a folder of one's choice.

In its plain forms it begins before this module is imported: see `kpack.shortcut`, which knows the same options.
"""

from __future__ import annotations

from pathlib import Path

import click

from kpack.cli.session import expect_option, json_option
from kpack.restoring import exit_code, run_engine
from kpack.shortcut import Restoring


@click.command()
@click.argument("path", metavar="PACK", type=click.Path(path_type=Path))
@click.option("--python", metavar="PATH", help="Restore into this interpreter.")
@click.option("--target", metavar="DIR", type=click.Path(path_type=Path), help="Restore into this folder.")
@expect_option("Refuse a pack with another id.")
@click.option("--dry-run", is_flag=True, help="Check everything, say what would be done, write nothing.")
@click.option("--compile", "compile_", is_flag=True, help="Byte-compile what is installed.")
@click.option("--allow-absolute", is_flag=True, help="Let checkpoints land at absolute and ~ paths.")
@json_option
def restore(
    path: Path,
    python: str | None,
    target: Path | None,
    expect: str | None,
    *,
    dry_run: bool,
    compile_: bool,
    allow_absolute: bool,
    as_json: bool,
) -> int:
    r"""Restore a pack into an interpreter (--python), or into a folder (--target) for kpack's own interpreter.

    \b
    kpack restore dist/toxic-comments.kpack.bin --python .venv/bin/python
    kpack restore dist/toxic-comments.kpack.bin --target /tmp/env --dry-run
    """
    asked = Restoring(path, python, target, expect, dry_run, compile_, allow_absolute, as_json)
    return exit_code(run_engine(path, asked.options, expect=expect, as_json=as_json))
