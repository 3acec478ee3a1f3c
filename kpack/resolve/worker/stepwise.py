"""What to do when resolvelib loses its way: ask for one thing after another.

Backtracking without learning can go round among packages that have nothing to do with a conflict. Counted in rounds,
not seconds, so that every machine gives up at the same place and answers the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kpack.resolve.worker.seams import Lost

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kpack.resolve.worker.answer import Chosen
    from kpack.resolve.worker.search import Search


class Stuck(Exception):
    """The requests up to one of them fit together, and with it no answer is found."""

    def __init__(self, last: str) -> None:
        super().__init__(last)
        self.last = last


class Unsolvable(Exception):
    """Some of the requests alone have no solution; the cause is what pip said of them."""

    def __init__(self, asked: Sequence[tuple[str, str]], error: Exception) -> None:
        super().__init__(str(error))
        self.asked = tuple(asked)
        self.error = error


def resolve(search: Search, asked: Sequence[tuple[str, str]], failures: tuple[type[Exception], ...]) -> list[Chosen]:
    """Return pip-tools' pins for ``asked``, found step by step, each step holding on to what the one before chose.

    Raises:
        Unsolvable: requests that cannot be had, alone or with those before them; ``failures`` are pip's words for that.
        Stuck: no answer was found in as many rounds as are granted.

    """
    for item in asked:
        _step(search, [item], {}, failures)
    found: list[Chosen] = []
    for count in range(2, len(asked) + 1):
        pins = {pin.name: pin.version for pin in found}
        found = _step(search, asked[:count], pins, failures)
    return found


def _step(
    search: Search, asked: Sequence[tuple[str, str]], pins: dict[str, str], failures: tuple[type[Exception], ...]
) -> list[Chosen]:
    try:
        return search.resolve(asked, pins)
    except Lost as error:
        raise Stuck(asked[-1][1]) from error
    except failures as error:
        raise Unsolvable(asked, error) from error
