"""A search that loses its way ends, and the requests are then taken one after another."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, cast

import pytest
from pip._internal.exceptions import DistributionNotFound

from kpack.resolve.worker import seams, stepwise
from kpack.resolve.worker.answer import Chosen

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kpack.resolve.worker.search import Search

A, B, C = ("a", "a (asked)"), ("b", "b (asked)"), ("c", "c (asked)")


class Script:
    """Stands for a session: loses its way, or finds nothing, where it is told to."""

    def __init__(self, *, lost: Sequence[Any] = (), none: Sequence[Any] = ()) -> None:
        self.lost, self.none = lost, none
        self.calls: list[tuple[tuple[str, ...], dict[str, str]]] = []

    def resolve(self, asked: Sequence[tuple[str, str]], pins: dict[str, str]) -> list[Chosen]:
        names = tuple(line for line, _ in asked)
        self.calls.append((names, dict(pins)))
        if list(asked) in [list(part) for part in self.lost]:
            raise seams.Lost
        if list(asked) in [list(part) for part in self.none]:
            raise DistributionNotFound(f"no way for {names}")
        return [Chosen(name, pins.get(name, "1"), (), "") for name in names]


def step(search: Script, *asked: tuple[str, str]) -> list[str]:
    found = stepwise.resolve(cast("Search", search), asked, (DistributionNotFound,))
    return [f"{pin.name}=={pin.version}" for pin in found]


def test_each_step_holds_on_to_what_the_one_before_chose() -> None:
    search = Script()
    assert step(search, A, B, C) == ["a==1", "b==1", "c==1"]
    assert search.calls[-1] == (("a", "b", "c"), {"a": "1", "b": "1"})


def test_a_request_that_cannot_be_had_alone_is_named_alone() -> None:
    with pytest.raises(stepwise.Unsolvable) as caught:
        step(Script(none=[[B]]), A, B, C)
    assert caught.value.asked == (B,)


def test_requests_that_clash_are_named_up_to_the_one_that_clashes() -> None:
    with pytest.raises(stepwise.Unsolvable) as caught:
        step(Script(none=[[A, B]]), A, B, C)
    assert caught.value.asked == (A, B)


def test_a_search_that_stays_lost_names_the_last_request() -> None:
    with pytest.raises(stepwise.Stuck) as caught:
        step(Script(lost=[[A, B, C]]), A, B, C)
    assert caught.value.last == "c (asked)"


def test_rounds_are_counted_not_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    seams.install()
    from pip._internal.resolution.resolvelib import resolver

    # As no search has set them that this process of tests ran.
    monkeypatch.setattr(resolver.PipReporter, "rounds", seams.ROUNDS)
    monkeypatch.setattr(resolver.PipReporter, "until", None)

    # pip 25.3 and newer tell the reporter of constraints.
    wanted = inspect.signature(resolver.PipReporter.__init__).parameters
    reporter = resolver.PipReporter(**({"constraints": {}} if "constraints" in wanted else {}))
    reporter.starting_round(seams.ROUNDS)
    with pytest.raises(seams.Lost):
        reporter.starting_round(seams.ROUNDS + 1)
