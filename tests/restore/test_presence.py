"""What counts as installed and as the same file, what may be taken over, and what would not be found."""

from __future__ import annotations

import binascii
import csv
import sys
from typing import TYPE_CHECKING

import pytest

from tests.restore import kit
from tests.restore.test_install import check_record
from tests.restore.test_replace import pip_install
from tests.support.wheels import make_wheel, record_digest

if TYPE_CHECKING:
    from pathlib import Path

HERE = ["{}.{}".format(*sys.version_info[:2])]


def forged(data: bytes) -> bytes:
    """Return other bytes of the same size and CRC-32."""
    want = binascii.crc32(data)
    for fill in (b"evil", b"more", b"rest"):
        head = (fill * len(data))[: len(data) - 4]
        table = [0] * 32
        base = binascii.crc32(head + bytes(4))
        for bit in range(32):
            table[bit] = binascii.crc32(head + (1 << bit).to_bytes(4, "little")) ^ base
        rows = [(table[bit], 1 << bit) for bit in range(32)]
        need, tail = want ^ base, 0
        for column in range(31, -1, -1):
            pivot = next((row for row in rows if row[0] >> column & 1), None)
            if pivot is None:
                continue
            rows = [(a ^ pivot[0], b ^ pivot[1]) if a >> column & 1 else (a, b) for a, b in rows if (a, b) != pivot]
            if need >> column & 1:
                need, tail = need ^ pivot[0], tail ^ pivot[1]
        found = head + tail.to_bytes(4, "little")
        if found != data and binascii.crc32(found) == want:
            return found
    raise AssertionError


def test_a_file_of_equal_size_and_sum_is_not_the_verified_one(tmp_path: Path) -> None:
    right = b"import os  # sixteen and more bytes\n"
    wrong = forged(right)
    assert (len(wrong), binascii.crc32(wrong)) == (len(right), binascii.crc32(right))
    target = tmp_path / "target"
    target.mkdir()
    (target / "thing.py").write_bytes(wrong)
    pack = kit.make_pack(
        tmp_path / "pack", [make_wheel(tmp_path, "thing", files={"thing.py": right, "same.py": "x"})], series=HERE
    )
    (target / "same.py").write_text("x")
    done = kit.good(sys.executable, pack.path, target=str(target), tolerate=True)
    assert (target / "thing.py").read_bytes() == right
    assert done.report["notes"] == ["1 file was in the way and overwritten: thing.py"]


def test_two_wheels_do_not_share_a_file_by_its_sum(tmp_path: Path) -> None:
    right = b"import os  # sixteen and more bytes\n"
    wheels = [
        make_wheel(tmp_path, "one", files={"shared.py": forged(right), "none.py": ""}),
        make_wheel(tmp_path, "two", files={"shared.py": right, "none.py": ""}),
    ]
    pack = kit.make_pack(tmp_path / "pack", wheels, series=HERE)
    done = kit.good(sys.executable, pack.path, target=str(tmp_path / "target"))
    assert (tmp_path / "target/shared.py").read_bytes() == right
    assert done.report["notes"] == [
        "one and two both bring shared.py; that of two stays, which is installed later",
    ]
    for name in ("one", "two"):
        check_record(tmp_path / f"target/{name}-1.0.dist-info")


@pytest.mark.parametrize("left", ["empty", "other file", "another's metadata", "no RECORD", "a missing file"])
def test_what_only_looks_installed_is_installed(left: str, tmp_path: Path) -> None:
    target = tmp_path / "target"
    info = target / "victim-1.0.dist-info"
    info.mkdir(parents=True)
    if left == "other file":
        (info / "REQUESTED").touch()
    elif left != "empty":
        name = "other" if left == "another's metadata" else "victim"
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    if left == "a missing file":
        (info / "RECORD").write_text("victim.py,,9\nvictim-1.0.dist-info/METADATA,,\n")
    pack = kit.make_pack(tmp_path / "pack", [make_wheel(tmp_path, "victim")], series=HERE)
    done = kit.good(sys.executable, pack.path, target=str(target), after="import victim; print(victim.VERSION)")
    assert done.printed == ["1.0"]
    assert not (info / "REQUESTED").exists()
    assert any("left over" in note for note in done.report["notes"]) == left.startswith(("empty", "other", "another"))
    check_record(info)
    assert not kit.good(sys.executable, pack.path, target=str(target)).report["changed"]


