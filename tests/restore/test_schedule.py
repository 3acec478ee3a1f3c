"""In which order jobs are begun."""

from __future__ import annotations

import pytest

from kpack.restore.manifest import Member, Span
from kpack.restore.schedule import starting_order
from kpack.restore.wheels import PLAIN, File, Job
from kpack.restore.wheelzip import DEFLATED, Entry


def _job(name: str, files: int, size: int) -> Job:
    span = Span(0, files * size, "")
    entries = [Entry(f"{number}", b"", DEFLATED, 0, 0, size, size, 0, 0) for number in range(files)]
    return Job(Member(name, span.size, "", 0, (span,)), (span,), tuple(File(e, e.name, PLAIN) for e in entries), None)


def _names(jobs: list[Job]) -> list[str]:
    return [job.member.path for job in jobs]


@pytest.mark.parametrize("workers", [0, 1, 2, 3, 4, 64])
def test_every_job_is_begun_once(workers: int) -> None:
    jobs = [_job(str(number), number % 7, 1000 * number) for number in range(40)]
    assert sorted(_names(starting_order(jobs, workers))) == sorted(_names(jobs))
    assert starting_order([], workers) == []


def test_one_worker_begins_with_the_largest_file_and_ends_with_the_smallest_ones() -> None:
    jobs = [_job("small", 1000, 10_000), _job("large", 1, 100_000_000), _job("middle", 10, 1_000_000)]
    assert _names(starting_order(jobs, 1)) == ["large", "middle", "small"]


def test_of_two_workers_one_writes_small_files_while_the_other_writes_large_ones() -> None:
    large = [_job(f"large {number}", 1, 50_000_000 - number) for number in range(4)]
    small = [_job(f"small {number}", 500, 1000 - number) for number in range(16)]
    order = _names(starting_order([*small, *large], 2))
    for begun in range(2, len(order)):
        kinds = [sum(name.startswith(kind) for name in order[:begun]) for kind in ("large", "small")]
        assert min(kinds) > 0
    assert order.index("large 0") == 0
    assert order.index("large 3") > order.index("small 8")


def test_the_lightest_jobs_are_begun_last_and_the_heavier_of_them_first() -> None:
    heavy = [_job(f"heavy {number}", 1 + 100 * number, 10_000_000 // (1 + 100 * number)) for number in range(8)]
    light = [_job(f"light {number}", 2, 10_000 * (9 - number)) for number in range(8)]
    order = _names(starting_order([*light[::-1], *heavy], 2))
    assert order[8:] == _names(light)
