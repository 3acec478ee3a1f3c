"""The line, printed and copied."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from tests.cli.run import kpack
from tests.restore.kit import make_pack
from tests.support.wheels import make_wheel

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("works", [True, False])
def test_the_line_goes_to_the_clipboard_by_the_first_program_that_works(tmp_path: Path, *, works: bool) -> None:
    pack = make_pack(tmp_path / "dist", [make_wheel(tmp_path, "alpha")])
    programs = tmp_path / "bin"
    programs.mkdir()
    kept = tmp_path / "kept"
    for name, code in (("pbcopy", 1), ("wl-copy", 0), ("xclip", 0 if works else 1)):
        place = programs / name
        place.write_text(
            f"#!{sys.executable}\nimport sys\nopen({str(kept)!r}, 'a').write({name!r} + sys.stdin.read())\n"
            f"sys.exit({code})\n"
        )
        place.chmod(0o755)
    done = kpack(tmp_path, "bootstrap", str(pack.path), "--copy", PATH=str(programs), DISPLAY=":0", WAYLAND_DISPLAY="")
    assert done.out.strip() == pack.line
    assert kept.read_text() == f"pbcopy{pack.line}xclip{pack.line}"
    if works:
        assert (done.code, done.err) == (0, "copied by xclip\n")
    else:
        assert done.code == 7 or "the terminal" in done.err  # a test has one or has none
