"""What a person sees in IPython when a restore fails: the message, and no word on tracebacks."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.restore import kit
from tests.support.interpreters import found
from tests.support.long import long_list
from tests.support.wheels import make_wheel

if TYPE_CHECKING:
    from pathlib import Path

ADVICE = (
    "lock for this image and build again, or pin the notebook's image; "
    "%env KPACK_DRIFT=note in a cell before the line restores anyway"
)

SHELL = """
import sys
from IPython.core.interactiveshell import InteractiveShell
done = InteractiveShell.instance().run_cell(open(sys.argv[1]).read())
print("ended with", type(done.error_in_exec).__name__, done.error_in_exec)
"""


def in_ipython(python: str, code: str, folder: Path, **environ: str) -> tuple[list[str], list[str]]:
    """Run a cell in IPython and return the lines of stdout and stderr."""
    (folder / "cell.py").write_text(code)
    done = subprocess.run(
        [python, "-c", SHELL, "cell.py"],
        cwd=folder,
        env={"PATH": "/usr/bin:/bin", "HOME": str(folder), "KPACK_INPUT": str(folder), **environ},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    return done.stdout.splitlines(), done.stderr.splitlines()


def failures(python: str, folder: Path) -> None:
    """Let the line fail before and after it found the pack."""
    leans = {f"needed-{number}": ("1.0", [("thing", f"needed-{number}>=1")]) for number in range(9)}
    pack = kit.make_pack(folder / "pack", [make_wheel(folder, "thing")], leans=leans)
    out, err = in_ipython(python, pack.line, folder, KPACK_INPUT=str(folder / "none"))
    assert err == [
        f"kpack: no tiny.kpack.bin of id {pack.id[:12]} in {folder / 'none'}",
        "attach or update it, or set KPACK_PACK",
    ]
    assert [row for row in out if row] == ["ended with OSError 7"]
    out, err = in_ipython(python, pack.line, folder)
    assert err[0] == "kpack: the image has drifted from the one that the pack was locked for (9):"
    assert err[1] == "  needed-0 missing (locked against 1.0): it is not installed; needed by thing"
    assert err[8:] == [
        "  and 2 more",
        f"  next: {ADVICE}",
    ]
    assert [row for row in out if row] == ["kpack: not restored, exit code 6", "ended with RuntimeError 6"]


def test_a_failing_line_shows_its_message_and_no_traceback_in_ipython(tmp_path: Path) -> None:
    if importlib.util.find_spec("IPython") is None:
        pytest.skip("IPython is not installed")
    failures(sys.executable, tmp_path)


@long_list
@pytest.mark.index
@pytest.mark.parametrize("series", ["3.8", "3.12"])
def test_the_ipython_of_other_pythons_shows_the_same(series: str, tmp_path: Path) -> None:
    if series not in found():
        pytest.skip(f"there is no Python {series}")
    python = str(kit.make_venv(series, tmp_path / "venv"))
    subprocess.run([sys.executable, "-m", "uv", "pip", "install", "-q", "--python", python, "ipython"], check=True)
    failures(python, tmp_path)
