"""A normalised wheel depends on the content alone."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import tempfile
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kpack.errors import IntegrityError
from kpack.pack.wheel import admit
from kpack.source.wheel import differing, facts, normalise
from tests.support.wheels import make_wheel

if TYPE_CHECKING:
    from random import Random

NAMES = st.lists(
    st.from_regex(r"[a-z]{1,8}(/[a-zäß]{1,8}){0,2}\.(py|txt|so)", fullmatch=True), min_size=1, max_size=6, unique=True
)


def careless(source: Path, out: Path, random: Random) -> Path:
    """Write the content of ``source`` again: another order, other times, modes, methods and comments."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(out, "w") as new:
        entries = old.infolist()
        random.shuffle(entries)
        folders = {entry.filename.rpartition("/")[0] for entry in entries} - {""}
        for folder in sorted(folders):
            if random.random() < 0.5:
                new.writestr(f"{folder}/", "")
        for entry in entries:
            other = zipfile.ZipInfo(entry.filename, (random.randint(1980, 2100), 1, 2, 3, 4, 6))
            executable = (entry.external_attr >> 16) & 0o100
            other.external_attr = (0o100600 | executable | random.choice([0, 0o044, 0o066])) << 16
            other.create_system = random.choice([0, 3])
            other.comment = b"x" * random.randint(0, 3)
            method = random.choice([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
            new.writestr(other, old.read(entry), method)
    return out


@settings(max_examples=40, deadline=None)
@given(names=NAMES, data=st.binary(max_size=200), random=st.randoms(use_true_random=False))
def test_same_content_gives_the_same_bytes_and_passes_the_gate(names: list[str], data: bytes, random: Random) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        files: dict[str, bytes | str] = {f"pkg/{item}": data for item in names}
        wheel = make_wheel(folder, "fork", files=files, executable=[f"pkg/{names[0]}"])
        other = careless(wheel, folder / "other.whl", random)
        (folder / "one").mkdir()
        (folder / "two").mkdir()
        one, two = folder / "one" / wheel.name, folder / "two" / wheel.name
        normalise(wheel, one)
        normalise(other, two)
        assert one.read_bytes() == two.read_bytes()
        assert differing(one, two) == ()
        assert admit(one).files == len(names) + 3
        normalise(one, folder / "again.whl")
        assert (folder / "again.whl").read_bytes() == one.read_bytes()


def test_record_names_every_file_with_its_digest(tmp_path: Path) -> None:
    wheel = make_wheel(tmp_path, "fork", files={"a.py": "1", "b.py": "2"}, record=b"nonsense")
    normalise(wheel, tmp_path / "out.whl")
    with zipfile.ZipFile(tmp_path / "out.whl") as archive:
        rows = list(csv.reader(io.StringIO(archive.read("fork-1.0.dist-info/RECORD").decode())))
        assert rows[-1] == ["fork-1.0.dist-info/RECORD", "", ""]
        for name, digest, size in rows[:-1]:
            data = archive.read(name)
            expected = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
            assert (digest, size) == (f"sha256={expected}", str(len(data)))
        assert [entry.filename for entry in archive.infolist()] == [row[0] for row in rows]
        assert archive.infolist()[-1].filename.endswith("RECORD")


def test_byte_code_folders_and_signatures_are_left_out(tmp_path: Path) -> None:
    wheel = make_wheel(
        tmp_path,
        "fork",
        files={
            "a.py": "1",
            "__pycache__/a.cpython-312.pyc": b"1",
            "b.pyc": b"2",
            "fork-1.0.dist-info/RECORD.jws": "{}",
        },
    )
    normalise(wheel, tmp_path / "out.whl")
    with zipfile.ZipFile(tmp_path / "out.whl") as archive:
        assert [name for name in archive.namelist() if "dist-info" not in name] == ["a.py"]
        assert "fork-1.0.dist-info/RECORD.jws" not in archive.namelist()


def test_scripts_and_executables_stay_executable(tmp_path: Path) -> None:
    files: dict[str, bytes | str] = {"fork-1.0.data/scripts/run": "#!python\n", "tool.so": "x", "a.py": "1"}
    wheel = make_wheel(tmp_path, "fork", files=files, executable=["tool.so"])
    normalise(wheel, tmp_path / "out.whl")
    with zipfile.ZipFile(tmp_path / "out.whl") as archive:
        modes = {entry.filename: oct(entry.external_attr >> 16) for entry in archive.infolist()}
    assert modes["fork-1.0.data/scripts/run"] == modes["tool.so"] == "0o100755"
    assert modes["a.py"] == "0o100644"


def test_difference_is_named_by_file(tmp_path: Path) -> None:
    one = make_wheel(tmp_path / "1", "fork", files={"a.py": "1", "b.py": "2"})
    two = make_wheel(tmp_path / "2", "fork", files={"a.py": "1", "b.py": "3", "c.py": "4"})
    assert differing(one, two) == ("b.py", "c.py")


@pytest.mark.parametrize("damage", ["twice", "no-zip", "no-info", "other-name", "other-file-name"])
def test_what_is_no_wheel_is_refused(tmp_path: Path, damage: str) -> None:
    wheel = make_wheel(tmp_path, "fork", files={"a.py": "1"})
    if damage == "twice":
        with zipfile.ZipFile(wheel, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
            archive.writestr("a.py", "2")
        with pytest.raises(IntegrityError, match="twice"):
            normalise(wheel, tmp_path / "out.whl")
        return
    if damage == "no-zip":
        wheel.write_bytes(b"no zip")
    elif damage == "no-info":
        with zipfile.ZipFile(wheel, "w") as archive:
            archive.writestr("a.py", "1")
    elif damage == "other-name":
        wheel = wheel.rename(tmp_path / "spoon-1.0-py3-none-any.whl")
    else:
        wheel = wheel.rename(tmp_path / "nonsense.whl")
    with pytest.raises(IntegrityError):
        facts(wheel)


def test_entry_above_a_piece_is_copied_whole(tmp_path: Path) -> None:
    data = bytes(range(256)) * 10_000
    wheel = make_wheel(tmp_path, "fork", files={"big.bin": data})
    normalise(wheel, tmp_path / "out.whl")
    with zipfile.ZipFile(tmp_path / "out.whl") as archive:
        assert archive.read("big.bin") == data


def test_a_given_wheel_is_what_the_gate_takes_it_for(tmp_path: Path) -> None:
    said = "Name: thing\nName: Thing\nVersion: 1.0\nVersion: 1\nRequires-Dist: dep\n >=1\n"
    wheel = make_wheel(tmp_path / "1", "thing", metadata=said)
    found = facts(wheel)
    assert (found.name, found.version) == (admit(wheel).name, admit(wheel).version)
    assert found.requires_dist == admit(wheel).requires_dist == ("dep >=1",)
    wheel = make_wheel(tmp_path / "2", "thing", metadata="Name: thing\nVersion: 1.0\nVersion: 2.0\n")
    for reader in (facts, admit):
        with pytest.raises(IntegrityError, match=r"its METADATA says thing 1\.0 and 2\.0, its file name thing 1\.0"):
            reader(wheel)
