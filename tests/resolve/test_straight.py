"""The straight way gives what pip's search gives, or nothing; the universes are made at random."""

from __future__ import annotations

import random
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest
from packaging.specifiers import SpecifierSet

from kpack.resolve.wire import Asked, Limit, Provided, Question
from kpack.resolve.worker import resolution, straight
from kpack.resolve.worker.connection import Connection, connect
from kpack.resolve.worker.pages import Page
from kpack.resolve.worker.readers import Readers
from kpack.resolve.worker.requirements import Metadata
from tests.support.long import examples

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from kpack.resolve.worker.answer import Chosen
    from kpack.resolve.worker.files import IndexFile

NAMES = ("a", "b", "c", "d", "e")
VERSIONS = ("0.9", "1.0", "1.1", "2.0rc1", "2.0", "2.1")
SPECIFIERS = ("", "", "", ">=1.0", ">=1", "<3", "~=1.0", "!=2.1", "!=1.0", ">=2.0rc1", "<2.1", "==1.*")
ENVIRONMENT = {"python_version": "3.12", "python_full_version": "3.12.3", "sys_platform": "linux"}


class Universe:
    """Made-up projects, and one question about them."""

    def __init__(self) -> None:
        self.metadata: dict[str, Metadata] = {}
        self.rows: dict[str, list[dict[str, Any]]] = {}
        self.unread: frozenset[str] = frozenset()
        self.reads = 0

    def wheel(self, name: str, version: str, *requires: str, python: str | None = None, yanked: bool = False) -> None:
        """Add a wheel."""
        extras = sorted({line.rpartition("'")[0].rpartition("'")[2] for line in requires if "extra" in line})
        filename = f"{name}-{version}-py3-none-any.whl"
        row = {"filename": filename, "url": f"https://host.example/{filename}", "hashes": {"sha256": "0" * 64}}
        self.rows.setdefault(name, []).append({**row, "yanked": yanked})
        self.metadata[filename] = Metadata(name, version, requires, extras, python)

    def __call__(self, file: IndexFile) -> Metadata:
        """Answer what a store of metadata is asked."""
        return self.metadata[file.filename]

    known = __call__

    def readers(
        self,
        asked: Sequence[str],
        *,
        pins: dict[str, str] | None = None,
        has: Sequence[Provided] = (),
        limits: Sequence[Limit] = (),
    ) -> Readers:
        """Return what a worker reads with."""
        opened = connect([], "", lambda _count: None)
        pages = SimpleNamespace(page=self._page, flat=lambda _name: False)
        connection = Connection(opened.arguments, opened.web, cast("Any", pages), cast("Any", self), opened.sdists)
        question = Question(
            label="made up",
            python_version="3.12",
            python_full_version="3.12.3",
            environment=ENVIRONMENT,
            tags=("py3-none-any",),
            asked=tuple(Asked(text=line, line=line) for line in asked),
            provided=tuple(has),
            limits=tuple(limits),
            pins=pins or {},
            prefetch=False,
        )
        return Readers(question, connection)

    def _page(self, name: str) -> Page:
        return Page(name, "https://host.example/simple/", self.rows.get(name, []), exists=name in self.rows)


def both(universe: Universe, asked: Sequence[str], **more: Any) -> tuple[list[Chosen] | None, object]:
    """Return what the straight way gives, and if that is anything, what pip's search gives."""
    ours = _one(universe, straight.pins, asked, **more)
    return ours, None if ours is None else _one(universe, resolution.pins, asked, **more)


def _one(universe: Universe, way: Any, asked: Sequence[str], **more: Any) -> Any:
    readers = universe.readers(asked, **more)
    try:
        return way(readers)
    finally:
        readers.web.close()


def made_up(dice: random.Random) -> tuple[Universe, list[str], dict[str, Any]]:
    """Return a universe in which some requirements clash and most do not, with requests."""
    universe = Universe()

    def wish(name: str) -> str:
        specifier = dice.choice(SPECIFIERS)
        return name + dice.choice(["", "", "[x]", "[x,y]"]) + specifier

    def needs() -> Iterator[str]:
        for name in dice.sample(NAMES, dice.choice([0, 1, 1, 2])):
            yield wish(name) + dice.choice(["", "", "; extra == 'x'", "; extra == 'y'", "; python_version < '3.9'"])

    for name in NAMES:
        for version in dice.sample(VERSIONS, dice.randint(2, 5)):
            python = dice.choice([None, None, None, ">=3.8", ">=3.13"])
            universe.wheel(name, version, *needs(), python=python, yanked=dice.random() < 0.05)
    pins = {name: dice.choice(VERSIONS) for name in NAMES if dice.random() < 0.15}
    has = [_provided(dice, name, [*needs()]) for name in NAMES if dice.random() < 0.2]
    there = {item.name: item for item in has}
    limits = [
        Limit(by="base 1", requirement=f"{name}{specifier}")
        for name, specifier in ((name, dice.choice(SPECIFIERS)) for name in NAMES if dice.random() < 0.3)
        if name in there and there[name].opened and specifier and SpecifierSet(specifier).contains(there[name].version)
    ]
    asked = [wish(name) for name in dice.sample(NAMES, dice.randint(1, 3))]
    pins = {name: pin for name, pin in pins.items() if name not in there or there[name].opened}
    return universe, asked, {"pins": pins, "has": has, "limits": limits}


