from __future__ import annotations

import re
import tomllib
from fnmatch import fnmatchcase
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hypothesis import given
from hypothesis import strategies as st
from packaging.utils import canonicalize_name

from kpack.environment import EnvironmentFileError, meaning_digest, parse
from kpack.environment.patterns import overlap
from kpack.environment.positions import lines
from tests.environment.corpus import VALID, WRONG
from tests.environment.models import Writer, documents

if TYPE_CHECKING:
    from collections.abc import Iterator
    from random import Random

    from kpack.environment.positions import KeyPath

FILE = Path("kaggle-env.toml")


def paths(value: Any, at: KeyPath = ()) -> Iterator[tuple[KeyPath, Any]]:
    """Yield every key and array item below ``value``."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield (*at, key), item
        yield from paths(item, (*at, key))


@given(documents(), st.randoms())
def test_what_is_written_is_read(data: dict[str, Any], random: Random) -> None:
    text = Writer(random).write(data)
    assert tomllib.loads(text) == data
    environment = parse(text, FILE)
    assert environment.name == data["name"]
    assert list(environment.bases) == ([data["base"]] if isinstance(data.get("base"), str) else data.get("base", []))
    assert environment.python == data.get("python")
    assert [package.text for package in environment.packages] == data.get("packages", [])
    for key in (
        "replace",
        "allow-source",
        "allow-broken",
        "allow-preloaded",
        "lax-record",
        "lax-archive",
        "allow-native",
    ):
        read = getattr(environment, key.replace("-", "_"))
        assert list(read) == [canonicalize_name(name) for name in data.get(key, [])]
    assert [one.pattern for one in environment.exclude] == [canonicalize_name(name) for name in data.get("exclude", [])]
    assert [(list(one.urls), one.path, one.sha256, one.attached) for one in environment.checkpoints] == [
        (table.get("urls") or [table["url"]], table["path"], table.get("sha256"), table.get("attached"))
        for table in data.get("checkpoints", [])
    ]
    assert [(one.name, one.url, list(one.packages)) for one in environment.indexes] == [
        (table["name"], table["url"], table["packages"]) for table in data.get("indexes", [])
    ]
    assert environment.restore.env == data.get("restore", {}).get("env", {})
    assert environment.restore.directory == data.get("restore", {}).get("directory")
    assert environment.dataset == data.get("publish", {}).get("dataset")
    assert (environment.exclude_newer is None) == ("exclude-newer" not in data)


@given(documents(), st.randoms(), st.randoms())
def test_the_meaning_does_not_depend_on_how_the_file_is_written(
    data: dict[str, Any], one: Random, other: Random
) -> None:
    moved = {key: value for key, value in data.items() if key != "publish"}
    assert meaning_digest(parse(Writer(one).write(data), FILE)) == meaning_digest(
        parse(Writer(other).write(moved), FILE)
    )


@given(documents(), st.randoms())
def test_every_key_and_item_has_the_line_where_it_stands(data: dict[str, Any], random: Random) -> None:
    text = Writer(random).write(data)
    written = text.split("\n")
    found = lines(text)
    seen = dict(paths(data))
    assert found.keys() == seen.keys()
    for path, value in seen.items():
        line = written[found[path] - 1]
        if isinstance(path[-1], str):
            assert path[-1] in line
        if isinstance(value, int):
            assert str(value) in line


def damage(text: str, edits: list[tuple[int, int, str]]) -> str:
    for place, length, replacement in edits:
        start = place % (len(text) + 1)
        text = text[:start] + replacement + text[start + length :]
    return text


@given(
    st.sampled_from([*VALID.values(), *(wrong.text for wrong in WRONG.values())]),
    st.lists(
        st.tuples(
            st.integers(0, 1000),
            st.integers(0, 6),
            st.one_of(st.text(max_size=3), st.sampled_from([*"[]{}\"'=.,#\n\\\0", "[[", '"""', "'''"])),
        ),
        min_size=1,
        max_size=4,
    ),
)
def test_a_damaged_file_is_read_or_refused_with_a_line(text: str, edits: list[tuple[int, int, str]]) -> None:
    damaged = damage(text, edits)
    for where, _, what, _ in refusals(damaged):
        number = re.fullmatch(r"kaggle-env\.toml:(\d+)", where)
        assert number is not None
        assert 1 <= int(number[1]) <= damaged.count("\n") + 1
        assert what
        assert what.isprintable()


def refusals(text: str) -> tuple[tuple[str, str, str, str], ...]:
    """Return the mistakes of a text, none for a valid one; any other exception is a failure of the test."""
    try:
        parse(text, FILE)
    except EnvironmentFileError as error:
        return error.mistakes
    return ()


VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5), st.dates(), st.times()),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=5), inner, max_size=3)),
    max_leaves=6,
)


@given(documents(), st.data())
def test_any_value_in_any_place_is_read_or_refused(data: dict[str, Any], draw: st.DataObject) -> None:
    import tomlkit

    path, _ = draw.draw(st.sampled_from(list(paths(data))))
    value = draw.draw(VALUES.filter(lambda value: value is not None))
    holder: Any = data
    for key in path[:-1]:
        holder = holder[key]
    holder[path[-1]] = value
    try:
        text = tomlkit.dumps(data)
        tomllib.loads(text)
    except (ValueError, TypeError):  # what tomlkit cannot write (None, mixed arrays) is not our matter
        return
    refusals(text)


PATTERNS = st.text("ab*?", max_size=3)
NAMES = ["".join(letters) for length in range(7) for letters in product("ab", repeat=length)]
"""Enough names for every pair of such patterns that overlaps to have one in common."""


@given(PATTERNS, PATTERNS)
def test_patterns_overlap_when_some_name_matches_both(one: str, other: str) -> None:
    common = any(fnmatchcase(name, one) and fnmatchcase(name, other) for name in NAMES)
    assert overlap(one, other) is common


@given(st.text("ab*?", max_size=8), st.text("ab", max_size=8))
def test_a_name_belongs_to_a_pattern_as_fnmatch_says(pattern: str, name: str) -> None:
    assert overlap(pattern, name) is fnmatchcase(name, pattern)
