"""What every process has is missing: its working folder was deleted, its standard streams were closed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.support.terminal import ROOT

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
        import os, sys, kpack.streams as m
        m.install()
        there = all(os.fstat(number).st_rdev == os.stat(os.devnull).st_rdev for number in range(3))
        usable = sys.stdin.read() == '' and not sys.stdout.isatty() and not sys.stderr.isatty()
        open('said', 'w').write(f'{there} {usable}')
    """
    command = ["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", sys.executable, "-P", "-c", code]
    assert subprocess.run(command, cwd=tmp_path, check=False).returncode == 0
    assert (tmp_path / "said").read_text(encoding="utf-8") == "True True"


WORDS = {"probe --list --json": 0, "verify none.bin --json": 7, "--oops": 2}
"""An answer, an error as JSON, and one that click tells; their exit codes."""

FORKS = """if True:
    import json, os, sys
    import kpack.__main__, kpack.cli.probe, kpack.cli.verify
    gone = os.pipe()[1]
    full = os.open('/dev/full', os.O_WRONLY)
    os.close(gone - 1)
    found = []
    for words in json.loads(sys.argv[1]):
        for out, err in zip(('closed', 'gone', 'gone', 'full', 'full'), ('kept', 'kept', 'gone', 'kept', 'full')):
            child = os.fork()
            if not child:
                sys.argv[1:] = words.split()
                kept = os.open('said', os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
                for number, led in ((1, out), (2, err)):
                    os.dup2({'kept': kept, 'closed': kept, 'gone': gone, 'full': full}[led], number)
                    if led == 'closed':
                        os.close(number)
                kpack.__main__.main()
                os._exit(99)
            code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            found.append([words, out, err, code, open('said').read() if err == 'kept' else ''])
    print(json.dumps(found))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no file that is always full")
def test_streams_that_take_nothing_change_no_exit_code_but_that_of_an_answer_that_is_lost(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-P", "-c", FORKS, json.dumps(list(WORDS))],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    for words, out, err, code, said in json.loads(done.stdout):
        lost = out == "full" and not WORDS[words]
        assert code == (7 if lost else WORDS[words]), (words, out, err, said)
        assert ("stdout: cannot write: No space left on device" in said) == (
            (out, err) == ("full", "kept") and words != "--oops"
        ), (words, out, err, said)
        if words.startswith("verify") and (out, err) == ("full", "kept"):  # the error itself is not lost, too
            assert "kpack: none.bin: there is no pack" in said
        assert "Traceback" not in said
        assert "ignored" not in said
