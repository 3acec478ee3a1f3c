"""Spans are read once, verified, and reach the job that they belong to, whatever was read before it was known."""

from __future__ import annotations

import hashlib
import random
import threading
import time
from typing import TYPE_CHECKING

import pytest

from kpack.restore.errors import RestoreError
from kpack.restore.feed import EARLY, READERS, Feed
from kpack.restore.manifest import Manifest, Member, Span, padded
from kpack.restore.pack import BLOCK, Pack
from kpack.restore.wheels import Job

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from kpack.restore.checkpoints import CopyJob

SIZE = 1000


def make(folder: Path, counts: list[int]) -> Pack:
    """Return a pack, as a folder, of members of so many spans each."""
    members = []
    offset = BLOCK
    for number, count in enumerate(counts):
        data = random.Random(number).randbytes(count * SIZE)
        parts = [data[begin : begin + SIZE] for begin in range(0, len(data), SIZE)]
        spans = tuple(Span(at * SIZE, SIZE, hashlib.sha256(part).hexdigest()) for at, part in enumerate(parts))
        members.append(Member(f"m{number}", len(data), hashlib.sha256(data).hexdigest(), offset, spans))
        offset += padded(len(data)) + BLOCK
        (folder / f"m{number}").write_bytes(data)
    return Pack(str(folder), Manifest("0", "x", "l", "e", (), (), tuple(members)))


class Reading:
    """Works through a feed and keeps what it is given."""

    def __init__(self, pack: Pack, *, workers: int = 2) -> None:
        self.pack = pack
        self.given: dict[tuple[str, int], list[bytes]] = {}
        self.read: list[tuple[str, int]] = []
        self.feed = Feed(pack, workers=workers)
        inner, guard = pack.read_into, threading.Lock()

        def read_into(member: Member, span: Span, buffer: memoryview) -> tuple[memoryview, float]:
            with guard:
                self.read.append((member.path, span.offset))
            return inner(member, span, buffer)

        pack.read_into = read_into  # type: ignore[method-assign]

    def work(self, job: Job, views: Iterator[memoryview]) -> None:
        self.given[job.member.path, job.spans[0].offset] = [bytes(view) for view in views]

    def copy(self, job: CopyJob, view: memoryview) -> None:
        raise AssertionError

    def run(self, jobs: list[Job]) -> None:
        self.feed.run(jobs, [], self.work, self.copy)


def jobs_of(members: list[Member], dice: random.Random) -> list[Job]:
    """Cut the spans of members into jobs, in any order."""
    jobs = []
    for member in members:
        waiting = list(member.spans)
        while waiting:
            count = min(dice.choice((1, 1, 2, 20)), len(waiting))
            jobs.append(Job(member, tuple(waiting[:count]), (), None))
            del waiting[:count]
    dice.shuffle(jobs)
    return jobs


@pytest.mark.parametrize("seed", range(12))
def test_every_span_is_read_once_and_given_to_its_job(tmp_path: Path, seed: int) -> None:
    dice = random.Random(seed)
    pack = make(tmp_path, [dice.choice((1, 2, 3, 5, 17, 40)) for _ in range(8)])
    members = list(pack.manifest.members)
    reading = Reading(pack, workers=1 + seed % 4)
    if seed % 3:
        reading.feed.begin(members)
    if seed % 2:
        time.sleep(0.02)  # some of it is there by then; in the other cases it is on its way
    jobs = jobs_of(members, dice)
    reading.run(jobs)
    assert sorted(reading.read) == sorted((member.path, span.offset) for member in members for span in member.spans)
    assert len(reading.given) == len(jobs)
    for job in jobs:
        data = (tmp_path / job.member.path).read_bytes()
        found = reading.given[job.member.path, job.spans[0].offset]
        assert found == [data[span.offset : span.offset + span.size] for span in job.spans]
    pack.close()


def test_only_so_much_is_read_before_it_is_known_what_for(tmp_path: Path) -> None:
    pack = make(tmp_path, [3, 100])
    reading = Reading(pack)
    reading.feed.begin(pack.manifest.members)
    while len(reading.read) < EARLY:
        time.sleep(0.001)
    reading.feed.close()
    assert sorted(reading.read) == [("m1", number * SIZE) for number in range(EARLY)]
    assert not [thread for thread in threading.enumerate() if thread.name == "kpack"]
    pack.close()


def test_what_was_read_for_nothing_is_given_up(tmp_path: Path) -> None:
    pack = make(tmp_path, [EARLY + 2, 5 * READERS])
    first, second = pack.manifest.members
    reading = Reading(pack)
    reading.feed.begin([first])
    reading.run([Job(second, (span,), (), None) for span in second.spans])
    assert len(reading.given) == len(second.spans)
    pack.close()


def test_damage_that_is_found_early_is_an_error_of_the_run(tmp_path: Path) -> None:
    pack = make(tmp_path, [20])
    (member,) = pack.manifest.members
    data = bytearray((tmp_path / "m0").read_bytes())
    data[SIZE + 5] ^= 1
    (tmp_path / "m0").write_bytes(data)
    reading = Reading(pack)
    reading.feed.begin([member])
    with pytest.raises(RestoreError, match="bytes 1000 to 2000 are not those"):
        reading.run([Job(member, (span,), (), None) for span in member.spans])
    assert not [thread for thread in threading.enumerate() if thread.name == "kpack"]
    pack.close()


def test_a_feed_that_is_closed_before_its_run_leaves_no_thread(tmp_path: Path) -> None:
    pack = make(tmp_path, [50])
    feed = Feed(pack)
    feed.begin(pack.manifest.members)
    feed.close()
    feed.close()
    assert not [thread for thread in threading.enumerate() if thread.name == "kpack"]
    pack.close()
