"""Entries of every length are inflated to their end, however zlib holds back its last bytes."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

from kpack.errors import IntegrityError
from kpack.pack import wheel
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
