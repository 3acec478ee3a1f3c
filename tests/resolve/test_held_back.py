"""What is older than the newest is listed with what holds it."""

from __future__ import annotations

import tarfile
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from kpack.resolve.model import HeldBack
from tests.resolve.scenario import known, packed

if TYPE_CHECKING:
    from kpack.resolve.model import TargetResolution
    from tests.resolve.scenario import Scenario

NO_PROJECT = "has an sdist that is no Python project: neither pyproject.toml nor setup.py is in it"


def held(answer: TargetResolution) -> dict[str, tuple[str, str, str]]:
    return {item.name: (str(item.version), str(item.newest), item.because) for item in answer.held_back}


def test_nothing_is_held_back_when_all_is_newest(scenario: Scenario) -> None:
    scenario.wheel("top", "1.0")
    scenario.wheel("top", "2.0rc1")
    assert scenario.lock("top").held_back == ()


def test_base_version_that_a_newer_one_does_not_accept(scenario: Scenario) -> None:
    scenario.wheel("top", "1.0", "torch")
    scenario.wheel("top", "2.0", "torch>=3")
    answer = scenario.lock("top", base={"torch": "2.0"})
    assert isinstance(answer.held_back[0], HeldBack)
    assert held(answer) == {"top": ("1.0", "2.0", "top 2.0 needs torch>=3, but the base image kernel has torch 2.0")}


def test_requested_base_package_that_is_older(scenario: Scenario) -> None:
    scenario.wheel("torch", "3.0")
    answer = scenario.lock("torch", base={"torch": "2.0+cu128"})
    assert held(answer) == {"torch": ("2.0+cu128", "3.0", "the base image has 2.0+cu128")}


def test_requirement_of_another_package(scenario: Scenario) -> None:
    scenario.wheel("top", "1.0", "dep<2")
    for version in ("1.0", "2.0"):
        scenario.wheel("dep", version)
    assert held(scenario.lock("top")) == {"dep": ("1.0", "2.0", "top 1.0 needs dep<2")}


def test_request_of_the_file_is_no_news(scenario: Scenario) -> None:
    for version in ("1.0", "2.0"):
        scenario.wheel("dep", version)
    assert held(scenario.lock("dep<2")) == {}


def test_missing_wheel_and_the_reason_of_the_newest_usable_one(scenario: Scenario) -> None:
    scenario.wheel("top", "1.0")
    scenario.wheel("top", "2.0", "absent")
    path = scenario.folder / "top-3.0.tar.gz"
    with tarfile.open(path, "w:gz"):
        pass
    scenario.index.add(path)
    assert held(scenario.lock("top")) == {"top": ("1.0", "3.0", f"top 3.0 {NO_PROJECT}")}


def test_dependency_that_is_an_sdist_only(scenario: Scenario) -> None:
    scenario.wheel("top", "1.0")
    scenario.wheel("top", "2.0", "antlr")
    path = scenario.folder / "antlr-4.9.tar.gz"
    with tarfile.open(path, "w:gz"):
        pass
    scenario.index.add(path)
    assert held(scenario.lock("top")) == {"top": ("1.0", "2.0", f"top 2.0 needs antlr, but antlr 4.9 {NO_PROJECT}")}


def test_requires_python_and_exclude_newer(scenario: Scenario) -> None:
    for name in ("one", "two"):
        scenario.wheel(name, "1.0", upload_time="2026-01-01T00:00:00Z")
    scenario.wheel("one", "2.0", requires_python=">=3.13")
    scenario.wheel("two", "2.0", upload_time="2026-05-01T00:00:00Z")
    answer = scenario.lock("one", "two", exclude_newer=datetime(2026, 5, 1, tzinfo=UTC))
    assert held(answer) == {
        "one": ("1.0", "2.0", "2.0 needs Python >=3.13, the target has 3.12.13"),
        "two": ("1.0", "2.0", "2.0 was uploaded on 2026-05-01, after exclude-newer"),
    }


def test_old_pin_that_was_kept(scenario: Scenario) -> None:
    for version in ("1.0", "2.0"):
        scenario.wheel("top", version)
    answer = scenario.lock("top", pins={"top": "1.0"})
    assert packed(answer) == {"top": "1.0"}
    assert held(answer) == {"top": ("1.0", "2.0", "the old lock has 1.0 (--upgrade-package top lets go of it)")}


