"""The published schema, the writer and the reader say the same."""

from __future__ import annotations

import copy
import json
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kpack.errors import KpackError
from kpack.lock import Lock, dumps, loads, relative
from kpack.lock.schema import SCHEMA
from kpack.lock.schema import dumps as schema_text
from kpack.lock.write import digest_of, toml_value
from tests.lock.locks import locks
from tests.support.long import examples

if TYPE_CHECKING:
    from collections.abc import Iterator

FILE = Path(__file__).parents[2] / "schemas" / "lock.schema.json"
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)


def plain(value: Any) -> Any:
    """Return a parsed lock as JSON has it: dates as text."""
    return json.loads(json.dumps(value, default=lambda moment: moment.isoformat()))


def is_valid(data: dict[str, Any]) -> bool:
    return bool(VALIDATOR.is_valid(plain(data)))


def is_read(data: dict[str, Any]) -> bool:
    """Tell whether the reader takes these tables, written inline and sealed with their own digest."""
    tool = {key: value for key, value in data["tool"]["kpack"].items() if key != "digest"}
    head = [f"{key} = {toml_value(value)}" for key, value in data.items() if key != "tool"]
    body = [f"{key if key.isidentifier() else toml_value(key)} = {toml_value(value)}" for key, value in tool.items()]
    bare = "\n".join([*head, "", "[tool.kpack]", *body]) + "\n"
    text = bare.replace("[tool.kpack]\n", f'[tool.kpack]\ndigest = "{digest_of(bare)}"\n', 1)
    try:
        loads(text, "pylock.toml")
    except KpackError:
        return False
    return True


def tables(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Yield the paths of all tables inside a value."""
    if isinstance(value, dict):
        yield path
        for key, item in value.items():
            yield from tables(item, (*path, key))
    elif isinstance(value, list):
        for position, item in enumerate(value):
            yield from tables(item, (*path, position))


def at(value: Any, path: tuple[str | int, ...]) -> Any:
    for key in path:
        value = value[key]
    return value


def ours(data: dict[str, Any]) -> list[tuple[str | int, ...]]:
    """Return the tables that are kpack's; ``env`` has free keys, and the digest is remade."""
    found = [("tool", "kpack", *path) for path in tables(data["tool"]["kpack"]) if path[-1:] != ("env",)]
    for position, package in enumerate(data["packages"]):
        found += [("packages", position, "tool", *path) for path in tables(package.get("tool", {})) if path]
    return found


def test_the_published_file_is_the_schema_of_the_code() -> None:
    assert FILE.read_text() == schema_text()
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


@settings(max_examples=examples(60), deadline=None)
@given(locks())
def test_what_is_written_is_valid(lock: Lock) -> None:
    for text in (dumps(lock), relative(lock)):
        VALIDATOR.validate(plain(tomllib.loads(text)))
        assert is_read(tomllib.loads(text))


@settings(max_examples=examples(40), deadline=None)
@given(lock=locks(), data=st.data())
def test_an_unknown_key_is_refused_by_both(lock: Lock, data: st.DataObject) -> None:
    tree = tomllib.loads(dumps(lock))
    at(tree, data.draw(st.sampled_from(ours(tree))))["mood"] = "good"
    assert not is_valid(tree)
    assert not is_read(tree)


@settings(max_examples=examples(80), deadline=None)
@given(lock=locks(), data=st.data())
def test_a_missing_key_or_a_value_of_another_type_is_refused_by_both_or_by_none(
    lock: Lock, data: st.DataObject
) -> None:
    tree = tomllib.loads(dumps(lock))
    path = data.draw(st.sampled_from([path for path in ours(tree) if at(tree, path)]))
    table = at(tree, path)
    key = data.draw(st.sampled_from(sorted(set(table) - {"digest"} or {"digest"})))
    changed = copy.deepcopy(tree)
    if key == "digest":
        return
    if data.draw(st.booleans()):
        del at(changed, path)[key]
        if key in ("packages", "wheel", "marker", "base", "fingerprint"):
            return  # the reader holds these against other tables, which no schema can
    else:
        at(changed, path)[key] = data.draw(st.sampled_from((3, True, [3], [[]], {"x": {"y": []}})))
        if key == "size":
            return
    assert is_read(changed) == is_valid(changed)


@pytest.mark.parametrize("key", ["name", "format", "meaning", "targets", "requests"])
def test_what_every_lock_has_is_required(key: str) -> None:
    assert key in SCHEMA["properties"]["tool"]["properties"]["kpack"]["required"]
