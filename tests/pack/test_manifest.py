"""kpack.json: what is written is read, what kpack would not have written is refused, and the schema agrees."""

from __future__ import annotations

import contextlib
import copy
import json
from copy import deepcopy
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kpack import pack
from kpack.pack.manifest import dumps
from kpack.restore import manifest as model
from kpack.restore.errors import RestoreError
from tests.pack.test_pack import content
from tests.support.long import examples

if TYPE_CHECKING:
    from collections.abc import Callable

SCHEMA = json.loads((Path(__file__).resolve().parents[2] / "schemas" / "manifest.schema.json").read_text())


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("manifest")
    made = pack.write(content(folder / "in"), folder / "tiny.kpack.bin")
    found: dict[str, Any] = json.loads(dumps(pack.read(made.path).manifest))
    return found


def encoded(raw: dict[str, Any]) -> bytes:
    return (json.dumps(raw, sort_keys=True, separators=(",", ":")) + "\n").encode()


def test_reads_what_it_writes(raw: dict[str, Any]) -> None:
    data = encoded(raw)
    assert dumps(model.loads(data)) == data
    jsonschema.validate(raw, SCHEMA)


def test_digests_of_images_travel_and_are_left_out_where_none_is_known(raw: dict[str, Any]) -> None:
    assert "images" not in raw["targets"][0]
    known = copy.deepcopy(raw)
    known["targets"][0]["images"] = ["sha256:" + "1" * 64]
    manifest = model.loads(encoded(known))
    assert manifest.targets[0].images == ("sha256:" + "1" * 64,)
    assert dumps(manifest) == encoded(known)
    jsonschema.validate(known, SCHEMA)


def at(raw: dict[str, Any], *path: str | int) -> Any:
    found: Any = raw
    for step in path:
        found = found[step]
    return found


def put(*path: Any) -> Callable[[dict[str, Any]], None]:
    def change(raw: dict[str, Any]) -> None:
        at(raw, *path[:-2])[path[-2]] = path[-1]

    return change


SHAPE = {
    "another format": put("format", 2),
    "true as format": put("format", True),
    "an unknown key": put("extra", 1),
    "an unknown key in a member": put("members", 0, "extra", 1),
    "an unknown key in a target": put("targets", 0, "extra", 1),
    "an unknown key in restore": put("restore", "extra", 1),
    "a digest in upper case": put("members", 0, "sha256", "A" * 64),
    "a short digest": put("members", 0, "sha256", "a" * 40),
    "a digest with a line end": put("checkpoints", 0, "sha256", "a" * 64 + "\n"),
    "a negative size": put("members", 0, "size", -1),
    "a size as text": put("members", 0, "size", "1"),
    "a boolean as size": put("members", 0, "offset", True),
    "an empty span": put("members", 0, "spans", 0, 1, 0),
    "a span of two": put("members", 0, "spans", 0, [0, 1]),
    "a control character": put("name", "a\x1b[31m"),
    "half of a surrogate pair": put("lock", "\ud800"),
    "a backslash": put("targets", 0, "label", "a\\b"),
    "a list as name": put("name", []),
    "a number in env": put("restore", "env", {"A": 1}),
    "a number as image": put("targets", 0, "images", [1]),
    "an image as text": put("targets", 0, "images", "sha256:0"),
    "a number as lax_record": put("targets", 0, "distributions", 0, "lax_record", 1),
}

SENSE = {
    "a member that climbs": put("members", 0, "path", "../evil"),
    "an absolute member": put("members", 0, "path", "/evil"),
    "a member twice": lambda raw: raw["members"].append(raw["members"][0]),
    "a gap between members": lambda raw: put("members", 1, "offset", raw["members"][1]["offset"] + 512)(raw),
    "overlapping members": lambda raw: put("members", 1, "offset", raw["members"][0]["offset"])(raw),
    "a gap between spans": put("members", 0, "spans", 0, 0, 1),
    "spans that do not cover": lambda raw: put("members", 0, "spans", [])(raw),
    "a wheel that is not there": put("targets", 0, "distributions", 0, "wheel", "wheels/none.whl"),
    "an engine that is not there": put("engine", "none.bin"),
    "an accelerator that is not there": put("targets", 0, "accelerator", "wheels/none.whl"),
    "a checkpoint that is not there": put("checkpoints", 0, "sha256", "0" * 64),
}


@pytest.mark.parametrize("case", SHAPE)
def test_code_and_schema_refuse(case: str, raw: dict[str, Any]) -> None:
    bad = deepcopy(raw)
    SHAPE[case](bad)
    with pytest.raises(RestoreError) as caught:
        model.loads(encoded(bad))
    assert caught.value.code == 5
    if case not in ("true as format", "a boolean as size"):  # JSON Schema takes 1.0 and True for 1
        assert not jsonschema.Draft202012Validator(SCHEMA).is_valid(bad)


@pytest.mark.parametrize("case", SENSE)
def test_code_refuses_what_a_schema_cannot_see(case: str, raw: dict[str, Any]) -> None:
    bad = deepcopy(raw)
    SENSE[case](bad)
    with pytest.raises(RestoreError) as caught:
        model.loads(encoded(bad))
    assert caught.value.code == 5


def test_every_missing_key_is_refused_by_both(raw: dict[str, Any]) -> None:
    for path in (
        (),
        ("targets", 0),
        ("members", 0),
        ("checkpoints", 0),
        ("restore",),
        ("targets", 0, "distributions", 0),
    ):
        for key in list(at(raw, *path)):
            bad = deepcopy(raw)
            del at(bad, *path)[key]
            valid = jsonschema.Draft202012Validator(SCHEMA).is_valid(bad)
            try:
                model.loads(encoded(bad))
            except RestoreError:
                assert not valid, f"{path} {key}: the schema takes what the code refuses"
            else:
                assert valid, f"{path} {key}: the schema refuses what the code takes"


def test_a_key_that_stands_twice_is_refused(raw: dict[str, Any]) -> None:
    data = encoded(raw).replace(b'{"checkpoints"', b'{"name":"evil","checkpoints"', 1)
    with pytest.raises(RestoreError, match="twice"):
        model.loads(data)


@settings(max_examples=examples(300))
@given(st.data())
def test_random_damage_is_a_restore_error_or_the_same(raw: dict[str, Any], data: st.DataObject) -> None:
    text = bytearray(encoded(raw))
    text[data.draw(st.integers(0, len(text) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(RestoreError):  # anything else that is raised fails the test
        model.loads(bytes(text))