@pytest.mark.parametrize("before", [True, False])
@pytest.mark.parametrize("said", ["", "Name: victim\n", "Name: other\nVersion: 0.9\n"])
def test_a_folder_of_another_version_whose_metadata_does_not_say_so_is_left_over(
    said: str, before: bool, kernel: Path, tmp_path: Path
) -> None:
    info = kit.purelib(kernel) / "victim-0.5.dist-info"
    replaces = {"victim": "0.9"} if before else {}
    if before:
        pip_install(kernel, [make_wheel(tmp_path, "victim", "0.9")])
    pack = kit.make_pack(tmp_path / "pack", [make_wheel(tmp_path, "victim")], replaces=replaces).path
    info.mkdir()
    (info / "METADATA").write_text(said)
    done = kit.good(kernel, pack, after="import victim; assert victim.VERSION == '1.0'")
    assert done.report["replaced"] == ([{"name": "victim", "from": "0.9", "to": "1.0"}] if before else [])
    assert f"{info} was left over by something else" in done.report["notes"][0]
    assert not kit.good(kernel, pack).report["changed"]


@pytest.mark.parametrize(
    ("info", "metadata"),
    [
        ("victim-1.0", "metadata-version: 2.1\nname: victim\nversion: 1.0\n"),
        ("victim-1.0", "Metadata-Version: 2.1\r\nName:victim\r\nVersion:  1.0 \r\n\r\nVersion: 3\r\n"),
        ("victim-1.0-1", "Metadata-Version: 2.1\nName: victim\nVersion: 1.0-1\n"),
    ],
)
def test_what_is_installed_is_known_however_it_is_spelled(
    info: str, metadata: str, kernel: Path, tmp_path: Path
) -> None:
    version = "1.0.post1" if "-1.0-1" in info else "1.0"
    wheel = make_wheel(tmp_path, "victim", version, info=info, metadata=metadata)
    pack = kit.make_pack(tmp_path / "pack", [wheel]).path
    assert kit.good(kernel, pack, after="import victim").report["changed"]
    assert not kit.good(kernel, pack).report["changed"]


def test_a_failure_brings_back_what_looked_installed(tmp_path: Path) -> None:
    target = tmp_path / "target"
    info = target / "victim-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "REQUESTED").write_text("x")
    (target / "victim.py").write_text("before")
    wheel = make_wheel(tmp_path, "victim", files={"victim.py": "after", "big.bin": bytes(9 << 20)}, stored=True)
    pack = kit.make_pack(tmp_path / "pack", [wheel], series=HERE).path
    before = kit.listing(target)
    data = bytearray(pack.read_bytes())
    data[data.index(bytes(1 << 20)) + 100] = 1
    pack.write_bytes(data)
    assert kit.restore(sys.executable, pack, target=str(target)).code == 5
    assert kit.listing(target) == before


@pytest.mark.parametrize("by", ["PYTHONPATH", "modules"])
def test_what_would_be_hidden_is_refused_before_anything_is_written(by: str, kernel: Path, tmp_path: Path) -> None:
    earlier = tmp_path / "earlier"
    earlier.mkdir()
    (earlier / "thing.py").write_text("VERSION = 'hides'\n")
    if by == "PYTHONPATH":
        (earlier / "thing-0.5.dist-info").mkdir()
        (earlier / "thing-0.5.dist-info/METADATA").write_text("Name: thing\nVersion: 0.5\n")
    pack = kit.make_pack(tmp_path / "pack", [make_wheel(tmp_path, "thing")], replaces={"thing": "0.5"}).path
    before = kit.listing(kit.purelib(kernel))
    env = {"PYTHONPATH": str(earlier)}
    done = kit.restore(kernel, pack, env=env)
    assert done.code == 6, done.out
    assert str(earlier) in done.error["what"]
    assert "PYTHONPATH" in done.error["next"]
    assert kit.listing(kit.purelib(kernel)) == before
    noted = kit.good(kernel, pack, env={**env, "KPACK_DRIFT": "note"})
    assert any(str(earlier) in note for note in noted.report["notes"])
    there = kit.good(kernel, pack, env=env, target=str(tmp_path / "target"), after="import thing; print(thing.VERSION)")
    assert there.printed == ["1.0"]


