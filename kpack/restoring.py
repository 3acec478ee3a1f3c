"""A pack's own engine, run in another interpreter: what the pasted line does, into a place of one's choice."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kpack import __version__, pack
from kpack.errors import IntegrityError, MachineError, UsageError

if TYPE_CHECKING:
    from pathlib import Path

_DRIVER = """
import sys
sys.path[:] = [path for path in sys.path if path]
import json, os
sys.stdout = os.fdopen(int(sys.argv[3]), "w", closefd=False) if sys.argv[3] != "1" else sys.stdout
code = sys.stdin.buffer.read()
exec(compile(code, "bootstrap.py", "exec"), {
    "PACK": sys.argv[1], "OPTIONS": json.loads(sys.argv[2]), "__name__": "kpack_bootstrap",
})
"""
"""Runs the bootstrap, which kpack has checked, in another interpreter; the current folder can shadow nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineOptions:
    """Where and how a pack is restored."""

    python: str | None = None
    """The interpreter to restore into, by path or name; None for kpack's own, which needs ``target``."""
    target: Path | None = None
    """The folder to restore into."""
    dry_run: bool = False
    """Check everything, write nothing."""
    compile: bool = False
    """Byte-compile what is installed."""
    allow_absolute: bool = False
    """Let checkpoints land at absolute and ``~`` paths."""


def run_engine(
    path: Path, options: EngineOptions, *, expect: str | None = None, as_json: bool = False, capture: bool = False
) -> subprocess.CompletedProcess[bytes]:
    """Restore the pack at ``path`` and return the finished process; its exit code is that of `kpack.errors`.

    ``expect`` is the id that the pack must have. With ``capture`` the engine's output is in the result.

    Raises:
        UsageError: neither an interpreter nor a folder is named.
        IntegrityError: the pack is damaged, or has another id.
        MachineError: there is no such pack or interpreter.

    """
    if options.python is None and options.target is None:
        raise UsageError(
            "restore into which interpreter?",
            next="name one with --python PATH, or a folder with --target DIR; the pasted line restores into its own",
        )
    found = pack.read(path)
    if expect is not None and expect != found.id:
        raise IntegrityError(f"the pack's id is {found.id}, {expect} was expected", where=str(path))
    if expect is None and found.manifest.kpack == __version__ and (foreign := pack.foreign_code(found)):
        raise IntegrityError(
            f"{' and '.join(foreign)} is not the code of kpack {__version__}, and it would be run",
            where=str(path),
            next=f"build or download the pack again; --expect {found.id} runs it all the same",
        )
    wanted = {
        "target": str(options.target) if options.target is not None else None,
        "dry_run": options.dry_run,
        "compile": options.compile,
        "allow_absolute": options.allow_absolute,
        "obey_managed": True,
        "json": as_json,
    }
    words = [_interpreter(options.python), "-c", _DRIVER, str(path.absolute()), json.dumps(wanted)]
    code = pack.bootstrap_of(found)
    if not (as_json or capture):
        return subprocess.run([*words, "1"], input=code, check=False)
    # What the interpreter prints when it starts (sitecustomize, .pth files) does not belong into the answer.
    with tempfile.TemporaryFile() as said:
        done = subprocess.run(
            [*words, str(said.fileno())],
            input=code,
            check=False,
            stdout=subprocess.PIPE if capture else sys.stderr.fileno(),
            stderr=subprocess.PIPE if capture else None,
            pass_fds=(said.fileno(),),
        )
        said.seek(0)
        done.stdout, noise = said.read(), done.stdout or b""
    if done.returncode and not done.stdout:
        raise MachineError(
            f"the interpreter ended with exit code {done.returncode} before the restore began, or while it ran",
            where=words[0],
            next="see what it runs when it starts: sitecustomize.py and .pth files of its environment",
        )
    if capture:
        done.stderr = noise + done.stderr
    else:
        sys.stdout.buffer.write(done.stdout)
        sys.stdout.flush()
    return done


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
