"""The engine takes only what kpack would have written, even when the digests fit."""

from __future__ import annotations

import os
import random
import shutil
import stat
import struct
import subprocess
import sys
import tarfile
import zipfile
import zlib
from typing import TYPE_CHECKING

import pytest
from packaging.version import Version

from kpack.pack import read
from kpack.pack.verification import verify
from kpack.pack.wheel import Admitted
from kpack.pack.writer import write
from tests.restore import kills, kit
from tests.restore.test_install import check_record
from tests.support.wheels import make_wheel

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from kpack.pack.content import Content, WheelFile
    from kpack.pack.writer import BuiltPack

INFO = "thing-1.0.dist-info"


@pytest.fixture
def ungated(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let any wheel into a pack."""

    def admission(wheel: WheelFile) -> Admitted:
        data = wheel.path.read_bytes()
        at = data.rfind(b"PK\5\6")
        start = struct.unpack_from("<L", data, at + 16)[0] if at >= 0 else len(data) // 2
        start = start if 0 < start < len(data) else len(data) // 2
        return Admitted(
            name="thing",
            version=Version("1.0"),
            size=len(data),
            cuts=(0, start),
            unpacked=0,
            files=0,
        )

    def ungated_write(content: Content, out: Path) -> BuiltPack:
        return write(content, out, admission=admission)

    monkeypatch.setattr(kit, "write", ungated_write)


def refused(tmp_path: Path, wheel: Path, *, what: str = "", before: str = "") -> str:
    """Restore a pack of the wheel beside a good one; expect that nothing is left, return the message."""
    pack = kit.make_pack(tmp_path / "pack", [wheel, make_wheel(tmp_path / "good", "good")], series=[kills.series()])
    target = tmp_path / "place" / "target"
    target.parent.mkdir()
    (tmp_path / "place" / "there").write_text("before")
    done = kit.restore(sys.executable, pack.path, target=str(target), before=before)
    assert (done.code, done.error["code"]) == (5, 5), done.out + done.err
    assert sorted(path.name for path in (tmp_path / "place").iterdir()) == ["there"], "something was left"
    assert "Traceback" not in done.err
    message: str = done.error["what"]
    assert what in message, message
    return message


def zipped(folder: Path, edit: Callable[[zipfile.ZipFile], None]) -> Path:
    """Return a wheel with extra entries that `edit` writes."""
    path = make_wheel(folder, "thing", "1.0")
    with zipfile.ZipFile(path, "a") as archive:
        edit(archive)
    return path


NAMES = [
    "../evil.py",
    "/evil.py",
    "a/../evil.py",
    "a/./b.py",
    "a//b.py",
    "C:evil.py",
    "a\\evil.py",
    "evil\x1b[2J.py",
    "..",
    "thing-1.0.data/purelib/../../evil.py",
    "thing-1.0.data/elsewhere/evil.py",
    "thing-1.0.data/evil.py",
    "thing-1.0.data/scripts/sub/evil",
    "sitecustomize.py",
    "usercustomize/__init__.py",
    "sitecustomize.cpython-311-x86_64-linux-gnu.so",
    "thing-1.0.data/purelib/sitecustomize.py",
    ".kpack/mark-other.json",
    "other-1.0.dist-info/METADATA",
]


@pytest.mark.usefixtures("ungated")
@pytest.mark.parametrize("name", NAMES)
def test_refuses_files_that_would_land_where_no_wheel_may(tmp_path: Path, name: str) -> None:
    message = refused(tmp_path, zipped(tmp_path, lambda archive: archive.writestr(zipfile.ZipInfo(name), "evil")))
    assert "\x1b" not in message


@pytest.mark.usefixtures("ungated")
@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFCHR, stat.S_IFIFO, stat.S_IFDIR])
def test_refuses_links_and_devices(tmp_path: Path, kind: int) -> None:
    def edit(archive: zipfile.ZipFile) -> None:
        info = zipfile.ZipInfo("link.py")
        info.create_system = 3
        info.external_attr = (kind | 0o777) << 16
        archive.writestr(info, "/etc/passwd")

    refused(tmp_path, zipped(tmp_path, edit), what="link.py")


@pytest.mark.usefixtures("ungated")
def test_refuses_a_name_that_stands_twice(tmp_path: Path) -> None:
    def edit(archive: zipfile.ZipFile) -> None:
        with pytest.warns(UserWarning, match="Duplicate"):
            archive.writestr("thing.py", "another")

    refused(tmp_path, zipped(tmp_path, edit), what="twice")


@pytest.mark.usefixtures("ungated")
def test_refuses_a_file_that_is_a_folder_too(tmp_path: Path) -> None:
    refused(tmp_path, zipped(tmp_path, lambda archive: archive.writestr("thing.py/x.py", "")), what="file and a folder")


@pytest.mark.usefixtures("ungated")
@pytest.mark.parametrize("name", ["../evil", "/evil", "a/b", "..", ".", "a\\b"])
def test_refuses_commands_that_leave_the_scripts_folder(tmp_path: Path, name: str) -> None:
    wheel = make_wheel(tmp_path, "thing", entry_points=f"[console_scripts]\n{name} = thing:main\n")
    refused(tmp_path, wheel, what="entry point")


@pytest.mark.usefixtures("ungated")
@pytest.mark.parametrize("value", ["thing", "thing:", "os;import evil:main", "thing:a b", "thing:main()"])
def test_refuses_commands_that_name_no_callable(tmp_path: Path, value: str) -> None:
    wheel = make_wheel(tmp_path, "thing", entry_points=f"[console_scripts]\ncommand = {value}\n")
    refused(tmp_path, wheel, what="callable")


def lied(folder: Path, change: Mapping[str, int], *, local: bool, central: bool, content: bytes = b"x" * 5000) -> Path:
    """Return a wheel with a file whose headers lie: fields by name, in the local header, the central one or both."""
    path = make_wheel(folder, "thing", "1.0", files={"thing.py": "", "lie.bin": content})
    data = bytearray(path.read_bytes())
    offsets = {"method": (8, "<H"), "crc": (14, "<L"), "compressed": (18, "<L"), "size": (22, "<L"), "flags": (6, "<H")}
    at_local = data.index(b"lie.bin") - 30
    at_central = data.rindex(b"lie.bin\x50\x4b") - 46 if b"lie.bin\x50\x4b" in data[at_local + 40 :] else -1
    if at_central < 0:
        at_central = data.rindex(b"lie.bin") - 46
        while data[at_central : at_central + 4] != b"PK\1\2":
            at_central = data.rindex(b"lie.bin", 0, at_central + 46) - 46
    for field, value in change.items():
        offset, form = offsets[field]
        if local:
            struct.pack_into(form, data, at_local + offset, value)
        if central:
            struct.pack_into(form, data, at_central + offset + 2, value)
    path.write_bytes(data)
    return path


LIES: list[dict[str, int]] = [
    {"size": 100},
    {"size": 999999},
    {"compressed": 5},
    {"method": 0},
    {"method": 12},
    {"flags": 1},
]


@pytest.mark.usefixtures("ungated")
@pytest.mark.parametrize("where", ["local", "central", "both"])
@pytest.mark.parametrize("lie", LIES, ids=str)
def test_refuses_headers_that_lie(tmp_path: Path, where: str, lie: dict[str, int]) -> None:
    refused(tmp_path, lied(tmp_path, lie, local=where in ("local", "both"), central=where in ("central", "both")))


@pytest.mark.usefixtures("ungated")
def test_stops_a_bomb_at_its_declared_size(tmp_path: Path) -> None:
    bomb = b"\0" * 300_000_000
    path = lied(tmp_path, {"size": 1000}, local=True, central=True, content=bomb)
    note = (
        "import atexit, pathlib\n"
        f"place = pathlib.Path({str(tmp_path / 'status')!r})\n"
        "atexit.register(lambda: place.write_text(pathlib.Path('/proc/self/status').read_text()))\n"
    )
    refused(tmp_path, path, what="larger than it declares", before=note)
    peak = next(line for line in (tmp_path / "status").read_text().splitlines() if line.startswith("VmHWM"))
    assert int(peak.split()[1]) < 120_000, peak


@pytest.mark.usefixtures("ungated")
@pytest.mark.parametrize("where", ["before", "after", "comment"])
def test_refuses_bytes_around_the_archive(tmp_path: Path, where: str) -> None:
    path = make_wheel(tmp_path, "thing")
    data = path.read_bytes()
    if where == "comment":
        data = data[:-2] + struct.pack("<H", 5) + b"hello"
    path.write_bytes(b"junk" + data if where == "before" else data + b"junk" if where == "after" else data)
    refused(tmp_path, path)


@pytest.mark.usefixtures("ungated")
@pytest.mark.parametrize("missing", ["RECORD", "WHEEL"])
def test_refuses_wheels_without_their_metadata(tmp_path: Path, missing: str) -> None:
    path = make_wheel(tmp_path, "thing")
    with zipfile.ZipFile(path) as archive:
        kept = [(item, archive.read(item)) for item in archive.infolist() if not item.filename.endswith(missing)]
    with zipfile.ZipFile(path, "w") as archive:
        for item, data in kept:
            archive.writestr(item, data)
    refused(tmp_path, path, what=missing)


@pytest.mark.usefixtures("ungated")
@pytest.mark.parametrize("line", ["Wheel-Version: 2.0", "Wheel-Version: 1", "Root-Is-Purelib:\n true"])
def test_refuses_wheels_of_another_kind(tmp_path: Path, line: str) -> None:
    path = make_wheel(tmp_path, "thing")
    key = line.partition(":")[0]
    with zipfile.ZipFile(path) as archive:
        kept = [(item, archive.read(item)) for item in archive.infolist()]
    with zipfile.ZipFile(path, "w") as archive:
        for item, data in kept:
            if item.filename.endswith("/WHEEL"):
                rows = data.decode().split("\n")
                data = "\n".join(line if row.startswith(key) else row for row in rows).encode()
            archive.writestr(item.filename, data)
    refused(tmp_path, path, what="Wheel-Version" if key == "Wheel-Version" else "on the next line")


@pytest.mark.usefixtures("ungated")
def test_refuses_a_wheel_of_another_name(tmp_path: Path) -> None:
    path = make_wheel(tmp_path, "thing")
    other = path.rename(path.with_name("other-1.0-py3-none-any.whl"))
    refused(tmp_path, other, what="thing-1.0.dist-info")


def test_a_changed_byte_anywhere_is_found(tmp_path: Path) -> None:
    pack = kit.make_pack(
        tmp_path / "pack",
        kit.rich_wheels(tmp_path / "wheels"),
        checkpoints={"a": random.Random(0).randbytes(50_000)},
        series=[kills.series()],
    )
    data = pack.path.read_bytes()
    start = data.index(b"restore.bin\0")
    chance = random.Random(1)
    bad = tmp_path / "bad" / pack.path.name
    bad.parent.mkdir()
    for _ in range(12):
        position = chance.randrange(start, len(data))
        changed = bytearray(data)
        changed[position] ^= 1 << chance.randrange(8)
        bad.write_bytes(changed)
        target = tmp_path / "target"
        done = kit.restore(sys.executable, bad, target=str(target))
        if done.code == 0:  # a tar header, padding, or a member that restore does not use
            assert kit.good(sys.executable, pack.path, target=str(target)).report["changed"] is False
            shutil.rmtree(target)
            continue
        assert done.code == 5, done.out + done.err
        assert not target.exists()


@pytest.mark.parametrize("share", [0.3, 0.6, 0.9, 0.99])
def test_a_truncated_pack_is_found(tmp_path: Path, share: float) -> None:
    pack = kit.make_pack(
        tmp_path / "pack",
        kit.rich_wheels(tmp_path / "w"),
        checkpoints={"a": os.urandom(900_000)},
        series=[kills.series()],
    )
    os.truncate(pack.path, int(pack.size * share))
    done = kit.restore(sys.executable, pack.path, target=str(tmp_path / "target"))
    assert done.code == 5, done.out + done.err
    assert not (tmp_path / "target").exists()


def test_links_that_lead_out_of_the_scheme_are_not_followed(tmp_path: Path) -> None:
    wheel = make_wheel(tmp_path, "thing", files={"thing/sub/a.py": ""})
    pack = kit.make_pack(tmp_path / "pack", [wheel], series=[kills.series()])
    target, outside = tmp_path / "target", tmp_path / "target-outside"
    target.mkdir()
    outside.mkdir()
    (target / "thing").symlink_to(outside)
    done = kit.restore(sys.executable, pack.path, target=str(target))
    assert (done.code, done.error["code"]) == (6, 6)
    assert "leads out" in done.error["what"]
    assert list(outside.iterdir()) == []


def test_a_link_in_place_of_a_file_is_moved_aside_and_not_followed(tmp_path: Path) -> None:
    pack = kit.make_pack(tmp_path / "pack", [make_wheel(tmp_path, "thing")], series=[kills.series()])
    target = tmp_path / "target"
    target.mkdir()
    (tmp_path / "precious").write_text("precious")
    (target / "thing.py").symlink_to(tmp_path / "precious")
    done = kit.restore(sys.executable, pack.path, target=str(target), tolerate=True)
    assert (done.code, done.report["notes"]) == (0, ["1 file was in the way and overwritten: thing.py"])
    assert (tmp_path / "precious").read_text() == "precious"
    assert not (target / "thing.py").is_symlink()


def test_files_of_the_users_own_in_a_target_are_not_overwritten(tmp_path: Path) -> None:
    files = {"thing.py": "theirs\n", "README.txt": "theirs\n", "same.txt": "same\n"}
    pack = kit.make_pack(tmp_path / "pack", [make_wheel(tmp_path, "thing", files=files)], series=[kills.series()])
    target = tmp_path / "target"
    target.mkdir()
    mine = {"README.txt": "mine\n", "same.txt": "same\n", "thesis.txt": "mine\n"}
    for name, text in mine.items():
        (target / name).write_text(text)
    done = kit.restore(sys.executable, pack.path, target=str(target))
    assert (done.code, done.error["what"]) == (
        6,
        f"files that no distribution has brought are in the way: {target}/README.txt",
    )
    assert {path.name: path.read_text() for path in target.iterdir()} == mine


def test_a_folder_in_the_place_of_a_checkpoint_is_never_overwritten(tmp_path: Path) -> None:
    pack = kit.make_pack(tmp_path / "pack", [], series=[kills.series()], checkpoints={"models/m.bin": b"weights"})
    precious = tmp_path / "target" / "models" / "m.bin" / "precious"
    precious.parent.mkdir(parents=True)
    precious.touch()
    done = kit.restore(sys.executable, pack.path, target=str(tmp_path / "target"), tolerate=True)
    assert (done.code, done.error["what"]) == (6, f"a folder is where a checkpoint belongs: {precious.parent}")
    assert precious.exists()


@pytest.mark.parametrize(
    ("places", "code"),
    [
        (["a", "./a"], 5),
        (["a", "a/b"], 5),
        ([".kpack/journal.json"], 5),
        (["thing.py"], 6),
        (["thing-1.0.dist-info/more"], 6),
    ],
)
def test_a_checkpoint_takes_no_place_of_anything_else(places: list[str], code: int, tmp_path: Path) -> None:
    checkpoints = {place: place.encode() for place in places}
    wheel = make_wheel(tmp_path, "thing")
    pack = kit.make_pack(tmp_path / "pack", [wheel], series=[kills.series()], checkpoints=checkpoints).path
    target = tmp_path / "target"
    done = kit.restore(sys.executable, pack, target=str(target))
    assert (done.code, done.error["code"]) == (code, code)
    assert not target.exists()
    # What is the same in every place is told at home, too; where a distribution lies is not.
    assert bool(verify(read(pack))) is (code == 5)


@pytest.mark.parametrize(("member", "code"), [("kpack.json", 7), ("wheels/thing-1.0-py3-none-any.whl", 5)])
def test_a_pipe_in_the_folder_that_a_pack_became_is_not_waited_for(member: str, code: int, tmp_path: Path) -> None:
    pack = kit.make_pack(tmp_path / "pack", [make_wheel(tmp_path, "thing")], series=[kills.series()])
    with tarfile.open(pack.path) as archive:
        archive.extractall(tmp_path / "tiny.kpack", filter="data")
    (tmp_path / "tiny.kpack" / member).unlink()
    os.mkfifo(tmp_path / "tiny.kpack" / member)
    done = kit.restore(sys.executable, tmp_path / "tiny.kpack", target=str(tmp_path / "target"))
    assert (done.code, done.error["code"]) == (code, code)


@pytest.mark.parametrize("name", ["LD_PRELOAD", "PYTHONPATH", "PYTHONSTARTUP", "PATH"])
def test_refuses_variables_that_change_how_programs_start(tmp_path: Path, name: str) -> None:
    pack = kit.make_pack(
        tmp_path / "pack", [make_wheel(tmp_path, "thing")], env={name: "/evil"}, series=[kills.series()]
    )
    assert kit.restore(sys.executable, pack.path, target=str(tmp_path / "target")).code == 5


@pytest.mark.parametrize("path", ["../evil", "a/../../evil", "/tmp/evil", "~/evil"])
def test_refuses_checkpoint_paths_that_leave_their_folder(tmp_path: Path, path: str) -> None:
    pack = kit.make_pack(tmp_path / "pack", [], checkpoints={path: b"x"}, series=[kills.series()])
    done = kit.restore(sys.executable, pack.path, target=str(tmp_path / "target"))
    assert done.code == (5 if ".." in path else 2), done.out
    assert not (tmp_path / "target").exists()


def test_a_large_entry_is_inflated_in_spans(tmp_path: Path) -> None:
    chance = random.Random(3)
    large = b"".join(chance.randbytes(1000) + bytes(1000) for _ in range(15_000))
    stored = chance.randbytes(18_000_000)
    script = b"#!python -u\nprint('large')\n#" + chance.randbytes(9_000_000).hex().encode()
    wheels = [
        make_wheel(tmp_path / "w", "large", files={"large/a.bin": large, "large/b.py": "X = 1\n"}),
        make_wheel(tmp_path / "w", "plain", files={"plain/a.bin": stored, "plain/z.py": ""}, stored=True),
        make_wheel(
            tmp_path / "w",
            "script",
            files={
                "script-1.0.data/scripts/large": script,
                "script-1.0.data/scripts/program": b"\x7fELF" + stored,
            },
        ),
    ]
    pack = kit.make_pack(tmp_path / "pack", wheels, series=[kills.series()])
    kit.good(sys.executable, pack.path, target=str(tmp_path / "target"))
    assert zlib.crc32((tmp_path / "target/large/a.bin").read_bytes()) == zlib.crc32(large)
    assert zlib.crc32((tmp_path / "target/plain/a.bin").read_bytes()) == zlib.crc32(stored)
    ran = subprocess.run([tmp_path / "target/bin/large"], capture_output=True, check=True)
    assert ran.stdout == b"large\n"
    assert (tmp_path / "target/bin/program").stat().st_mode & 0o111 == 0o111
    check_record(tmp_path / "target/script-1.0.dist-info")
    data = bytearray(pack.path.read_bytes())
    data[data.index(stored) + 17_000_000] ^= 1
    (tmp_path / "bad.kpack.bin").write_bytes(data)
    assert kit.restore(sys.executable, tmp_path / "bad.kpack.bin", target=str(tmp_path / "t2")).code == 5
    assert not (tmp_path / "t2").exists()
