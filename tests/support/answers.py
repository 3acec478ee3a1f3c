"""Every object that ``--json`` prints, held against its schema in ``schemas/answers``, in whichever test it is read."""

from __future__ import annotations

import functools
import json
from typing import TYPE_CHECKING, Any

from tests.support.terminal import ROOT

if TYPE_CHECKING:
    from collections.abc import Sequence

FOLDER = ROOT / "schemas" / "answers"
SUFFIX = ".schema.json"


def name_of(words: Sequence[str]) -> str:
    """Return the name of the schema for a command line: ``lock``, ``cache-size``."""
    from kpack.cli import COMMANDS

    place = next(number for number, word in enumerate(words) if word in COMMANDS)
    return f"cache-{words[place + 1]}" if words[place] == "cache" else words[place]


@functools.cache
def _validator(name: str) -> Any:
    import jsonschema

    schema = json.loads((FOLDER / f"{name}{SUFFIX}").read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


def checked(words: Sequence[str], text: str) -> Any:
    """Return the object that ``kpack`` printed for ``words``, when it is what the schema says."""
    value = json.loads(text)
    name = "error" if isinstance(value, dict) and "error" in value else name_of(words)
    wrong = [f"{error.json_path}: {error.message:.300}" for error in _validator(name).iter_errors(value)]
    assert not wrong, (name, wrong)
    return value
