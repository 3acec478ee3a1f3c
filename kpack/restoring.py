"""A pack's own engine, run in another interpreter: what the pasted line does, into a place of one's choice."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from pathlib import Path  # noqa: TC003 - a field's type
from typing import IO, TYPE_CHECKING, NamedTuple

from kpack import __version__
from kpack.errors import IntegrityError, MachineError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

_DRIVER = """(lambda: 0)()
import sys
sys.path[:] = [path for path in sys.path if path]
import json, os, threading
said, told, watched = map(int, sys.argv[1:4])
def look():
    os.read(watched, 1)
    os.kill(os.getpid(), 9)
threading.Thread(target=look, daemon=True).start()
class Answer:
    def __init__(self, other):
        self.other = other
        self.last = ""
    def write(self, text):
        last, self.last = self.last, text
        if text.startswith(('{"pack": ', '{"error": ')) and text.rstrip().endswith("}"):
            data = text.rstrip().encode("ascii") + b"\\n"
            while data:
                data = data[os.write(said, data):]
        elif self.other is not None and not (text == "\\n" and last.startswith("{")):
            self.other.write(text)
        return len(text)
    def flush(self):
        if self.other is not None:
            self.other.flush()
    def __getattr__(self, name):
        return getattr(self.other, name)
sys.stdout = Answer(sys.stdout) if said != 1 else sys.stdout
os.write(told, b"Python ")
import base64, bisect, collections, contextlib, csv, glob, hashlib, heapq, io, mmap, re, shutil, struct, sysconfig, zlib
words = sys.stdin.buffer.readline()
code = sys.stdin.buffer.read()
if not code:
    sys.exit()
os.write(told, b"began ")
try:
    exec(compile(code, "bootstrap.py", "exec"), {**json.loads(words), "__name__": "kpack_bootstrap"})
except SystemExit as stop:
    code = stop.code
else:
    code = 0
os.write(told, b"ended")
for stream in filter(None, (sys.stdout, sys.stderr)):
    try:
        stream.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
sys.exit(code)
"""
"""Runs the bootstrap, which kpack has checked, in another interpreter; the current folder can shadow nothing.

It is started before the pack is read, imports what the engine will, and waits for the bootstrap; its first line is
one that no shell takes. What is written to its stdout is the engine's answer, an object of JSON in one piece, or noise
of whatever else runs in that interpreter (threads, what is left to its end). It says by a pipe when the bootstrap
began and when it ended, having told what came of it: any code that the interpreter runs at its start may end it
instead, with whatever exit code. What a stream did not take, which the engine has told, must not make another exit
code of the interpreter's end. It dies with kpack, which holds the other end of a pipe (`kpack.tether` would keep
Ctrl-C from it): the next restore takes back what it had begun.
"""


class EngineOptions(NamedTuple):
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

    ``expect`` is the id that the pack must have. With ``capture`` the answer, an object of JSON, is in the result.

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
    program = _program(options.python)
    answers = as_json or capture
    with contextlib.ExitStack() as stack:
        # What the interpreter prints when it starts (sitecustomize, .pth files) does not belong into the answer.
        said = stack.enter_context(_temporary()) if answers else None
        watched, _held = map(stack.enter_context, _pipe())
        course, told = map(stack.enter_context, _pipe())  # not a file: the place for temporary ones may be full
        child = stack.enter_context(
            _started(
                [
                    program,
                    "-c",
                    _DRIVER,
                    str(said.fileno() if said is not None else 1),
                    str(told.fileno()),
                    str(watched.fileno()),
                ],
                stdout=subprocess.PIPE if capture else sys.stderr.fileno() if answers else None,
                stderr=subprocess.PIPE if capture else None,
                pass_fds=tuple(stream.fileno() for stream in (said, told, watched) if stream is not None),
            )
        )
        wanted = {
            "target": str(options.target) if options.target is not None else None,
            "dry_run": options.dry_run,
            "compile": options.compile,
            "allow_absolute": options.allow_absolute,
            "obey_managed": True,
            "json": as_json,
        }
        # It starts while what follows is imported, and the pack read.
        import json

        code = _bootstrap(path, expect)
        words = json.dumps({"PACK": str(path.absolute()), "OPTIONS": wanted}).encode("ascii")
        noise, errors = child.communicate(words + b"\n" + code)
        answer = None
        if said is not None:
            said.seek(0)
            answer = said.read()
        os.set_blocking(course.fileno(), False)
        _refuse_silent_end(program, child.returncode, course.read(64) or b"")
    if answer is not None and not capture:
        sys.stdout.buffer.write(answer)
        sys.stdout.flush()
    return subprocess.CompletedProcess(
        child.args, child.returncode, answer, (noise or b"") + errors if capture else None
    )


def exit_code(done: subprocess.CompletedProcess[bytes]) -> int:
    """Return the exit code of a restore as a shell would: an engine that a signal ended has 128 and its number."""
    return done.returncode if done.returncode >= 0 else 128 - done.returncode


def _bootstrap(path: Path, expect: str | None) -> bytes:
    """Return the bootstrap of the pack at ``path``, once it is known to be the expected one, or this kpack's own.

    Raises:
        IntegrityError: the pack is damaged, or another one, or brings other code.
        MachineError: there is no such pack.

    """
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
    return pack.bootstrap_of(found)


def _temporary() -> IO[bytes]:
    import tempfile

    return tempfile.TemporaryFile()


def _pipe() -> tuple[IO[bytes], IO[bytes]]:
    """Return both ends of a pipe: what is written to the second is read from the first."""
    read, write = os.pipe()
    return os.fdopen(read, "rb", buffering=0), os.fdopen(write, "wb", buffering=0)


@contextlib.contextmanager
def _started(
    command: list[str], *, stdout: int | None, stderr: int | None, pass_fds: tuple[int, ...]
) -> Iterator[subprocess.Popen[bytes]]:
    """Start a program that waits for its input; where that never comes, it is ended."""
    try:
        child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=stdout, stderr=stderr, pass_fds=pass_fds)
    except OSError as error:
        raise MachineError(f"it cannot be started: {error.strerror}", where=command[0]) from error
    with child:
        try:
            yield child
        except BaseException:
            child.kill()
            raise


def _refuse_silent_end(python: str, code: int, course: bytes) -> None:
    """Raise MachineError for an interpreter that ended before the bootstrap had said what came of the restore."""
    if course.endswith(b"ended"):
        return
    if not course and not _is_python(python):
        raise MachineError("this is no Python interpreter", where=python, next="name the python of a venv or kernel")
    how = f"exit code {code}" if code >= 0 else f"signal {-code}"
    if b"began" not in course:
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


def _program(python: str | None) -> str:
    """Return the path of an interpreter; None stands for kpack's own."""
    if python is None:
        return sys.executable
    program: str | None = python
    if not os.path.dirname(python) or not os.path.isfile(python) or not os.access(python, os.X_OK):  # noqa: PTH120, PTH113
        import shutil

        program = shutil.which(python)
    if program is None:
        raise MachineError("there is no such interpreter", where=python, next="name the python of a venv or kernel")
    return program


def _is_python(program: str) -> bool:
    """Ask a program whether it is Python; what an environment runs when it starts is left out."""
    done = subprocess.run(
        [program, "-I", "-S", "-c", "print('Python')"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        check=False,
    )
    return done.stdout.strip() == b"Python"
