"""Programs that kpack runs: nothing of them outlives it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from kpack import tether

if TYPE_CHECKING:
    from pathlib import Path

PYTHON = [sys.executable, "-I", "-S", "-c"]


def test_it_returns_what_a_program_said_and_how_it_ended(tmp_path: Path) -> None:
    code = "import os, sys; print(os.getcwd(), sys.stdin.read(), os.environ['X']); print('é', file=sys.stderr)"
    code += "; sys.exit(3)"
    done = tether.run([*PYTHON, code], stdin="ü", cwd=tmp_path, env={"X": "y", "PYTHONUTF8": "1", "LC_ALL": "C.UTF-8"})
    assert (done.returncode, done.stdout, done.stderr) == (3, f"{tmp_path} ü y\n", "é\n")
    assert tether.run([*PYTHON, "import os; os.kill(os.getpid(), 9)"]).returncode == 128 + signal.SIGKILL


def test_what_cannot_be_started_is_told_with_its_name() -> None:
    done = tether.run(["/nowhere/program"])
    assert (done.returncode, done.stderr) == (1, "/nowhere/program: No such file or directory\n")


def test_what_is_streamed_goes_to_stderr_and_reads_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    code = "import sys; print('out', repr(sys.stdin.read()), flush=True); sys.exit('err')"
    assert tether.stream([*PYTHON, code]) == 1
    assert capfd.readouterr() == ("", "out ''\nerr\n")


@pytest.mark.skipif(os.name != "posix", reason="groups of processes")
@pytest.mark.parametrize("way", ["run", "stream"])
def test_a_program_and_what_it_started_end_with_a_parent_that_is_killed(way: str, tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    grandchild = f"import os, time; open({str(pids)!r}, 'a').write(f'{{os.getpid()}} '); time.sleep(600)"
    child = (
        f"import os, subprocess, sys; open({str(pids)!r}, 'a').write(f'{{os.getpid()}} '); "
        f"subprocess.run([sys.executable, '-I', '-S', '-c', {grandchild!r}])"
    )
    parent = subprocess.Popen([sys.executable, "-c", f"from kpack import tether; tether.{way}({[*PYTHON, child]!r})"])
    while not (pids.exists() and len(pids.read_text().split()) == 2):
        time.sleep(0.02)
    parent.kill()
    parent.wait()
    for pid in map(int, pids.read_text().split()):
        while runs(pid):
            time.sleep(0.02)


def runs(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as stream:  # noqa: PTH123
            return stream.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_ctrl_c_at_the_end_of_a_program_is_ctrl_c(monkeypatch: pytest.MonkeyPatch) -> None:
    real = subprocess.Popen.wait

    def pressed(process: subprocess.Popen[str], timeout: float | None = None) -> int:
        code = real(process, timeout)
        if not waited:
            waited.append(code)
            raise KeyboardInterrupt
        return code

    waited: list[int] = []
    monkeypatch.setattr(subprocess.Popen, "wait", pressed)
    with pytest.raises(KeyboardInterrupt):
        tether.stream([*PYTHON, ""])
    assert waited == [0]
