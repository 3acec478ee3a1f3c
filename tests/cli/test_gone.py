"""What every process has is missing: its working folder was deleted, its standard streams were closed."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not delete it, or do not say which it was")
def test_a_working_folder_that_was_deleted_is_named(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    words = f'cd "{gone}" && rmdir "{gone}" && exec "{sys.executable}" -P -m kpack lock'
    done = subprocess.run(["sh", "-c", words], capture_output=True, text=True, check=False)
    assert done.returncode == 7
    assert done.stderr.startswith(f"kpack: {gone}: the working folder of this process was deleted\n")
    assert "cd" in done.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="it has no shell that closes them")
def test_standard_streams_that_were_closed_are_nobodys_file(tmp_path: Path) -> None:
    code = """if True:
        import os, sys, kpack.__main__ as m
        m._complete_streams()
        there = all(os.fstat(number).st_rdev == os.stat(os.devnull).st_rdev for number in range(3))
        usable = sys.stdin.read() == '' and not sys.stdout.isatty() and not sys.stderr.isatty()
        open('said', 'w').write(f'{there} {usable}')
    """
    command = ["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", sys.executable, "-P", "-c", code]
    assert subprocess.run(command, cwd=tmp_path, check=False).returncode == 0
    assert (tmp_path / "said").read_text(encoding="utf-8") == "True True"
