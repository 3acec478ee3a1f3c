"""What a pack says that it holds, and its software bill of materials."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from kpack import pack
from kpack.checkpoints import LockedCheckpoint
from kpack.cli import run
from kpack.errors import IntegrityError
from kpack.files import sha256_of
from kpack.inventory import inventory
from kpack.inventory.cards import license_of_card
from kpack.inventory.cyclonedx import bill_of_materials
from kpack.lock import from_resolution
from kpack.pack.layout import content_of
from kpack.page import page_of
from tests.support.kernels import base, environment, pin, resolution, target, wheel
from tests.support.wheels import make_wheel

if TYPE_CHECKING:
    from pathlib import Path

REPOSITORY = "hf://org/model@" + "a" * 40


@pytest.fixture
def packed(tmp_path: Path) -> Path:
    """A pack of two wheels, one of which asks for the other, of a model's file and its card."""
    top = make_wheel(tmp_path / "in", "top", requires=["deep"], headers=["License-Expression: MIT", "Summary: A top."])
    deep = make_wheel(tmp_path / "in", "deep", "2.0", headers=["License: of its own kind"])
    card, weights = tmp_path / "in" / "README.md", tmp_path / "in" / "model.bin"
    card.write_text("---\nlicense: apache-2.0\ntags:\n- x\n---\n# Model\n")
    weights.write_bytes(b"\0" * 3000)
    pins = [
        pin(name, version, by=by, wheel=wheel(path.name, sha256=sha256_of(path), size=path.stat().st_size))
        for name, version, path, by in [("top", "1.0", top, ""), ("deep", "2.0", deep, "top")]
    ]
    checkpoints = [
        LockedCheckpoint(
            path=f"model/{path.name}",
            urls=(f"{REPOSITORY}/{path.name}#main",),
            sha256=sha256_of(path),
            size=path.stat().st_size,
        )
        for path in (card, weights)
    ]
    found = resolution((target(base({})), pins))
    lock = from_resolution(environment("top"), found, meaning="0" * 64, checkpoints=checkpoints)
    files = {sha256_of(path): path for path in (top, deep, card, weights)}
    return pack.write(content_of(lock, "pylock.kaggle-env.toml", files, {}), tmp_path / "tiny.kpack.bin").path


def test_an_inventory_says_who_brought_what_under_which_licence(packed: Path) -> None:
    found = inventory(pack.read(packed))
    rows = [
        (item.name, item.version, str(item.license), item.summary, item.needed_by, item.requested)
        for item in found.distributions
    ]
    assert rows == [
        ("deep", "2.0", "'of its own kind' (no SPDX licence)", "", ("top",), False),
        ("top", "1.0", "MIT", "A top.", (), True),
    ]
    known = inventory(pack.read(packed), {found.distributions[1].sha256: "http://127.0.0.1/files/top.whl"})
    assert [item.url for item in known.distributions] == [None, "http://127.0.0.1/files/top.whl"]
    assert [(item.path, str(item.license)) for item in found.model_files] == [
        ("model/README.md", "Apache-2.0"),
        ("model/model.bin", "Apache-2.0"),
    ]


def test_a_changed_byte_of_metadata_is_found(packed: Path) -> None:
    read = pack.read(packed)
    data = packed.read_bytes()
    start = read.origin + read.manifest.member("wheels/top-1.0-py3-none-any.whl").offset
    place = data.index(b"METADATA", start) + 20
    packed.write_bytes(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
    with pytest.raises(IntegrityError, match="damaged"):
        inventory(pack.read(packed))


def test_without_a_lock_that_can_be_read_the_rest_is_told_where_that_is_wanted(packed: Path) -> None:
    read = pack.read(packed)
    data = packed.read_bytes()
    start = read.origin + read.manifest.member(read.manifest.lock).offset
    packed.write_bytes(data[:start] + b"?" + data[start + 1 :])
    with pytest.raises(IntegrityError):
        inventory(pack.read(packed))
    found = inventory(pack.read(packed), lenient=True)
    assert [item.name for item in found.distributions] != []
    assert {item.requested for item in found.distributions} == {False}
    page = page_of(pack.read(packed))
    assert page.note.startswith("Who asked for what is not known: the lock in the pack cannot be read")
    assert {row.needed_by for row in page.rows} == {()}


def bill(packed: Path, capsys: pytest.CaptureFixture[str]) -> tuple[str, Any]:
    assert run(["inspect", str(packed), "--format", "cyclonedx"]) == 0
    text = capsys.readouterr().out
    return text, json.loads(text)


def test_the_bill_of_materials_is_valid_and_the_same_every_time(
    packed: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text, _ = bill(packed, capsys)
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    assert text == bill(packed, capsys)[0]


def test_the_bill_of_materials_is_ascii_whatever_a_file_is_called(packed: Path) -> None:
    found = inventory(pack.read(packed))
    odd = "mod\u202e\x9b31m\u00e8l.bin"
    text = bill_of_materials(replace(found, model_files=(replace(found.model_files[0], path=odd),)))
    assert text.isascii()
    assert odd in [item["name"] for item in json.loads(text)["components"]]


def test_the_bill_of_materials_has_digests_addresses_licences_and_who_needs_whom(
    packed: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = inventory(pack.read(packed)).distributions[1]
    address = "http://127.0.0.1/files/top-1.0-py3-none-any.whl"
    monkeypatch.setattr("kpack.cli.inspect._addresses", lambda _session: {found.sha256: address})
    _, document = bill(packed, capsys)
    components = {item["name"]: item for item in document["components"]}
    assert set(components) == {"top", "deep", "model/README.md", "model/model.bin"}
    top = components["top"]
    assert top["purl"] == "pkg:pypi/top@1.0?file_name=top-1.0-py3-none-any.whl"
    assert top["licenses"] == [{"expression": "MIT"}]
    assert components["deep"]["licenses"] == [{"license": {"name": "of its own kind"}}]
    assert top["hashes"] == [{"alg": "SHA-256", "content": found.sha256}]
    assert top["externalReferences"][0]["url"] == address
    needs = {item["ref"]: item.get("dependsOn", []) for item in document["dependencies"]}
    assert needs[top["bom-ref"]] == [components["deep"]["bom-ref"]]
    assert components["deep"]["bom-ref"] not in needs[document["metadata"]["component"]["bom-ref"]]


@pytest.mark.parametrize(
    ("card", "expression"),
    [
        (b"---\nlicense: mit\n---\n", "MIT"),
        (b"---\r\nlicense: cc-by-4.0\r\n---\r\n", "CC-BY-4.0"),
        (b"---\nlicense: other\n---\n", ""),
        (b"---\nlicense: [a\n---\n", ""),
        (b"---\na: &a [x]\nlicense: *a\n---\n", ""),
        (b"# no head\nlicense: mit\n", ""),
        (b"---\nlicense: mit\n", ""),
        (b"\xff\xfe", ""),
    ],
)
def test_of_a_card_the_licence_in_its_head_is_read(card: bytes, expression: str) -> None:
    assert license_of_card(card).expression == expression
