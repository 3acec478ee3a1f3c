"""kaggle-env.toml as a JSON Schema, made from the rows of its keys, for editors."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from kpack.environment.keys import DOCUMENT
from kpack.environment.rows import FixedTable, Flag, Moment, Shape, Size, Text, TextMap, Texts

if TYPE_CHECKING:
    from kpack.environment.rows import Row

FILE_NAME = ".kaggle-env.schema.json"
"""What `kpack init` calls its copy beside kaggle-env.toml, which the file's ``#:schema`` comment names: a relative path
is the one address that is the same for everybody who has the project, whatever kpack they have, and without network."""

_CHOICE = re.compile(r"[A-Za-z0-9-]+(?:\|[A-Za-z0-9-]+)+")
_CONTROL = "\\u0000-\\u001f\\u007f-\\u009f"


def schema() -> dict[str, object]:
    """Return the JSON Schema (draft 2020-12) of the file; dates are strings, as TOML editors see them.

    It judges keys, types, patterns and which keys exclude each other; what needs more (duplicates under
    normalisation, overlapping patterns, valid requirements) only `kpack.environment.load` can.
    """
    base, python, platform = ({"required": [key]} for key in ("base", "python", "platform"))
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "kaggle-env.toml",
        "description": "Python packages and model checkpoints that kpack carries into an offline Kaggle notebook.",
        **_table(DOCUMENT),
        "oneOf": [{**base, "not": {"anyOf": [python, platform]}}, {**python, "not": base}],
        "dependentSchemas": {"replace": {"anyOf": [base, {"properties": {"replace": {"maxItems": 0}}}]}},
    }


def dumps() -> str:
    """Return the content of ``schemas/kaggle-env.schema.json``."""
    return json.dumps(schema(), indent=2) + "\n"


def _table(shape: FixedTable) -> dict[str, object]:
    properties = {row.key: _property(row) for row in shape.rows}
    required = [row.key for row in shape.rows if row.required]
    table: dict[str, object] = {"type": "object", "properties": properties, "additionalProperties": False}
    if required:
        table["required"] = required
    if {"url", "packages"} <= properties.keys():  # a folder of wheels owns what lies in it
        table["anyOf"] = [{"required": ["packages"]}, {"properties": {"url": {"not": {"pattern": "^https?://"}}}}]
    if {"url", "urls"} <= properties.keys():
        hf = {"pattern": "^hf://"}
        table["oneOf"] = [
            {"required": ["url"], "anyOf": [{"required": ["path"]}, {"properties": {"url": hf}}]},
            {"required": ["urls"], "anyOf": [{"required": ["path"]}, {"properties": {"urls": {"items": hf}}}]},
        ]
    return table


def _property(row: Row) -> dict[str, object]:
    """Return the schema of one key, and its words in the items of an array, too: there Taplo looks for them.

    At the key of an array that is not empty, and at the header of an array of tables, it shows what the items say
    (its issue 788); at a key in such a table it shows nothing at all (its issue 278), at the value it does.
    """
    said, value = _said(row), _value(row.kind.shape)
    for form in (value, *value.get("anyOf", ())):
        if "items" in form:
            form["items"] = {**said, **form["items"]}
    return {**said, **value}


def _said(row: Row) -> dict[str, object]:
    """Return what an editor shows of a key; Taplo shows no ``examples`` of its own accord."""
    if row.example is None:
        return {"description": row.description}
    shown = f"{row.description}\n\n```toml\n{row.key} = {toml(row.example)}\n```"
    return {"description": row.description, "examples": [row.example], "x-taplo": {"docs": {"main": shown}}}


def toml(value: object) -> str:
    """Return an example as TOML; a day stands without quotes."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {toml(item)}" for key, item in value.items()) + " }"
    if isinstance(value, list):
        return f"[{', '.join(map(toml, value))}]"
    if isinstance(value, str) and re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", value):
        return value
    return json.dumps(value)


def _value(shape: Shape) -> dict[str, Any]:
    if isinstance(shape, Text):
        return {"anyOf": [{"const": True}, _text(shape)]} if shape.or_true else _text(shape)
    if isinstance(shape, Texts):
        array: dict[str, Any] = {"type": "array", "items": _text(shape.item)}
        if shape.at_least:
            array["minItems"] = shape.at_least
        return {"anyOf": [_text(shape.item), array]} if shape.single else array
    if isinstance(shape, Flag):
        return {"type": "boolean"}
    if isinstance(shape, Moment):
        return {"type": "string", "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}([Tt ].*)?$"}
    if isinstance(shape, Size):
        return {
            "anyOf": [
                {"type": "integer", "minimum": 1, "maximum": (1 << 63) - 1},
                {"type": "string", "pattern": f"^(?:{shape.pattern})$"},
            ]
        }
    if isinstance(shape, TextMap):
        names = {"pattern": f"^(?:{shape.key.pattern})$", "maxLength": shape.key.longest}
        return {"type": "object", "propertyNames": names, "additionalProperties": _text(shape.value)}
    table = _table(shape)
    return {"type": "array", "items": table} if shape.many else table


def _text(shape: Text) -> dict[str, object]:
    if shape.pattern and _CHOICE.fullmatch(shape.pattern):  # editors offer the words of an enum
        return {"type": "string", "enum": shape.pattern.split("|")}
    text: dict[str, object] = {"type": "string"}
    if not shape.empty:
        text["minLength"] = 1
    text["maxLength"] = shape.longest
    text["pattern"] = f"^(?:{shape.pattern})$" if shape.pattern else f"^[^{_CONTROL}]*$"
    return text
