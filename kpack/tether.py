"""Programs that end when kpack does, however that ends: what they started ends with them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
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
    watched, held = os.pipe()
    try:
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", _LAUNCHER, str(watched), *command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
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
            out, err = process.communicate(stdin, timeout)
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            raise
        finally:
            os.close(held)
    return subprocess.CompletedProcess(list(command), process.returncode, out, err)