def _provided(dice: random.Random, name: str, needs: list[str]) -> Provided:
    opened = dice.random() < 0.6
    return Provided(
        name=name,
        version=dice.choice(("1.0", "2.0rc1", "2.0", "2.0+cpu", "3.0")),
        requires_dist=tuple(needs),
        provides_extra=("x", "y"),
        opened=opened,
        first=opened and dice.random() < 0.5,
        counts=not opened or dice.random() < 0.5,
    )


@pytest.mark.parametrize("part", range(4))
def test_what_the_straight_way_gives_is_what_pips_search_gives(part: int) -> None:
    found = 0
    for number in range(examples(100)):
        universe, asked, more = made_up(random.Random(f"{part} {number}"))
        ours, theirs = both(universe, asked, **more)
        assert ours is None or ours == theirs, (part, number)
        found += bool(ours)
    assert found > 5


def test_names_without_conflict_need_no_search() -> None:
    universe = Universe()
    universe.wheel("a", "1.0", "b>=1", "c[x]")
    universe.wheel("b", "1.0", "c<2")
    universe.wheel("b", "2.0", "c")
    universe.wheel("c", "1.5", "d; extra == 'x'")
    universe.wheel("d", "1.0")
    ours, theirs = both(universe, ["a"])
    assert ours == theirs
    assert [(pin.name, pin.version, pin.extras) for pin in ours or ()] == [
        ("a", "1.0", ()),
        ("b", "2.0", ()),
        ("c", "1.5", ("x",)),
        ("d", "1.0", ()),
    ]


def test_a_pin_of_the_old_lock_is_kept_on_the_straight_way() -> None:
    universe = Universe()
    for version in ("1.0", "2.0"):
        universe.wheel("a", version, "b")
        universe.wheel("b", version)
    ours, theirs = both(universe, ["a"], pins={"b": "1.0"})
    assert ours == theirs
    assert [(pin.name, pin.version) for pin in ours or ()] == [("a", "2.0"), ("b", "1.0")]


@pytest.mark.parametrize(
    ("pin", "versions"),
    [
        ("1.0", ("0.9", "1.0", "1.0+cpu", "2.0")),
        ("1", ("0.9", "1.0.0", "1.0rc1", "2.0")),
        ("1.0rc1", ("1.0rc1", "1.0", "2.0")),
        ("1.0", ("0.9", "2.0")),
    ],
)
def test_a_pin_is_what_a_search_takes_for_it_however_it_is_spelled(pin: str, versions: tuple[str, ...]) -> None:
    universe = Universe()
    for version in versions:
        universe.wheel("a", version, "b")
    universe.wheel("b", "1.0")
    ours, theirs = both(universe, ["a"], pins={"a": pin})
    assert ours == theirs
    assert (ours is None) == (versions == ("0.9", "2.0"))


@pytest.mark.parametrize(
    ("needs", "asked", "pins"),
    [
        (("b",), ("a", "b<2"), {}),  # which b is taken first is a matter of order
        (("b>=2",), ("a",), {"b": "1.0"}),
        (("missing",), ("a",), {}),
        (("b @ https://host.example/b.zip",), ("a",), {}),
        (("b===2.0",), ("a",), {}),
        (("b>=3",), ("a",), {}),
    ],
)
def test_what_may_need_a_search_is_left_to_it(
    needs: tuple[str, ...], asked: tuple[str, ...], pins: dict[str, str]
) -> None:
    universe = Universe()
    universe.wheel("a", "1.0", *needs)
    for version in ("1.0", "2.0"):
        universe.wheel("b", version)
    readers = universe.readers(asked, pins=pins)
    assert straight.pins(readers) is None
    readers.web.close()


@pytest.mark.parametrize(
    ("first", "asked", "version"),
    [(True, "b", "1.0"), (False, "b", "2.0"), (True, "b>1", "2.0"), (False, "b<2", "1.0")],
)
def test_a_base_package_that_may_move_does_where_all_agree(first: bool, asked: str, version: str) -> None:
    universe = Universe()
    universe.wheel("a", "1.0", asked)
    for other in ("1.0", "2.0", "3.0"):
        universe.wheel("b", other)
    own = Provided(name="b", version="1.0", opened=True, first=first, counts=False)
    ours, theirs = both(universe, ["a"], has=[own], limits=[Limit(by="base 1", requirement="b<3")])
    assert ours == theirs
    assert [(pin.name, pin.version) for pin in ours or ()] == [("a", "1.0"), ("b", version)]
