"""A pack's own engine, run in another interpreter: what the pasted line does, into a place of one's choice."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kpack import __version__
from kpack.errors import IntegrityError, MachineError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

_DRIVER = """
import sys
sys.path[:] = [path for path in sys.path if path]
import json, os, threading
def look():
    os.read(int(sys.argv[5]), 1)
    os.kill(os.getpid(), 9)
threading.Thread(target=look, daemon=True).start()
sys.stdout = os.fdopen(int(sys.argv[3]), "w", closefd=False) if sys.argv[3] != "1" else sys.stdout
code = sys.stdin.buffer.read()
os.write(int(sys.argv[4]), b"began ")
try:
    exec(compile(code, "bootstrap.py", "exec"), {
        "PACK": sys.argv[1], "OPTIONS": json.loads(sys.argv[2]), "__name__": "kpack_bootstrap",
    })
except SystemExit:
    os.write(int(sys.argv[4]), b"ended")
    raise
os.write(int(sys.argv[4]), b"ended")
"""
"""Runs the bootstrap, which kpack has checked, in another interpreter; the current folder can shadow nothing.

It says by a pipe when the bootstrap began and when it ended, having told what came of it: any code that the
interpreter runs at its start may end it instead, with whatever exit code. It dies with kpack, which holds the other
end of a pipe (`kpack.tether` would keep Ctrl-C from it): the next restore takes back what it had begun.
"""


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
        MachineError: there is no such pack or interpreter, or it ended without a word of the engine.

    """
    if options.python is None and options.target is None:
        raise UsageError(
            "restore into which interpreter?",
            next="name one with --python PATH, or a folder with --target DIR; the pasted line restores into its own",
        )
    with _asked(options.python) as interpreter:  # it starts while this is imported, and the pack read
        from kpack import pack

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
        words = [interpreter(), "-c", _DRIVER, str(path.absolute()), json.dumps(wanted)]
        code = pack.bootstrap_of(found)
    answers = as_json or capture
    watched, held = os.pipe()
    course, told = os.pipe()  # not a file: the place for temporary ones may be full
    # What the interpreter prints when it starts (sitecustomize, .pth files) does not belong into the answer.
    with (
        tempfile.TemporaryFile() as said,
        os.fdopen(held, "wb"),
        os.fdopen(watched, "rb"),
        os.fdopen(course, "rb", buffering=0) as course_stream,
        os.fdopen(told, "wb"),
    ):
        done = subprocess.run(
            [*words, str(said.fileno()) if answers else "1", str(told), str(watched)],
            input=code,
            check=False,
            stdout=subprocess.PIPE if capture else sys.stderr.fileno() if answers else None,
            stderr=subprocess.PIPE if capture else None,
            pass_fds=(said.fileno(), told, watched),
        )
        said.seek(0)
        os.set_blocking(course, False)
        done.stdout, noise = said.read(), done.stdout or b""
        _refuse_silent_end(words[0], done.returncode, course_stream.read(64) or b"")
    if not answers:
        return done
    if capture:
        done.stderr = noise + done.stderr
    else:
        sys.stdout.buffer.write(done.stdout)
        sys.stdout.flush()
    return done


def _refuse_silent_end(python: str, code: int, course: bytes) -> None:
    """Raise MachineError for an interpreter that ended before the bootstrap had said what came of the restore."""
    if course.endswith(b"ended"):
        return
    how = f"exit code {code}" if code >= 0 else f"signal {-code}"
    if not course:
        raise MachineError(
            f"the interpreter ended with {how} before the restore began; nothing was changed",
            where=python,
            next="see what it runs when it starts: sitecustomize.py and .pth files of its environment",
        )
    raise MachineError(
        f"the interpreter ended with {how} while the restore ran",
        where=python,
        next="restore again: the next run cleans up or finishes; if it ends again, see which .pth files it runs",
    )


@contextlib.contextmanager
def _asked(python: str | None) -> Iterator[Callable[[], str]]:
    """Ask a program whether it is Python; yield what returns its path, or raises MachineError when it is not."""
    name = python or sys.executable
    program = shutil.which(name) if python is not None else name
    asked = None
    if python is not None and program is not None:
        asked = subprocess.Popen(
            [program, "-I", "-S", "-c", "print('Python')"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )

    def interpreter() -> str:
        if program is None:
            raise MachineError("there is no such interpreter", where=name, next="name the python of a venv or kernel")
        if asked is not None and asked.communicate()[0].strip() != b"Python":
            raise MachineError("this is no Python interpreter", where=name, next="name the python of a venv or kernel")
        return program

    try:
        yield interpreter
    finally:
        if asked is not None:
            with asked:
                asked.kill()
