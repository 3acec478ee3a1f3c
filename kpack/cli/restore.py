"""``kpack restore``: what the pasted line does, into an interpreter or a folder of one's choice."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import click

from kpack import pack
from kpack.cli.session import json_option
from kpack.errors import IntegrityError, MachineError, UsageError

_DRIVER = """
import sys
sys.path[:] = [path for path in sys.path if path]
import json
code = sys.stdin.buffer.read()
exec(compile(code, "bootstrap.py", "exec"), {
    "PACK": sys.argv[1], "OPTIONS": json.loads(sys.argv[2]), "__name__": "kpack_bootstrap",
})
"""
"""Runs the bootstrap, which kpack has checked, in another interpreter; the current folder can shadow nothing."""


@click.command()
@click.argument("path", metavar="PACK", type=click.Path(path_type=Path))
@click.option("--python", metavar="PATH", help="Restore into this interpreter.")
@click.option("--target", metavar="DIR", type=click.Path(path_type=Path), help="Restore into this folder.")
@click.option("--expect", metavar="ID", help="Refuse a pack with another id.")
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
    if python is None and target is None:
        raise UsageError(
            "restore into which interpreter?",
            next="name one with --python PATH, or a folder with --target DIR; the pasted line restores into its own",
        )
    found = pack.read(path)
    if expect is not None and expect != found.id:
        raise IntegrityError(f"the pack's id is {found.id}, {expect} was expected", where=str(path))
    options = {
        "target": str(target) if target is not None else None,
        "dry_run": dry_run,
        "compile": compile_,
        "allow_absolute": allow_absolute,
        "obey_managed": True,
        "json": as_json,
    }
    done = subprocess.run(
        [_interpreter(python), "-c", _DRIVER, str(path.absolute()), json.dumps(options)],
        input=pack.bootstrap_of(found),
        check=False,
    )
    return done.returncode if done.returncode >= 0 else 128 - done.returncode


def _interpreter(python: str | None) -> str:
    if python is None:
        return sys.executable
    if (program := shutil.which(python)) is None:
        raise MachineError("there is no such interpreter", where=python, next="name the python of a venv or kernel")
    asked = subprocess.run(
        [program, "-I", "-S", "-c", "print('Python')"], stdin=subprocess.DEVNULL, capture_output=True, check=False
    )
    if asked.stdout.strip() != b"Python":
        raise MachineError("this is no Python interpreter", where=python, next="name the python of a venv or kernel")
    return program
