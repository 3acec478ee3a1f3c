"""Entries that come in parts are inflated piece by piece, and to nothing but what they declare."""

from __future__ import annotations

import random
import zlib
from typing import Any

import pytest

from kpack.restore import inflate
from kpack.restore.errors import RestoreError
from kpack.restore.inflate import Inflater, Stream

PIECE = 1 << 12


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inflate, "PIECE", PIECE)
    monkeypatch.setattr(inflate, "_STEP", PIECE >> 3)


@pytest.fixture(params=["zlib", "isal.isal_zlib"])
def module(request: pytest.FixtureRequest) -> Any:
    return pytest.importorskip(request.param)


def _content(kind: str, size: int) -> bytes:
    if kind == "noise":
        return random.Random(size).randbytes(size)
    return bytes(size) if kind == "zeros" else (b"for line in sys.stdin:\n    print(line)\n" * size)[:size]


def _deflated(content: bytes) -> bytes:
    stream = zlib.compressobj(9, zlib.DEFLATED, -15)
    return stream.compress(content) + stream.flush()


def _inflated(module: Any, raw: bytes, size: int, cut: int) -> list[bytes]:
    found: list[bytes] = []
    stream = Stream(Inflater(module), size, "thing.py", found.append)
    for begin in range(0, len(raw), cut):
        stream.feed(memoryview(raw)[begin : begin + cut])
    stream.finish()
    return found


@pytest.mark.parametrize("kind", ["noise", "zeros", "text"])
@pytest.mark.parametrize("size", [0, 1, PIECE - 1, PIECE, PIECE + 1, 2 * PIECE, 3 * PIECE + 17, 300 * PIECE])
def test_an_entry_is_inflated_in_pieces_of_bounded_size(module: Any, kind: str, size: int) -> None:
    content = _content(kind, size)
    raw = _deflated(content)
    for cut in (len(raw), 1000, 7):
        pieces = _inflated(module, raw, size, cut)
        assert b"".join(pieces) == content
        assert max(map(len, pieces), default=0) <= PIECE


@pytest.mark.parametrize("kind", ["noise", "zeros", "text"])
@pytest.mark.parametrize("size", [1, PIECE, 3 * PIECE + 17])
def test_an_entry_that_is_not_what_it_declares_is_refused(module: Any, kind: str, size: int) -> None:
    raw = _deflated(_content(kind, size))
    for wrong, declared in ((raw, size - 1), (raw, size + 1), (raw[:-1], size), (raw + b"\0", size)):
        with pytest.raises(RestoreError, match=r"cannot be inflated"):
            _inflated(module, wrong, declared, 1 << 20)
