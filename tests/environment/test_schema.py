"""The schema says what the code says."""

from __future__ import annotations

import json
import tomllib
from dataclasses import fields
from datetime import date, time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kpack.environment import CheckpointRequest, Environment, Index, RestoreOptions, load
from kpack.environment.keys import DOCUMENT
from kpack.environment.rows import FixedTable, Shape
from kpack.environment.schema import _value, dumps, schema, toml
from tests.environment.corpus import VALID, WRONG
from tests.environment.models import documents

if TYPE_CHECKING:
    from collections.abc import Mapping

ROOT = Path(__file__).parents[2]
SHIPPED = ROOT / "schemas" / "kaggle-env.schema.json"
VALIDATOR = jsonschema.Draft202012Validator(schema())


def as_json(value: Any) -> Any:
    """Return a TOML value as an editor hands it to a schema: dates and times are strings."""
    if isinstance(value, dict):
        return {key: as_json(item) for key, item in value.items()}
    if isinstance(value, list):
        return [as_json(item) for item in value]
    return value.isoformat() if isinstance(value, (date, time)) else value


def test_the_shipped_schema_is_the_codes_own() -> None:
    """When it fails: write `kpack.environment.schema.dumps()` to the file."""
    assert SHIPPED.read_text(encoding="utf-8") == dumps()


def test_the_schema_is_a_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(json.loads(dumps()))


@pytest.mark.parametrize("name", VALID)
def test_schema_accepts_a_valid_file(name: str) -> None:
    VALIDATOR.validate(as_json(tomllib.loads(VALID[name])))


@pytest.mark.parametrize("name", WRONG)
def test_schema_refuses_what_it_can_judge_and_nothing_else(name: str) -> None:
    wrong = WRONG[name]
    assert VALIDATOR.is_valid(as_json(tomllib.loads(wrong.text))) is not wrong.schema


@pytest.mark.parametrize("path", sorted((ROOT / "examples").rglob("[!p]*.toml")), ids=lambda path: path.parent.name)
def test_every_example_is_valid_by_code_and_by_schema(path: Path) -> None:
    load(path)
    VALIDATOR.validate(as_json(tomllib.loads(path.read_text(encoding="utf-8"))))


@given(documents())
def test_schema_accepts_whatever_the_code_accepts(data: dict[str, Any]) -> None:
    VALIDATOR.validate(as_json(data))


def examples() -> list[tuple[str, Any, Any]]:
    """Return key, shape and example of all keys but those that hold fixed tables."""
    tables = [row.kind.shape for row in DOCUMENT.rows if isinstance(row.kind.shape, FixedTable)]
    rows = [row for table in (DOCUMENT, *tables) for row in table.rows]
    return [(row.key, row.kind.shape, row.example) for row in rows if not isinstance(row.kind.shape, FixedTable)]


@pytest.mark.parametrize(("key", "shape", "example"), examples(), ids=lambda value: value if type(value) is str else "")
def test_every_key_has_an_example_that_its_own_schema_takes(key: str, shape: Shape, example: Any) -> None:
    jsonschema.Draft202012Validator(_value(shape)).validate(example)
    tomllib.loads(f"{key} = {toml(example)}")


def properties(*path: str) -> Mapping[str, Any]:
    found: Any = schema()
    for key in path:
        found = found["properties"][key]
        found = found.get("items", found)
    held = found["properties"]
    assert isinstance(held, dict)
    return held


def test_every_key_of_the_schema_is_a_field_of_the_value_and_the_reverse() -> None:
    renamed = {"bases": "base", "restore": "restore", "dataset": "publish", "urls": "urls"}

    def keys(kind: type, but: set[str]) -> set[str]:
        return {renamed.get(one.name, one.name.replace("_", "-")) for one in fields(kind) if one.name not in but}

    assert properties().keys() == keys(Environment, {"path"})
    assert properties("checkpoints").keys() == keys(CheckpointRequest, set()) | {"url"}
    assert properties("indexes").keys() == keys(Index, set())
    assert properties("restore").keys() == keys(RestoreOptions, set())
    assert properties("publish").keys() == {"dataset"}


@given(st.sampled_from(sorted(properties())), st.from_regex(r"[a-z]{1,8}", fullmatch=True))
def test_schema_refuses_unknown_keys_in_every_table(table: str, key: str) -> None:
    value = {"restore": {f"{key}0": 1}, "publish": {f"{key}0": 1}}.get(table, [{f"{key}0": 1}])
    assert not VALIDATOR.is_valid({"name": "x", "python": "3.12", table: value, f"{key}0": 1})
    if table in {"restore", "publish", "checkpoints", "indexes"}:
        assert not VALIDATOR.is_valid({"name": "x", "python": "3.12", table: value})
