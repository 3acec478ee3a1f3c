"""Entries of every length are inflated to their end, however zlib holds back its last bytes."""

from __future__ import annotations

import random
import zipfile
import zlib
from typing import TYPE_CHECKING, Any

import pytest
from zlib_ng import zlib_ng

from kpack.errors import IntegrityError
from kpack.pack import wheel
from kpack.restore.errors import RestoreError
from kpack.restore.inflate import Inflater
from tests.restore import kit
from tests.support.wheels import make_wheel

if TYPE_CHECKING:
    from pathlib import Path

PIECE = 1 << 12


@pytest.fixture(autouse=True)
def pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wheel, "_PIECE", PIECE)


@pytest.mark.parametrize("kind", ["noise", "zeros", "text"])
def test_lengths_around_a_piece_are_admitted(tmp_path: Path, kind: str) -> None:
    def make(size: int) -> bytes:
        if kind == "noise":
            return random.Random(size).randbytes(size)
        return bytes(size) if kind == "zeros" else (b"for line in sys.stdin:\n    print(line)\n" * size)[:size]

    files: dict[str, bytes | str] = {
        f"m{times}_{more + 20}.py": make(times * PIECE + more)
        for times in (1, 2, 3, 17)
        for more in (-17, -16, -1, 0, 1, 2, 15, 16, 17, 18)
    }
    path = make_wheel(tmp_path, "thing", files=files)
    assert wheel.admit(path).files == len(files) + 3


@pytest.mark.parametrize("change", [-1, 1])
def test_stream_that_ends_early_or_late_is_refused(tmp_path: Path, change: int) -> None:
    path = make_wheel(tmp_path, "thing", files={"big.py": random.Random(1).randbytes(3 * PIECE)})
    data = bytearray(path.read_bytes())
    size = (3 * PIECE).to_bytes(4, "little")
    assert data.count(size) >= 2
    path.write_bytes(bytes(data).replace(size, (3 * PIECE + change).to_bytes(4, "little")))
    with pytest.raises(IntegrityError):
        wheel.admit(path)


def lenient() -> tuple[bytes, bytes]:
    """Return a deflate stream with codes that zlib refuses, and what ISA-L makes of it."""
    fast = pytest.importorskip("isal.isal_zlib")
    for seed in range(20):
        dice = random.Random(seed)
        stream = zlib.compressobj(9, zlib.DEFLATED, -15)
        raw = stream.compress(bytes(dice.choice(b"for line in sys.stdin: print(line)") for _ in range(400)))
        raw += stream.flush()
        for bit in range(3, 300):  # the description of its dynamic codes
            mutant = bytearray(raw)
            mutant[bit // 8] ^= 1 << bit % 8
            try:
                found = fast.decompress(bytes(mutant), -15, 1024)
            except fast.error:
                continue
            try:
                zlib.decompress(bytes(mutant), -15)
            except zlib.error as error:
                if "invalid literal/lengths set" in str(error):
                    return bytes(mutant), found
    raise AssertionError


def verdict(module: Any, stream: bytes) -> tuple[object, ...]:
    """Return what a reader makes of a raw deflate stream: content, whether it ended, and what stands behind it."""
    inflater = module.decompressobj(-15)
    try:
        return inflater.decompress(stream, 1 << 16), inflater.eof, inflater.unused_data
    except module.error:
        return ()


def test_the_reader_of_the_gate_takes_and_refuses_what_zlib_does() -> None:
    dice = random.Random(7)
    taken = 0
    for _ in range(40):
        text = bytes(dice.choice(b"for line in sys.stdin: print(line)") for _ in range(dice.choice((60, 400, 3000))))
        stream = zlib.compressobj(dice.choice((1, 6, 9)), zlib.DEFLATED, -15, 8, dice.choice((0, 2, 4)))
        raw = stream.compress(text) + stream.flush()
        for _ in range(150):
            mutant = bytearray(raw)
            for _ in range(dice.choice((1, 1, 2, 5))):
                bit = dice.randrange(min(8 * len(raw), dice.choice((300, 8 * len(raw)))))
                mutant[bit // 8] ^= 1 << bit % 8
            found = verdict(zlib, bytes(mutant))
            taken += bool(found)
            assert verdict(zlib_ng, bytes(mutant)) == found
    assert 1000 < taken < 5000


def test_the_strictest_reader_of_deflate_decides(tmp_path: Path) -> None:
    """What only the accelerator can inflate is refused where it is packed, and by the engine without it."""
    stream, content = lenient()
    path = make_wheel(tmp_path, "thing", files={"thing.py": content}, stored=True)
    head = b"thing.py" + content
    data = path.read_bytes()
    assert data.count(head) == 1
    # The stored entry becomes a deflated one: method, size and bytes; what follows moves by the difference.
    shorter = len(content) - len(stream)
    begin = data.index(head) - 30
    data = data[: begin + 30] + b"thing.py" + stream + data[begin + 30 + len(head) :]
    local, central = begin, data.index(b"PK\x01\x02")
    patched = bytearray(data)
    patched[local + 8 : local + 10] = patched[central + 10 : central + 12] = (8).to_bytes(2, "little")
    patched[local + 18 : local + 22] = patched[central + 20 : central + 24] = len(stream).to_bytes(4, "little")
    place = central
    while patched[place : place + 4] == b"PK\x01\x02":
        offset = int.from_bytes(patched[place + 42 : place + 46], "little")
        patched[place + 42 : place + 46] = (offset - shorter if offset else 0).to_bytes(4, "little")
        place += 46 + int.from_bytes(patched[place + 28 : place + 30], "little")
    patched[place + 16 : place + 20] = central.to_bytes(4, "little")
    path.write_bytes(patched)
    with zipfile.ZipFile(path) as archive, pytest.raises(zlib.error):
        archive.read("thing.py")
    with pytest.raises(IntegrityError, match=r"thing.py.*invalid literal/lengths set"):
        wheel.admit(path)
    with pytest.raises(IntegrityError, match="invalid literal/lengths set"):
        kit.make_pack(tmp_path / "pack", [path])
    fast = pytest.importorskip("isal.isal_zlib")
    assert Inflater(fast).whole(stream, len(content), "thing.py") == content
    for size in (len(content), len(content) + 1):
        with pytest.raises(RestoreError):
            Inflater().whole(stream, size, "thing.py")
    with pytest.raises(RestoreError):
        Inflater().stream(stream, len(content), "thing.py", lambda _: None)
