"""Wheels that are let in by name, or that no name lets in, through pack, verify and restore; scripts that start."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from typing import TYPE_CHECKING

import pytest

from kpack import pack as packs
from kpack.errors import IntegrityError
from tests.restore import kit
from tests.restore.test_install import check_record
from tests.support.odd_wheels import Recipe
from tests.support.wheels import make_wheel, record_digest

if TYPE_CHECKING:
    from pathlib import Path

RECORDS = {
    "a row missing": b"thing-1.0.dist-info/RECORD,,\n",
    "rows of two fields": b"thing.py,x\nthing-1.0.dist-info/METADATA\n",
    "rows of four fields": f"thing.py,{record_digest(b'')},0,more\n".encode(),
    "a wrong digest and a row too many": b"thing.py,sha256=abc,3\ngone.py,sha256=abc,3\n",
    "lines that some readers break": "a\u2028b,,\n".encode(),
    "nothing": b"",
}


@pytest.mark.parametrize("case", RECORDS)
def test_a_record_that_pip_takes_is_let_in_everywhere(tmp_path: Path, kernel: Path, case: str) -> None:
    wheel = make_wheel(tmp_path / "wheels", "thing", record=RECORDS[case])
    with pytest.raises(IntegrityError, match="RECORD is wrong") as refusal:
        kit.make_pack(tmp_path / "strict", [wheel])
    assert 'lax-record = ["thing"]' in refusal.value.next
    pack = kit.make_pack(tmp_path / "pack", [wheel], lax=["thing"])
    notes: list[str] = []
    assert packs.verify(packs.read(pack.path), on_note=notes.append) == ()
    assert notes == list(pack.notes)
    assert "let in by lax-record" in notes[0]
    kit.good(kernel, pack.path)
    check_record(kit.purelib(kernel) / "thing-1.0.dist-info")


def test_an_odd_archive_is_let_in_everywhere(tmp_path: Path, series: str) -> None:
    wheel = make_wheel(tmp_path / "wheels", "thing")
    with zipfile.ZipFile(wheel, "a") as archive:
        archive.comment = b"made by hand"
    with pytest.raises(IntegrityError, match="an archive comment"):
        kit.make_pack(tmp_path / "strict", [wheel])
    pack = kit.make_pack(tmp_path / "pack", [wheel], odd=["thing"])
    assert packs.verify(packs.read(pack.path)) == ()
    assert "let in by lax-archive" in pack.notes[0]
    kit.good(kit.make_venv(series, tmp_path / "venv"), pack.path)


def test_names_with_a_backslash_are_let_in_by_name_and_written_as_pip_writes_them(tmp_path: Path, kernel: Path) -> None:
    wheel = make_wheel(tmp_path / "wheels", "thing", files={"thing.py": "", "data\\one.txt": "1"})
    with pytest.raises(IntegrityError, match="with a backslash") as refusal:
        kit.make_pack(tmp_path / "strict", [wheel])
    assert "lax-archive" in refusal.value.next
    pack = kit.make_pack(tmp_path / "pack", [wheel], odd=["thing"])
    assert packs.verify(packs.read(pack.path)) == ()
    kit.good(kernel, pack.path)
    assert (kit.purelib(kernel) / "data\\one.txt").read_text(encoding="utf-8") == "1"
    check_record(kit.purelib(kernel) / "thing-1.0.dist-info")


def test_odd_metadata_is_read_as_at_home_when_it_is_looked_for_after_the_restore(tmp_path: Path, kernel: Path) -> None:
    said = {
        "one": "Summary: a\x0cName: other\nName: one\nVersion: 1.0\n",
        "two": "Name: two\nVersion:\n 1.0\n",
        "three": "Name: three\rVersion: 1.0\r\rName: other\r",
        "four": "Name: four\nName: Four\nVersion: 1.0\nVersion: 1\n",
    }
    pack = kit.make_pack(tmp_path, [make_wheel(tmp_path, name, metadata=text) for name, text in said.items()])
    assert kit.good(kernel, pack.path).report["changed"] is True
    assert kit.good(kernel, pack.path).report["changed"] is False


def test_all_wheels_that_may_not_enter_are_named_at_once(tmp_path: Path) -> None:
    wheels = [make_wheel(tmp_path, name, record=b"") for name in ("one", "two")]
    with pytest.raises(IntegrityError) as refusal:
        kit.make_pack(tmp_path / "pack", wheels)
    assert all(wheel.name in refusal.value.what for wheel in wheels)
    assert 'lax-record = ["one", "two"]' in refusal.value.next


def test_a_restored_wheel_with_a_local_version_in_its_name_is_there_afterwards(tmp_path: Path, series: str) -> None:
    wheel = make_wheel(tmp_path, "thing", "2.8.3").rename(tmp_path / "thing-2.8.3+cu12-py3-none-any.whl")
    pack = kit.make_pack(tmp_path / "pack", [wheel])
    python = kit.make_venv(series, tmp_path / "venv")
    assert kit.good(python, pack.path).report["changed"] is True
    assert kit.good(python, pack.path).report["changed"] is False


@pytest.mark.parametrize("folder", ["1.0", "1.0_cu1", "1.0+cu1"])
def test_a_local_version_may_stand_in_the_names_of_file_and_folder_and_not_in_metadata(
    tmp_path: Path, series: str, folder: str
) -> None:
    wheel = Recipe(
        version="1.0+cu1",
        metadata="1.0",
        info=f"thing-{folder}",
        files={
            "thing.py": b"",
            f"thing-{folder}.dist-info/METADATA": b"Metadata-Version: 2.1\nName: thing\nVersion: 1.0\n",
            f"thing-{folder}.dist-info/WHEEL": b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        },
        modes={},
        fault="",
        comment=b"",
        nul=0,
        stored=False,
        lax_record=False,
        lax_archive=False,
    ).make(tmp_path)
    pack = kit.make_pack(tmp_path / "pack", [wheel.path])
    python = kit.make_venv(series, tmp_path / "venv")
    assert kit.good(python, pack.path).report["installed"] == [{"name": "thing", "version": "1.0"}]


SCRIPTS = {
    "plain": b"#!python\nprint('ok')\n",
    "windowed": b"#!pythonw -u\nprint('ok')\n",
    "coded": b"#!python\n# -*- coding: latin-1 -*-\nprint('ok' if '\xe9' == chr(233) else 'no')\n",
    "future": b"#!python\n'''doc'''\nfrom __future__ import annotations\nprint('ok')\n",
    "both": b"#!python\n# coding: latin-1\n\n# more\n\"doc\xe9\"\nfrom __future__ import annotations\nprint('ok')\n",
    "ended": b"#!python\r\nprint('ok')\r\n",
    "large": b"#!python\n# " + b"x" * 100_000 + b"\nprint('ok')\n#" + b"x" * 2_000_000,
}


@pytest.mark.parametrize("folder", ["plain", "with a $pace", "long" * 40, "very" * 60])
def test_scripts_start_wherever_the_interpreter_is(tmp_path: Path, series: str, folder: str) -> None:
    files: dict[str, bytes | str] = {f"thing-1.0.data/scripts/{name}": data for name, data in SCRIPTS.items()}
    files["thing.py"] = "def main():\n    print('ok')\n"
    wheel = make_wheel(tmp_path, "thing", files=files, entry_points="[console_scripts]\ncommand = thing:main\n")
    pack = kit.make_pack(tmp_path / "pack", [wheel])
    python = kit.make_venv(series, tmp_path / folder)
    kit.good(python, pack.path)
    for name in (*SCRIPTS, "command"):
        done = subprocess.run([str(python.parent / name)], capture_output=True, text=True, check=False)
        assert (done.stdout, done.returncode) == ("ok\n", 0), (name, done.stderr)
    check_record(kit.purelib(python) / "thing-1.0.dist-info")


def test_a_great_script_takes_no_memory_of_its_size(tmp_path: Path) -> None:
    files: dict[str, bytes | str] = {"thing.py": "", "thing-1.0.data/scripts/big": b"#!python\n" + bytes(300 << 20)}
    pack = kit.make_pack(tmp_path / "pack", [make_wheel(tmp_path, "thing", files=files)])
    limit = "import resource; resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))\n"
    done = kit.restore(sys.executable, pack.path, before=limit, target=str(tmp_path / "target"))
    assert json.loads(done.out)["changed"] is True, done.err
