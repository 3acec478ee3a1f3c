"""Where things go, and how they are moved there."""

from __future__ import annotations

import os
import sys
import sysconfig
import tempfile
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kpack.restore import record, scheme, wheelzip
from kpack.restore.errors import RestoreError, machine_error
from kpack.restore.journal import Journal, undo
from kpack.restore.moves import make_folders, relocate
from kpack.restore.state import State
from tests.restore.kit import make_pack, make_venv, purelib, restore
from tests.support.long import examples
from tests.support.wheels import make_wheel


def test_a_python_whose_distutils_alone_was_patched_installs_to_its_local_folder(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    series = "python{}.{}".format(*sys.version_info[:2])
    stock = {
        key: f"/opt/x/{key}" for key in ("stdlib", "purelib", "platlib", "include", "scripts", "data", "platinclude")
    }
    local = f"/opt/x/local/lib/{series}/dist-packages"
    monkeypatch.setattr(sysconfig, "get_paths", lambda: dict(stock))
    monkeypatch.setattr(sys, "prefix", "/opt/x")
    monkeypatch.setattr(sys, "base_prefix", "/opt/x")
    monkeypatch.setattr(sys, "path", ["/somewhere", local])
    found = scheme._before_310()
    assert (found["purelib"], found["platlib"], found["scripts"]) == (local, local, "/opt/x/local/bin")
    monkeypatch.setattr(sys, "path", ["/somewhere", stock["purelib"]])
    assert scheme._before_310() == stock


def test_the_default_scheme_is_that_of_sysconfig() -> None:
    found = scheme.default()
    assert found.purelib == sysconfig.get_path("purelib")
    assert found.scripts == sysconfig.get_path("scripts")
    assert found.root("headers", "thing") == f"{found.include}/thing"
    with pytest.raises(KeyError):
        found.root("elsewhere", "thing")


def other_device(tmp_path: Path) -> Path:
    for name in ("/dev/shm", str(Path.home()), "/tmp"):
        place = Path(name)
        if place.is_dir() and place.stat().st_dev != tmp_path.stat().st_dev and os.access(place, os.W_OK):
            return place
    pytest.skip("there is only one file system to write to")


def test_files_are_moved_across_file_systems(tmp_path: Path) -> None:
    with tempfile.TemporaryDirectory(dir=other_device(tmp_path)) as other:
        source, goal = tmp_path / "tool", Path(other) / "tool"
        source.write_text("content")
        source.chmod(0o755)
        relocate(str(source), str(goal))
        assert not source.exists()
        assert (goal.read_text(), goal.stat().st_mode & 0o777) == ("content", 0o755)
        assert [path.name for path in Path(other).iterdir()] == ["tool"]
        (tmp_path / "link").symlink_to("nowhere")
        relocate(str(tmp_path / "link"), str(Path(other) / "link"))
        assert (Path(other) / "link").readlink() == Path("nowhere")
        with pytest.raises(RestoreError, match="cannot move"):
            relocate(str(tmp_path / "missing"), str(goal))


def test_undoing_twice_is_as_good_as_once(tmp_path: Path) -> None:
    made: list[str] = []
    make_folders(str(tmp_path / "a" / "b"), made)
    assert made == [str(tmp_path / "a"), str(tmp_path / "a" / "b")]
    (tmp_path / "a/b/new.py").write_text("new")
    (tmp_path / "aside").mkdir()
    (tmp_path / "aside/0").write_text("old")
    (tmp_path / "kept.py").write_text("new, in the place of the old")
    journal = Journal(
        "run",
        "id",
        "name",
        folders=made,
        files=[str(tmp_path / "a/b/new.py"), str(tmp_path / "never-written")],
        metadata=[],
        aside=[(str(tmp_path / "kept.py"), str(tmp_path / "aside/0")), ("/never/moved", str(tmp_path / "aside/1"))],
        staging=[],
        emptied=[],
        witnesses=[],
    )
    for _ in range(2):
        assert undo(journal) == []
        assert sorted(path.name for path in tmp_path.iterdir()) == ["aside", "kept.py"]
        assert (tmp_path / "kept.py").read_text() == "old"


def fail_under_lock(folder: Path) -> None:
    with State(scheme.for_target(str(folder / "lib"))).locked():
        assert (folder / "lib/.kpack/lock").exists()
        raise RuntimeError


def test_state_leaves_nothing_behind_when_nothing_was_done(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError):
        fail_under_lock(tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not os.path.exists("/proc/self/cwd"), reason="needs /proc")  # noqa: PTH110
def test_a_working_folder_that_was_deleted_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    with pytest.raises(FileNotFoundError) as caught:
        os.path.abspath("x")  # noqa: PTH100 - what the engine asks
    error = machine_error(caught.value, "restore")
    assert (error.code, error.where, error.what) == (7, str(gone), "the working folder of this process was deleted")
    assert "os.chdir" in error.next


@pytest.mark.parametrize(
    ("number", "words"), [(13, "user who may"), (27, "ulimit -f"), (28, "free some space"), (30, "read-only")]
)
def test_errors_of_the_system_say_what_to_do(number: int, words: str) -> None:
    error = machine_error(OSError(number, os.strerror(number), "/some/where"), "write")
    assert (error.code, error.where) == (7, "/some/where")
    assert os.strerror(number) in error.what
    assert words in error.next


@settings(max_examples=examples(800))
@given(st.lists(st.text(st.sampled_from("ab./:\\ \n\x7f\x85\u00a0é"), max_size=8), max_size=3))
def test_entry_names_are_plain_relative_paths_or_refused(names: list[str]) -> None:
    """All of them are judged at once first, but the answer is that of looking at every part of each."""

    def plain(name: str) -> bool:
        parts = (name.removesuffix("/")).split("/")
        control = any(unicodedata.category(char) == "Cc" for char in name)
        return not (control or "\\" in name or name[1:2] == ":" or any(part in ("", ".", "..") for part in parts))

    odd: list[str] = []
    for allowed in (None, odd):
        try:
            wheelzip._check_names(names, "x.whl", allowed)
        except RestoreError:
            assert not all(map(plain, names))
        else:
            assert all(map(plain, names)) or (odd and all(plain(name.replace("\\", "/")) for name in names))


def test_a_part_of_a_name_is_too_long_by_its_bytes() -> None:
    wheelzip._check_names(["🎉" * 63, "a" * 255, "a/" * 99 + "a"], "x.whl", None)
    for name in ("🎉" * 64, "a" * 256, "a/" * 100 + "a"):
        with pytest.raises(RestoreError, match="are allowed"):
            wheelzip._check_names(["b", name], "x.whl", None)


@given(
    st.dictionaries(
        st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=12),
        st.tuples(st.sampled_from(["", "sha256=abc"]), st.integers(0, 10**12).map(str)),
        max_size=6,
    )
)
def test_a_record_is_read_as_it_was_written(rows: dict[str, tuple[str, str]]) -> None:
    """Rows are sorted by path; commas and quotes in names survive."""
    written = record.dumps(record.RecordEntry(path, digest, size) for path, (digest, size) in rows.items())
    found = record.parse(written, "RECORD")
    assert {path: (row.digest, row.size) for path, row in found.items()} == rows
    assert list(found) == sorted(rows)


def test_names_that_this_python_would_write_in_other_bytes_are_refused(tmp_path: Path) -> None:
    wheel = make_wheel(tmp_path, "demo", files={"demo/__init__.py": "", "demo/é.txt": "x", "demo/日本.py": ""})
    plain = make_wheel(tmp_path, "plain")
    python = make_venv("3.8", tmp_path / "v")
    for name, wheels, checkpoints in [("odd", [wheel], {}), ("mark", [plain], {"é.bin": b"x"})]:
        pack = make_pack(tmp_path / "p", wheels, name=name, checkpoints=checkpoints).path
        done = restore(python, pack, env={"LC_ALL": "C", "PYTHONUTF8": "0"})
        assert done.code == 7, done.out + done.err
        assert "this Python names files in ascii" in done.error["what"]
        assert "PYTHONUTF8=1" in done.error["next"]
        assert not [path for path in purelib(python).iterdir() if path.name != ".kpack"]