def test_limit_of_a_base_package_on_a_replaced_one(scenario: Scenario) -> None:
    scenario.wheel("top", "1.0", "tokenizers")
    for version in ("0.22", "0.23"):
        scenario.wheel("tokenizers", version)
    base = {"tokenizers": "0.21", "transformers": known("transformers", "4.5", ["tokenizers<0.23"])}
    answer = scenario.lock("top", "tokenizers", base=base, replace=["tokenizers"])
    assert held(answer) == {"tokenizers": ("0.22", "0.23", "transformers 4.5 of the base needs tokenizers<0.23")}


def test_local_version_is_not_held_back_from_itself(scenario: Scenario) -> None:
    for version in ("1.0", "1.0+cu128"):
        scenario.wheel("torch", version)
    assert held(scenario.lock("torch", base={"torch": "1.0"})) == {}


def test_reason_is_not_what_leans_on_the_old_version_itself(scenario: Scenario) -> None:
    scenario.wheel("top", "1.0", "top-zoo==1.0")
    scenario.wheel("top", "2.0", "torch>=3")
    scenario.wheel("top-zoo", "1.0", "top<2")
    answer = scenario.lock("top", base={"torch": "2.0"})
    assert "torch>=3" in held(answer)["top"][2]
    assert "top-zoo" not in held(answer)["top"][2]


def test_request_that_falls_back_says_what_really_stands_in_the_way_and_the_words(scenario: Scenario) -> None:
    scenario.wheel("top", "1.0")
    scenario.wheel("top", "2.0", "mid")
    scenario.wheel("mid", "1.0", "torch>=3")
    scenario.wheel("torch", "3.0")
    (fallback,) = scenario.lock("top", base={"torch": "2.0"}).fallbacks
    assert str(fallback) == "top 1.0 and not 2.0: mid 1.0 needs torch>=3, but the base image kernel has torch 2.0"
    assert fallback.words == 'write replace = ["torch"] to pack torch 3.0 in place of the kernel\'s'
    assert packed(scenario.lock("top", base={"torch": "2.0"}, replace=["torch"]))["top"] == "2.0"


def test_words_for_one_request_leave_the_others_as_they_are(scenario: Scenario) -> None:
    scenario.wheel("top", "1.0")
    scenario.wheel("top", "2.0", "torch>=3")
    scenario.wheel("torch", "3.0")
    scenario.wheel("other", "1.0")
    scenario.wheel("other", "2.0", "array>=3")
    scenario.wheel("array", "3.0")
    found = scenario.lock("top", "other", base={"torch": "2.0", "array": "2.0"})
    assert {each.name: each.words for each in found.fallbacks} == {
        "top": 'write replace = ["torch"] to pack torch 3.0 in place of the kernel\'s',
        "other": 'write replace = ["array"] to pack array 3.0 in place of the kernel\'s',
    }


def test_request_that_is_a_little_older_falls_back_in_silence(scenario: Scenario) -> None:
    scenario.wheel("top", "1.0.1")
    scenario.wheel("top", "1.0.2", "torch>=3", upload_time="2026-02-01T00:00:00Z")
    assert scenario.lock("top", base={"torch": "2.0"}).fallbacks == ()
    scenario.wheel("top", "1.0.3", "torch>=3", upload_time="2026-08-01T00:00:00Z")
    assert [str(each.newest) for each in scenario.lock("top", base={"torch": "2.0"}).fallbacks] == ["1.0.3"]


def test_an_old_version_in_place_of_the_images_is_a_fallback_too(scenario: Scenario) -> None:
    scenario.wheel("chain", "0.1")
    scenario.wheel("chain", "0.2", "array<2")
    scenario.wheel("chain", "1.0")
    found = scenario.lock("chain<1", base={"chain": "1.0", "array": "2.0"}, replace=["chain"])
    (fallback,) = found.fallbacks
    assert str(fallback) == ("chain 0.1 and not 0.2: chain 0.2 needs array<2, but the base image kernel has array 2.0")
