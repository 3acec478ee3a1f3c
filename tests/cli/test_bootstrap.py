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


@pytest.mark.parametrize("command", ["bootstrap", "inspect", "verify"])
def test_a_pack_of_another_lock_is_told_unless_it_was_named(tmp_path: Path, command: str) -> None:
    for number in (1, 2):
        make_wheel(tmp_path / "wheels", f"alpha{number}")
    text = 'name = "x"\npython = "3.12"\npackages = ["./wheels/alpha1-1.0-py3-none-any.whl"]\n'
    (tmp_path / "kaggle-env.toml").write_text(text)
    surroundings = {"KPACK_CACHE": str(tmp_path / "cache"), "KPACK_INDEX_URL": "http://127.0.0.1:9/"}
    assert kpack(tmp_path, "lock", **surroundings).code == 0
    assert kpack(tmp_path, "build", **surroundings).code == 0
    fresh = kpack(tmp_path, command)
    assert (fresh.code, fresh.err) == (0, "")
    (tmp_path / "kaggle-env.toml").write_text(text.replace("alpha1", "alpha2"))
    stale = kpack(tmp_path, command)
    assert stale.code == 0
    assert "note: pylock.kaggle-env.toml is stale, and " in stale.err
    assert "run kpack lock, then kpack build" in stale.err
    assert kpack(tmp_path, "lock", **surroundings).code == 0
    other = kpack(tmp_path, command)
    assert other.out == fresh.out
    assert "was built from another lock: run kpack build for the one of pylock.kaggle-env.toml" in other.err
    assert "another lock" not in kpack(tmp_path, command, "dist/x.kpack.bin").err
    assert kpack(tmp_path, "-q", command).err == ""
