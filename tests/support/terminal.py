"""A terminal for many calls of ``kpack``: one process that has loaded its code, and forks for each.

Loading it takes longer than most of these tests. A fork is still a process of its own: each call has its own folder,
variables and streams, and leaves nothing behind. With ``kaggle`` the process has loaded what Kaggle's client needs,
too; each call imports the client's front anew, as that signs in when it is imported.
"""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
import tempfile
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from tests.support.measured import CONFIG

if TYPE_CHECKING:
    from collections.abc import Mapping

ROOT = Path(__file__).parents[2]

_TIMEOUT = 300
_PACE = 0.05
"""What kpack waits between two questions to Kaggle takes this part of its time here."""


@dataclass(frozen=True)
class Done:
    """What one call of ``kpack`` did."""

    code: int
    out: str
    err: str
    words: tuple[str, ...] = ()
    """The command line."""

    @property
    def json(self) -> Any:
        """The one object on stdout, as its schema has it."""
        from tests.support.answers import checked

        return checked(self.words, self.out)

    @property
    def error(self) -> dict[str, Any]:
        """The ``error`` object of a failed call with ``--json``."""
        held = self.json["error"]
        assert isinstance(held, dict)
        assert held["code"] == self.code
        return held


class Terminal:
    """Starts the process; `run` runs one command line in a fork of it."""

    def __init__(self, *, kaggle: bool = False) -> None:
        self._kaggle = kaggle

    def __enter__(self) -> Self:
        self._child = subprocess.Popen(
            [sys.executable, "-m", "tests.support.terminal", *(["kaggle"] if self._kaggle else [])],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=ROOT,
            env={**os.environ, **CONFIG, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"},
            text=True,
        )
        return self

    def __exit__(self, *_: object) -> None:
        assert self._child.stdin is not None
        assert self._child.stdout is not None
        self._child.stdin.close()
        self._child.stdout.close()
        self._child.wait(10)

    def run(self, words: list[str], cwd: Path, environ: Mapping[str, str]) -> Done:
        """Run ``kpack`` and return what it did."""
        assert self._child.stdin is not None
        assert self._child.stdout is not None
        with tempfile.TemporaryDirectory() as folder:
            out, err = Path(folder, "out"), Path(folder, "err")
            asked = {"words": words, "cwd": str(cwd), "environ": dict(environ), "out": str(out), "err": str(err)}
            self._child.stdin.write(json.dumps(asked) + "\n")
            self._child.stdin.flush()
            code = int(self._child.stdout.readline())
            said = out.read_text(encoding="utf-8"), err.read_text(encoding="utf-8")
            return Done(code, *said, words=tuple(words))


def _hurry() -> None:
    """Let time pass faster for whoever sleeps."""
    import time

    sleep = time.sleep
    time.sleep = lambda seconds: sleep(float(seconds) * _PACE)


def _call(asked: dict[str, object]) -> int:
    """In the fork: become what was asked for, and run it."""
    import signal

    signal.alarm(_TIMEOUT)
    os.environ.clear()
    environ = asked["environ"]
    assert isinstance(environ, dict)
    os.environ.update(environ)
    os.chdir(str(asked["cwd"]))
    sys.stdin = open(os.devnull, encoding="utf-8")  # noqa: PTH123, SIM115 - for the life of the process
    for stream, number in ((asked["out"], 1), (asked["err"], 2)):
        descriptor = os.open(str(stream), os.O_WRONLY | os.O_CREAT, 0o600)
        os.dup2(descriptor, number)
    from kpack import cli

    words = asked["words"]
    assert isinstance(words, list)
    try:
        code = cli.run(words)
    except BaseException:  # noqa: BLE001 - as the interpreter does with --debug
        traceback.print_exc()
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    return code


def _load_kaggle() -> None:
    """Load what Kaggle's client needs, without the client, signed in nowhere."""
    for name in list(os.environ):
        if name.startswith("KAGGLE") or name.lower().endswith("_proxy"):
            del os.environ[name]
    nowhere = {
        "KAGGLE_API_ENVIRONMENT": "LOCALHOST",
        "HTTPS_PROXY": "http://127.0.0.1:9",
        "HTTP_PROXY": "http://127.0.0.1:9",
    }
    with tempfile.TemporaryDirectory() as home:
        os.environ.update(nowhere, HOME=home, XDG_CONFIG_HOME=home)
        import kaggle  # noqa: F401 - what it needs is loaded with it

        for name in [name for name in sys.modules if name.partition(".")[0] == "kaggle"]:
            del sys.modules[name]
    sys.stdout.flush()  # or every fork says again what the client said


def _main() -> None:
    answers = os.dup(1)
    questions = os.fdopen(os.dup(0), encoding="utf-8")  # exit(), which Kaggle's client calls, closes stdin
    os.dup2(2, 1)  # the client prints how to sign in
    if sys.argv[1:]:
        _load_kaggle()
        _hurry()
    from kpack.cli import COMMANDS
    from tests.support import answers as schemas

    schemas.watch()
    schemas.load()
    for command in COMMANDS:
        importlib.import_module(f"kpack.cli.{command}")
    importlib.import_module("kpack.cli.locking")
    for row in questions:
        child = os.fork()
        if child == 0:
            os._exit(_call(json.loads(row)))
        _, status = os.waitpid(child, 0)
        os.write(answers, f"{os.waitstatus_to_exitcode(status)}\n".encode())


if __name__ == "__main__":
    _main()
