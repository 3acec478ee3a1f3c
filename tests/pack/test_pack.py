"""The pack: written the same everywhere, read strictly."""

from __future__ import annotations

import hashlib
import tarfile
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from kpack import pack
from kpack.errors import IntegrityError, MachineError
from kpack.pack.manifest import SPAN
from kpack.restore.manifest import PackedCheckpoint, PackedDistribution, PackTarget
from tests.support.long import ALL
from tests.support.wheels import make_wheel

if TYPE_CHECKING:
    from pathlib import Path


def content(folder: Path, name: str = "tiny", blob: bytes = b"weights" * 1000) -> pack.Content:
    """One pure wheel and one checkpoint for Python 3.11."""
    wheel = make_wheel(folder, "Tiny.Thing", "1.0", files={"tiny/__init__.py": "", "tiny/data.bin": b"\0" * 5000})
    long = make_wheel(folder, "a" * 120, "2.0")
    checkpoint = folder / "x.ckpt"
    checkpoint.write_bytes(blob)
    digest = hashlib.sha256(blob).hexdigest()
    wheels = tuple(
        pack.WheelFile(filename=p.name, sha256=hashlib.sha256(p.read_bytes()).hexdigest(), path=p)
        for p in (wheel, long)
    )
    target = PackTarget(
        label="python-3.11",
        base=None,
        python="3.11",
        machine="x86_64",
        glibc=(2, 35),
        distributions=(
            PackedDistribution("tiny-thing", "1.0", f"wheels/{wheel.name}"),
            PackedDistribution("a" * 120, "2.0", f"wheels/{long.name}"),
        ),
    )
    return pack.Content(
        name=name,
        lock_name=f"pylock.{name}.toml",
        lock_text="lock-version = '1.0'\n",
        requirements="",
        targets=(target,),
        wheels=wheels,
        blobs=(pack.BlobFile(sha256=digest, size=len(blob), path=checkpoint),),
        checkpoints=(PackedCheckpoint("checkpoints/x.ckpt", digest, len(blob)),),
    )


def test_a_variable_may_hold_a_backslash(tmp_path: Path) -> None:
    wanted = {"PATTERN": r"\d+\.csv", "PLACE": "C:\\x"}
    made = pack.write(replace(content(tmp_path / "in"), env=wanted), tmp_path / "tiny.kpack.bin")
    assert pack.read(made.path).manifest.env == wanted


@pytest.mark.parametrize(
    "changed",
    [{"env": {"A": "a\nb"}}, {"directory": "a\\b"}, {"checkpoints": (PackedCheckpoint("a\nb", "0" * 64, 1),)}],
)
def test_what_the_engine_would_not_read_is_not_written(tmp_path: Path, changed: dict[str, Any]) -> None:
    with pytest.raises(IntegrityError, match="no restore would take this pack"):
        pack.write(replace(content(tmp_path / "in"), **changed), tmp_path / "out" / "tiny.kpack.bin")
    assert not list((tmp_path / "out").iterdir())


def test_written_pack_reads_back_and_verifies(tmp_path: Path) -> None:
    made = pack.write(content(tmp_path / "in"), tmp_path / "tiny.kpack.bin")
    found = pack.read(made.path)
    assert (found.id, found.line, found.size) == (made.id, made.line, made.size)
    assert made.size == made.path.stat().st_size
    assert made.sha256 == hashlib.sha256(made.path.read_bytes()).hexdigest()
    assert pack.verify(found) == ()


def test_pack_is_a_plain_tar_with_gnu_headers(tmp_path: Path) -> None:
    made = pack.write(content(tmp_path / "in"), tmp_path / "tiny.kpack.bin")
    with tarfile.open(made.path, "r:") as archive:
        members = archive.getmembers()
        assert [m.name for m in members[:5]] == [
            "bootstrap.py", "kpack.json", "restore.bin", "pylock.tiny.toml", "requirements.txt",
        ]  # fmt: skip
        assert all(
            m.isreg() and m.mode == 0o644 and (m.uid, m.gid, m.uname, m.gname) == (0, 0, "", "") for m in members
        )
        assert not any(m.pax_headers for m in members)
        archive.extractall(tmp_path / "tiny.kpack", filter="data")
    folder = pack.read(tmp_path / "tiny.kpack")
    assert folder.id == made.id
    assert pack.verify(folder) == ()


