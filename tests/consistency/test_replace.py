"""Replacing a base package, from the question to the refusal, with the real resolver."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from kpack.base import Removal
from kpack.errors import NoSolution
from kpack.resolve.consistency import check
from tests.resolve.scenario import Scenario, base_image, known
from tests.support.index import IndexServer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BASE = {
    "tokenizers": known("tokenizers", "0.22.1"),
    "transformers": known("transformers", "4.57.1", ["tokenizers<=0.23.0,>=0.22.0"]),
}


@pytest.fixture
def scenario(tmp_path: Path) -> Iterator[Scenario]:
    with IndexServer() as index:
        found = Scenario(tmp_path, index, cache=tmp_path / "cache")
        for version in ("0.22.1", "0.23.0", "0.24.0"):
            found.wheel("tokenizers", version)
        yield found


def test_a_request_that_would_break_a_base_package_names_it_and_the_words_to_write(scenario: Scenario) -> None:
    asked = scenario.environment("tokenizers>=0.24", replace=["tokenizers"])
    with pytest.raises(NoSolution) as caught:
        scenario.resolve(asked, base_image(BASE))
    assert caught.value.what == (
        "kaggle-env.toml needs tokenizers>=0.24, but transformers 4.57.1 of the base needs tokenizers<=0.23.0,>=0.22.0"
    )
    assert 'write allow-broken = ["transformers"]' in caught.value.next


def test_with_allow_broken_it_is_packed_and_noted(scenario: Scenario) -> None:
    asked = scenario.environment("tokenizers>=0.24", replace=["tokenizers"], allow_broken=["transformers"])
    found = check(asked, scenario.resolve(asked, base_image(BASE)), lambda _name, _version: None).targets[0]
    assert [(pin.name, str(pin.version), str(pin.replaces)) for pin in found.packed] == [
        ("tokenizers", "0.24.0", "0.22.1")
    ]
    assert any("transformers 4.57.1 needs tokenizers" in note for note in found.notes)


@pytest.mark.parametrize(
    ("facts", "why"),
    [
        ({"removal": Removal.NONE}, "nothing in the image lists its files"),
        ({"removal": Removal.HIDES, "library": "/kaggle/lib"}, "it lies in /kaggle/lib, which Python searches before"),
    ],
)
def test_what_a_restore_cannot_take_away_is_refused_by_the_lock(
    scenario: Scenario, facts: dict[str, Any], why: str
) -> None:
    asked = scenario.environment("tokenizers>=0.24", replace=["tokenizers"])
    base = {"tokenizers": replace(known("tokenizers", "0.22.1"), **facts)}
    with pytest.raises(NoSolution) as caught:
        scenario.resolve(asked, base_image(base))
    assert caught.value.where == "tokenizers in kernel"
    assert caught.value.what.startswith(f"tokenizers 0.22.1 cannot be replaced by 0.24.0: {why}")
    assert "it cannot be had in kernel" in caught.value.next
    assert 'take "tokenizers" out of replace and request what works with tokenizers 0.22.1' in caught.value.next


@pytest.mark.parametrize("removal", [None, Removal.RECORD, Removal.INSTALLED_FILES, Removal.HIDDEN])
def test_what_can_give_way_or_is_not_known_to_stay_is_locked(scenario: Scenario, removal: Removal | None) -> None:
    asked = scenario.environment("tokenizers>=0.24", replace=["tokenizers"])
    base = {"tokenizers": replace(known("tokenizers", "0.22.1"), removal=removal)}
    found = check(asked, scenario.resolve(asked, base_image(base)), lambda _name, _version: None).targets[0]
    assert [str(pin.version) for pin in found.packed] == ["0.24.0"]
