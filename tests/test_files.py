"""Files appear whole, with the permissions that the user's umask leaves; what is no file is never waited for."""

from __future__ import annotations

import os
import re
import threading
from pathlib import Path

import pytest

from kpack import files
from kpack.errors import KpackError, MachineError
from tests.support.odd_files import ODD, put


@pytest.mark.parametrize("proc", [True, False])
def test_umask_is_respected_and_survives_many_threads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, proc: bool
) -> None:
    if not proc:

        def no_proc(*_: object, **__: object) -> object:
            raise FileNotFoundError

        monkeypatch.setattr("builtins.open", no_proc)
    old = os.umask(0o027)
    try:

        def write(number: int) -> None:
            for turn in range(20):
                files.write_text(tmp_path / f"{number}-{turn}", "x")

        threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert os.umask(0o027) == 0o027
    finally:
        os.umask(old)
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o640}


@pytest.mark.parametrize("kind", ODD)
def test_what_is_no_file_is_nothing_that_kpack_has_kept_and_gives_way(tmp_path: Path, kind: str) -> None:
    path = put(tmp_path / "note", kind)
    with pytest.raises(ValueError, match="there is nothing"):
        files.recalled(path)
    files.keep(path, "[1]")
    assert files.recalled(path) == [1]
    assert files.given_text(path) == "[1]"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_with_something_in_it_is_not_removed_for_a_note(tmp_path: Path) -> None:
    tmp_path.joinpath("note").mkdir()
    tmp_path.joinpath("note", "mine").touch()
    with pytest.raises(MachineError, match="a folder is where kpack keeps a file") as told:
        files.keep(tmp_path / "note", "[1]")
    assert told.value.where == str(tmp_path / "note")
    assert told.value.next
    assert tmp_path.joinpath("note", "mine").exists()


@pytest.mark.parametrize("kind", ODD)
def test_what_is_given_and_no_file_is_a_taught_error(tmp_path: Path, kind: str) -> None:
    path = put(tmp_path / "given", kind)
    kinds = {"folder": "is a folder", "link to nothing": "cannot be read: No such file"}
    with pytest.raises(KpackError, match=kinds.get(kind, "is not a regular file")) as told:
        files.given(path, next="name a notebook")
    assert told.value.exit_code == (7 if kind == "link to nothing" else 2)
    assert (told.value.where, told.value.next) == (str(path), "name a notebook")


@pytest.mark.parametrize("kind", [kind for kind in ODD if kind != "link to nothing"])
def test_no_file_takes_the_place_of_what_is_none(tmp_path: Path, kind: str) -> None:
    path = put(tmp_path / "out", kind)
    before = path.lstat()
    with pytest.raises(MachineError, match=r"cannot write: is (a folder|not a regular file)"):
        files.write_text(path, "x")
    assert os.path.samestat(before, path.lstat())
    assert list(tmp_path.iterdir()) == [path]


OWN_READERS = {
    "kpack/restoring.py": "the null device, in another interpreter",
    "kpack/streams.py": "the null device for what the caller closed",
    "kpack/base/native.py": "tables that kpack ships",
    "kpack/base/probe.py": "its own source",
    "kpack/base/shipped.py": "tables that kpack ships",
    "kpack/cache.py": "the method that others call",
    "kpack/checkpoints/kaggle.py": "a lock in a place that was vacated",
    "kpack/checkpoints/loading.py": "lines for a notebook",
    "kpack/claims.py": "temporary files that were looked at",
    "kpack/cli/clipboard.py": "the terminal",
    "kpack/fetch/client.py": "the method that opens a URL",
    "kpack/fetch/part.py": "bytes in a place that was vacated",
    "kpack/files.py": "the one way",
    "kpack/notebook/pair.py": "lines for a notebook",
    "kpack/pack/admission.py": "its own source",
    "kpack/pack/engine.py": "its own source",
    "kpack/pack/line.py": "its own source",
    "kpack/page/render.py": "templates that kpack ships",
    "kpack/publish/upload.py": "a new file",
    "kpack/pack/verification.py": "a new file",
    "kpack/recording/hub.py": "files of a private folder",
    "kpack/recording/observe.py": "files of a private folder",
}
"""Modules that open files by themselves, and what these are; all others read with `kpack.files`."""

ELSEWHERE = (
    "kpack/restore/",
    "kpack/recording/child/",
    "kpack/rehearse/",
    "kpack/bootstrap.py",
    "kpack/base/probe_cell",
)
"""What runs in kernels and stages: without `kpack.files`, in folders that kpack has made."""


OPENS = re.compile(r"""(?<![\w.])open\(|\bos\.open\(|\.read_(text|bytes)\(|\.open\(["')]""")


def test_every_module_reads_files_in_the_one_way() -> None:
    root = Path(files.__file__).parent.parent
    found = set()
    for path in root.joinpath("kpack").rglob("*.py"):
        name = path.relative_to(root).as_posix()
        if not name.startswith(ELSEWHERE) and OPENS.search(path.read_text(encoding="utf-8")):
            found.add(name)
    assert found == set(OWN_READERS)