def test_a_module_in_the_current_folder_is_a_note(kernel: Path, tmp_path: Path) -> None:
    """A script's own folder hides for that script alone, and may be meant to."""
    (tmp_path / "thing.py").write_text("VERSION = 'mine'\n")
    pack = kit.make_pack(tmp_path / "pack", [make_wheel(tmp_path, "thing")]).path
    done = kit.good(kernel, pack, cwd=tmp_path)
    assert any(f"thing in {tmp_path} comes before" in note for note in done.report["notes"])


def test_files_that_another_distribution_lists_stay_when_one_is_replaced(kernel: Path, tmp_path: Path) -> None:
    shared = {"ns/__init__.py": "", "ns/common.py": "C = 1\n"}
    pip_install(
        kernel,
        [
            make_wheel(tmp_path / "old", "thing", files={"thing.py": "VERSION = 1\n", **shared}),
            make_wheel(tmp_path / "old", "stays", files={"ns/stays.py": "", **shared}),
        ],
    )
    pack = kit.make_pack(tmp_path / "pack", [make_wheel(tmp_path, "thing", "2.0")], replaces={"thing": "1.0"}).path
    kit.good(kernel, pack, after="import ns.stays, ns.common, thing; assert thing.VERSION == '2.0'")
    check_record(kit.purelib(kernel) / "stays-1.0.dist-info")


def test_an_egg_info_folder_gives_way_by_its_list_of_files(kernel: Path, tmp_path: Path) -> None:
    lib = kit.purelib(kernel)
    (lib / "thing").mkdir()
    (lib / "thing/__init__.py").write_text("")
    (lib / "thing/old.py").write_text("")
    info = lib / "thing-1.0-py3.12.egg-info"
    info.mkdir()
    (info / "PKG-INFO").write_text("Name: thing\nVersion: 1.0\n")
    (tmp_path / "precious").write_text("of the user")
    (info / "installed-files.txt").write_text(f"../thing/__init__.py\n../thing/old.py\nPKG-INFO\n{tmp_path}/precious\n")
    pack = kit.make_pack(tmp_path / "pack", [make_wheel(tmp_path, "thing", "2.0")], replaces={"thing": "1.0"}).path
    kit.good(kernel, pack, after="import thing; assert thing.VERSION == '2.0'")
    assert not info.exists()
    assert not (lib / "thing").exists()
    assert (tmp_path / "precious").read_text() == "of the user"


def test_the_egg_info_that_a_wheel_ships_of_its_own_sources_is_a_file_of_it(kernel: Path, tmp_path: Path) -> None:
    lib = kit.purelib(kernel)

    def pack(version: str) -> Path:
        shipped = {
            "thing.py": f"VERSION = {version!r}\n",
            "THING.egg-info/PKG-INFO": "Metadata-Version: 1.0\nName: thing\nVersion: 0.1\n",
            "thing-0.2.egg-info": "Metadata-Version: 1.0\nName: thing\nVersion: 0.2\n",
        }
        wheel = make_wheel(tmp_path, "thing", version, files=shipped)
        return kit.make_pack(tmp_path / version, [wheel]).path

    kit.good(kernel, pack("1.0"), after="import thing; assert thing.VERSION == '1.0'")
    assert kit.good(kernel, pack("1.0")).report["changed"] is False
    kit.good(kernel, pack("2.0"), after="import thing; assert thing.VERSION == '2.0'")
    check_record(lib / "thing-2.0.dist-info")
    assert not (lib / "thing-1.0.dist-info").exists()


