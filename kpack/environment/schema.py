"""kaggle-env.toml as a JSON Schema, made from the rows of its keys, for editors."""

from __future__ import annotations

import json

from kpack.environment.keys import DOCUMENT
from kpack.environment.rows import FixedTable, Moment, Shape, Size, Text, TextMap, Texts

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
    properties = {row.key: {"description": row.description, **_value(row.kind.shape)} for row in shape.rows}
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


def _value(shape: Shape) -> dict[str, object]:
    if isinstance(shape, Text):
        return {"anyOf": [{"const": True}, _text(shape)]} if shape.or_true else _text(shape)
    if isinstance(shape, Texts):
        array: dict[str, object] = {"type": "array", "items": _text(shape.item)}
        if shape.at_least:
            array["minItems"] = shape.at_least
        return {"anyOf": [_text(shape.item), array]} if shape.single else array
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
    text: dict[str, object] = {"type": "string"}
    if not shape.empty:
        text["minLength"] = 1
    text["maxLength"] = shape.longest
    text["pattern"] = f"^(?:{shape.pattern})$" if shape.pattern else f"^[^{_CONTROL}]*$"
    return text