def test_same_content_gives_same_bytes(tmp_path: Path) -> None:
    first = pack.write(content(tmp_path / "a"), tmp_path / "one" / "tiny.kpack.bin")
    second = pack.write(content(tmp_path / "b"), tmp_path / "two" / "tiny.kpack.bin", workers=1)
    assert first.path.read_bytes() == second.path.read_bytes()


def test_large_blob_is_cut_into_spans(tmp_path: Path) -> None:
    blob = b"0123456789abcdef" * ((2 * SPAN) // 16) + b"tail"
    made = pack.write(content(tmp_path / "in", blob=blob), tmp_path / "tiny.kpack.bin")
    member = pack.read(made.path).manifest.members[-1]
    assert [(s.offset, s.size) for s in member.spans] == [(0, SPAN), (SPAN, SPAN), (2 * SPAN, 4)]


def test_any_flipped_byte_is_found(tmp_path: Path) -> None:
    made = pack.write(content(tmp_path / "in"), tmp_path / "tiny.kpack.bin")
    good = made.path.read_bytes()
    bad = tmp_path / "bad.kpack.bin"
    for position in range(0, len(good), 97 if ALL else 1531):
        bad.write_bytes(good[:position] + bytes([good[position] ^ 0x20]) + good[position + 1 :])
        try:
            found = pack.read(bad)
        except IntegrityError:
            continue
        assert found.id != made.id or pack.verify(found), f"a flipped byte at {position} passed"


@pytest.mark.parametrize("keep", [0, 1, 511, 512, 5000, 190_000, -1, -1025])
def test_truncated_pack_is_found(tmp_path: Path, keep: int) -> None:
    made = pack.write(content(tmp_path / "in"), tmp_path / "tiny.kpack.bin")
    made.path.write_bytes(made.path.read_bytes()[:keep])
    try:
        found = pack.read(made.path)
    except IntegrityError:
        return
    problems = pack.verify(found)
    assert [problem.where for problem in problems] == ["end"], "one thing is wrong, and it is said once"
    assert "cut short" in problems[0].what


def test_bytes_after_the_end_are_found(tmp_path: Path) -> None:
    made = pack.write(content(tmp_path / "in"), tmp_path / "tiny.kpack.bin")
    with made.path.open("ab") as stream:
        stream.write(bytes(512))
    assert [p.where for p in pack.verify(pack.read(made.path))] == ["end"]


def test_wrong_digest_leaves_the_old_pack_in_place(tmp_path: Path) -> None:
    good = content(tmp_path / "in")
    out = tmp_path / "tiny.kpack.bin"
    out.write_bytes(b"the old one")
    good.blobs[0].path.write_bytes(b"x" * good.blobs[0].size)
    with pytest.raises(IntegrityError, match="the lock says"):
        pack.write(good, out)
    assert out.read_bytes() == b"the old one"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["in", "tiny.kpack.bin"]


def test_missing_pack_is_a_machine_error(tmp_path: Path) -> None:
    with pytest.raises(MachineError, match="there is no pack"):
        pack.read(tmp_path / "none.kpack.bin")


def test_a_folder_that_is_no_pack_is_told_with_the_pack_in_it(tmp_path: Path) -> None:
    with pytest.raises(MachineError, match="this folder is no pack") as empty:
        pack.read(tmp_path)
    assert empty.value.where == str(tmp_path)
    for name in ("y.kpack.bin", "x.kpack.bin"):
        (tmp_path / name).write_bytes(b"")
    with pytest.raises(MachineError, match="this folder is no pack") as told:
        pack.read(tmp_path)
    assert told.value.next == f"name what is in it: {tmp_path / 'x.kpack.bin'}"


def test_line_is_short_and_survives_a_shell(tmp_path: Path) -> None:
    made = pack.write(content(tmp_path / "in", name="n" * 40), tmp_path / "x.bin")
    assert len(made.line) < 1000
    assert not set(made.line) & set('"\\$`\n!')