def test_the_last_wheel_of_a_target_keeps_its_file_and_command(tmp_path: Path) -> None:
    point = "[console_scripts]\nrun = {}:main\n"
    wheels = [
        make_wheel(
            tmp_path,
            name,
            files={
                f"{name}.py": "def main(): print(__name__)\n",
                "shared.py": f"WHO = {name!r}\n",
                "Case.py": name,
                "own": "",
                "Own": "",
            }
            if name == "zz"
            else {f"{name}.py": "def main(): print(__name__)\n", "shared.py": f"WHO = {name!r}\n", "case.py": name},
            entry_points=point.format(name),
        )
        for name in ("zz", "aa")
    ]
    pack = kit.make_pack(tmp_path / "pack", wheels, series=HERE).path
    target = tmp_path / "target"
    done = kit.good(sys.executable, pack, target=str(target), after="import shared; print(shared.WHO)")
    assert done.printed == ["aa"]
    assert "from aa import" in (target / "bin/run").read_text()
    assert done.report["notes"] == [
        "zz and aa both bring 2 files (bin/run, shared.py); those of aa stay, which is installed later",
        "zz and aa bring Case.py and case.py, which differ only in case: on Linux both stay",
    ]
    rows = csv.reader((target / "zz-1.0.dist-info/RECORD").read_text().splitlines())
    assert "bin/run" in {row[0] for row in rows}
    for name in ("zz", "aa"):
        check_record(target / f"{name}-1.0.dist-info")


@pytest.mark.parametrize(
    ("state", "why"),
    [
        ("no RECORD", "it has no RECORD"),
        ("a folder", "its RECORD cannot be read: it is not a regular file"),
        ("no UTF-8", "RECORD cannot be read: "),
        ("no rows", "its RECORD does not list its own metadata"),
        ("a size", "thing.py has 15 bytes, its RECORD says 7"),
        ("a file gone", "thing_b.py, which its RECORD lists, is not there: No such file or directory"),
    ],
)
def test_the_same_version_that_is_not_whole_is_installed_again_even_when_it_is_imported(
    state: str, why: str, kernel: Path, tmp_path: Path
) -> None:
    lib = kit.purelib(kernel)
    files = {"thing.py": "VERSION = '1.0'", "thing_b.py": ""}
    wheel = make_wheel(tmp_path, "thing", files=files)
    pip_install(kernel, [wheel])
    path = lib / "thing-1.0.dist-info/RECORD"
    said = path.read_bytes()
    path.unlink()
    if state == "a folder":
        path.mkdir()
        (path.parent / "link").symlink_to(path.parent, target_is_directory=True)
    elif state == "no UTF-8":
        path.write_bytes(b"\xff,,\n" + said)
    elif state == "no rows":
        path.touch()
    elif state == "a size":
        path.write_bytes(said.replace(b",15", b",7"))
    elif state == "a file gone":
        path.write_bytes(said)
        (lib / "thing_b.py").unlink()
    pack = kit.make_pack(tmp_path / "pack", [wheel]).path
    done = kit.good(kernel, pack, before="import thing\n", after="import thing_b")
    first, *others = done.report["notes"]
    assert first.startswith(f"thing 1.0 is there already, and {why}")
    assert first.endswith("; it is installed again")
    assert others == ["already imported, so this process goes on with the old one: thing"]
    check_record(lib / "thing-1.0.dist-info")
    assert kit.good(kernel, pack).report["notes"] == []


def test_a_folder_that_the_record_of_what_is_there_lists_is_no_fault(kernel: Path, tmp_path: Path) -> None:
    wheel = make_wheel(tmp_path, "thing", files={"thing/__init__.py": ""})
    pip_install(kernel, [wheel])
    record = kit.purelib(kernel) / "thing-1.0.dist-info/RECORD"
    record.write_text(f"thing/,{record_digest(b'')},0\n{record.read_text()}")
    assert kit.good(kernel, kit.make_pack(tmp_path / "pack", [wheel]).path).report["notes"] == []


def test_the_same_version_in_a_folder_that_comes_first_stays(kernel: Path, tmp_path: Path) -> None:
    earlier = tmp_path / "earlier"
    pack = kit.make_pack(tmp_path / "pack", [make_wheel(tmp_path, "thing")]).path
    kit.good(kernel, pack, target=str(earlier))
    (earlier / "thing.py").write_text("VERSION = 'edited'\n")
    done = kit.good(kernel, pack, env={"PYTHONPATH": str(earlier)})
    (note,) = done.report["notes"]
    assert note.endswith(f"; it stays, since {earlier} comes first")
    assert not (kit.purelib(kernel) / "thing.py").exists()
