"""Members are copied in parts, and every byte is hashed on the way, whether the spans were known or not."""

from __future__ import annotations

import hashlib
import json
import os
import random
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from kpack.errors import IntegrityError, MachineError
from kpack.pack.copy import CopiedDigests, MemberCopy, SpanMemory, copy_all

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

SPAN = 1000


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def ranges(size: int) -> list[tuple[int, int]]:
    return [(at, min(at + SPAN, size)) for at in range(0, size, SPAN)]


def expected(data: bytes) -> CopiedDigests:
    return CopiedDigests(sha(data), tuple(sha(data[begin:end]) for begin, end in ranges(len(data))))


@pytest.fixture
def files(tmp_path: Path) -> list[tuple[Path, bytes]]:
    made = []
    for number, size in enumerate([0, 1, SPAN, 3 * SPAN + 7, 40 * SPAN, 57 * SPAN + 1]):
        data = random.Random(number).randbytes(size)
        (tmp_path / f"file{number}").write_bytes(data)
        made.append((tmp_path / f"file{number}", data))
    return made


def copied(
    tmp_path: Path, files: Sequence[tuple[Path, bytes]], memory: SpanMemory | None = None, workers: int = 3
) -> tuple[dict[str, CopiedDigests], bytes]:
    jobs, at = [], 13
    for path, data in files:
        jobs.append(MemberCopy(path.name, path, len(data), ranges(len(data)), sha(data), at))
        at += len(data) + 5
    out = tmp_path / "out"
    with out.open("w+b") as stream, ThreadPoolExecutor(workers) as pool:
        os.truncate(stream.fileno(), at)
        found = copy_all(stream.fileno(), jobs, pool, memory=memory)
    return found, out.read_bytes()


@pytest.mark.parametrize("workers", [1, 3])
def test_every_member_lands_at_its_place_with_its_digests(
    tmp_path: Path, files: list[tuple[Path, bytes]], workers: int
) -> None:
    memory = SpanMemory(tmp_path / "spans")
    for _ in range(2):
        found, out = copied(tmp_path, files, memory, workers)
        assert found == {path.name: expected(data) for path, data in files}
        assert out == bytes(13) + b"".join(data + bytes(5) for _, data in files)
    assert len(list((tmp_path / "spans").iterdir())) == 2


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("number", [1, 3, 5])
def test_damaged_file_is_refused_whether_its_spans_were_known_or_not(
    tmp_path: Path, files: list[tuple[Path, bytes]], number: int, known: bool
) -> None:
    memory = SpanMemory(tmp_path / "spans")
    if known:
        copied(tmp_path, files, memory)
    path, data = files[number]
    path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    with pytest.raises(IntegrityError, match="the lock says"):
        copied(tmp_path, files, memory)


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("number", [3, 4])
@pytest.mark.parametrize("change", [-1, 1])
def test_file_of_another_length_is_refused(
    tmp_path: Path, files: list[tuple[Path, bytes]], number: int, change: int, known: bool
) -> None:
    memory = SpanMemory(tmp_path / "spans")
    if known:
        copied(tmp_path, files, memory)
    path, data = files[number]
    path.write_bytes(data[:-1] if change < 0 else data + b"x")
    with pytest.raises(IntegrityError):
        copied(tmp_path, files, memory)


def test_missing_file_is_the_machines_fault(tmp_path: Path, files: list[tuple[Path, bytes]]) -> None:
    for number in (1, 4):
        path, data = files[number]
        path.unlink()
        with pytest.raises(MachineError, match="cannot be read"):
            copied(tmp_path, files)
        path.write_bytes(data)


@pytest.mark.parametrize(
    "note", ["", "[]", "{}", '{"cuts": [0], "size": 1, "digests": []}', '{"cuts": 1, "size": null, "digests": [1]}']
)
def test_memory_that_cannot_be_read_is_none(tmp_path: Path, files: list[tuple[Path, bytes]], note: str) -> None:
    memory = SpanMemory(tmp_path / "spans")
    copied(tmp_path, files, memory)
    for path in (tmp_path / "spans").iterdir():
        path.write_text(note)
    found, _ = copied(tmp_path, files, memory)
    assert found == {path.name: expected(data) for path, data in files}


def test_wrong_memory_is_no_reason_to_refuse_a_good_file(tmp_path: Path, files: list[tuple[Path, bytes]]) -> None:
    memory = SpanMemory(tmp_path / "spans")
    copied(tmp_path, files, memory)
    for path in (tmp_path / "spans").iterdir():
        note = json.loads(path.read_text())
        note["digests"][3] = "0" * 64
        path.write_text(json.dumps(note))
    found, _ = copied(tmp_path, files, memory)
    assert found == {path.name: expected(data) for path, data in files}


def test_progress_is_told_in_bytes(tmp_path: Path, files: list[tuple[Path, bytes]]) -> None:
    told: list[int] = []
    jobs = [MemberCopy(path.name, path, len(data), ranges(len(data)), None, 0) for path, data in files]
    with (tmp_path / "out").open("w+b") as stream, ThreadPoolExecutor(2) as pool:
        copy_all(stream.fileno(), jobs, pool, on_bytes=told.append)
    assert sum(told) == sum(len(data) for _, data in files)
