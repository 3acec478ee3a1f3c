"""Work that is shared between threads."""

from __future__ import annotations

import threading

import pytest

from kpack.restore.parallel import each


def test_every_item_is_worked_on_once_and_side_by_side() -> None:
    seen: list[int] = []
    together = threading.Barrier(3, timeout=30)

    def work(item: int) -> None:
        if item < 3:
            together.wait()
        seen.append(item)

    each(range(20), work, threads=3)
    assert sorted(seen) == list(range(20))
    each([], work, threads=3)


def test_first_error_ends_the_others_and_is_raised() -> None:
    seen: list[int] = []

    def work(item: int) -> None:
        seen.append(item)
        if item == 5:
            raise ValueError(item)

    with pytest.raises(ValueError, match="5"):
        each(range(10_000), work, threads=1)
    assert seen == [0, 1, 2, 3, 4, 5]
