"""Programs that end when kpack does, however that ends: what they started ends with them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

_LAUNCHER = """
import os, signal, subprocess, sys, threading
def look():
    os.read(int(sys.argv[1]), 1)
    os.killpg(0, signal.SIGKILL)
try:
    child = subprocess.Popen(sys.argv[2:])
except OSError as error:
    sys.exit(f"{sys.argv[2]}: {error.strerror}")
threading.Thread(target=look, daemon=True).start()
code = child.wait()
sys.stderr.flush()
os._exit(code if code >= 0 else 128 - code)
"""
"""Runs a program in a group of its own and reads from a pipe whose other end kpack holds: its end ends the group."""


def run(
    command: Sequence[str],
    *,
    stdin: str = "",
    cwd: str | Path | None = None,
    env: Mapping[str, str] | None = None,
    umask: int = -1,
    timeout: float | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run a program to its end and return what it said, as text.

    When this process dies, by a signal that cannot be caught, too, the program and what it started are killed. Where
    there are no groups of processes (Windows) it is run without that.

    Raises:
        OSError: it cannot be started.
        subprocess.TimeoutExpired: it did not end within ``timeout`` seconds, and was killed.

    """
    if os.name != "posix":
        return subprocess.run(
            command,
            input=stdin,
            cwd=cwd,
            env=env,
            capture_output=True,
            text=True,
            encoding="utf-8",
            errors="replace",
            timeout=timeout,
            check=False,
        )
    with _tethered(command, cwd=cwd, env=env, umask=umask, stdin=subprocess.PIPE, output=subprocess.PIPE) as process:
        out, err = process.communicate(stdin, timeout)
    return subprocess.CompletedProcess(list(command), process.returncode, out, err)


def stream(command: Sequence[str], *, cwd: str | Path | None = None, env: Mapping[str, str] | None = None) -> int:
    """Run a program to its end and return its exit code; it reads nothing, and all that it says goes to stderr.

    It ends with this process as one of `run` does.

    Raises:
        OSError: it cannot be started.

    """
    output = sys.stderr.fileno()
    if os.name != "posix":
        return subprocess.run(
            command, cwd=cwd, env=env, stdin=subprocess.DEVNULL, stdout=output, stderr=output, check=False
        ).returncode
    with _tethered(command, cwd=cwd, env=env, stdin=subprocess.DEVNULL, output=output) as process:
        return process.wait()


@contextmanager
def _tethered(
    command: Sequence[str],
    *,
    cwd: str | Path | None,
    env: Mapping[str, str] | None,
    stdin: int,
    output: int,
    umask: int = -1,
) -> Iterator[subprocess.Popen[str]]:
    """Start a program in a group of its own that ends with this process, and with the block if that raises."""
    watched, held = os.pipe()
    try:
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", _LAUNCHER, str(watched), *command],
            stdin=stdin,
            stdout=output,
            stderr=output,
            cwd=cwd,
            env=env,
            umask=umask,
            text=True,
            encoding="utf-8",
            errors="replace",
            pass_fds=(watched,),
            start_new_session=True,
        )
    except BaseException:
        os.close(held)
        raise
    finally:
        os.close(watched)
    with process:  # its pipes are closed, whatever happens
        try:
            yield process
        except BaseException:
            with suppress(ProcessLookupError):  # it has just ended
                os.killpg(process.pid, signal.SIGKILL)
            raise
        finally:
            os.close(held)
