"""What the kernel has is a fixed set: seen at its version, never packed, never fetched."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pip
import pytest
from packaging.version import Version

from kpack.errors import NoSolution
from kpack.resolve.model import Need
from tests.resolve.scenario import base_image, from_base, known, packed

if TYPE_CHECKING:
    from tests.resolve.scenario import Scenario


@pytest.mark.parametrize("request_", ["torch>=2.10", "torch==2.10.0", "torch<=2.10.0", "torch==2.10.0+cu128", "torch"])
def test_local_version_of_the_base_satisfies_public_requests(scenario: Scenario, request_: str) -> None:
    scenario.wheel("top", "1.0", request_)
    answer = scenario.lock("top", base={"torch": "2.10.0+cu128"})
    assert packed(answer) == {"top": "1.0"}
    assert from_base(answer) == {"torch": "2.10.0+cu128"}
    assert answer.from_base[0].needed_by == (Need(by="top", requirement=request_),)


def test_base_package_is_not_asked_of_the_index(scenario: Scenario) -> None:
    scenario.wheel("top", "1.0", "torch")
    scenario.wheel("torch", "9.0")
    scenario.lock("top", base={"torch": "2.0"})
    assert not [path for path in scenario.index.requests if "torch" in path]


def test_newer_version_that_the_base_cannot_satisfy_is_not_taken(scenario: Scenario) -> None:
    scenario.wheel("top", "1.0", "torch>=1")
    scenario.wheel("top", "2.0", "torch>=3")
    answer = scenario.lock("top", base={"torch": "2.0"})
    assert packed(answer) == {"top": "1.0"}


def test_plain_requirements_of_the_base_are_left_alone(scenario: Scenario) -> None:
    scenario.wheel("top", "1.0", "torch")
    answer = scenario.lock("top", base={"torch": known("torch", "2.0", ["sympy>=1"])})
    assert packed(answer) == {"top": "1.0"}


def test_extra_of_a_base_package_resolves_what_it_adds(scenario: Scenario) -> None:
    scenario.wheel("sentencepiece", "0.2")
    base = known(
        "transformers", "4.5", ["tokenizers", "sentencepiece>=0.1 ; extra == 'sentencepiece'"], ["sentencepiece"]
    )
    answer = scenario.lock("transformers[sentencepiece]>=4", base={"transformers": base})
    assert packed(answer) == {"sentencepiece": "0.2"}
    assert answer.packed[0].needed_by == (Need(by="transformers", requirement="sentencepiece>=0.1"),)


def test_extra_of_a_base_package_is_looked_up_when_the_snapshot_does_not_know_it(scenario: Scenario) -> None:
    scenario.wheel("sentencepiece", "0.2")
    scenario.wheel("transformers", "4.5", "sentencepiece ; extra == 'sp'", "hidden", provides_extra=["sp"])
    answer = scenario.lock("transformers[sp]", base={"transformers": "4.5+kaggle"})
    assert packed(answer) == {"sentencepiece": "0.2"}
    assert from_base(answer) == {"transformers": "4.5+kaggle"}


def test_excluded_pin_counts_as_a_base_package(scenario: Scenario) -> None:
    scenario.wheel("top", "1.0", "torch>=2")
    answer = scenario.lock("top", exclude=["torch==2.10.0+cu128"], python="3.12")
    assert packed(answer) == {"top": "1.0"}
    assert from_base(answer) == {"torch": "2.10.0+cu128"}


def test_excluded_name_is_dropped_with_what_only_it_needs(scenario: Scenario) -> None:
    scenario.wheel("top", "1.0", "heavy", "shared")
    scenario.wheel("heavy", "1.0", "only-heavy", "shared")
    for name in ("only-heavy", "shared"):
        scenario.wheel(name)
    answer = scenario.lock("top", exclude=["heavy"])
    assert packed(answer) == {"top": "1.0", "shared": "1.0"}
    assert answer.dropped == ("heavy", "only-heavy")
    assert {pin.name: [need.by for need in pin.needed_by] for pin in answer.packed} == {"top": [""], "shared": ["top"]}


def test_excluded_pattern_covers_names(scenario: Scenario) -> None:
    scenario.wheel("top", "1.0", "nvidia-cublas-cu12", "nvidia_cudnn")
    scenario.wheel("nvidia-cublas-cu12")
    scenario.wheel("nvidia-cudnn")
    answer = scenario.lock("top", exclude=["nvidia-*"])
    assert packed(answer) == {"top": "1.0"}
    assert answer.dropped == ("nvidia-cublas-cu12", "nvidia-cudnn")


def test_request_that_the_base_meets_is_from_base(scenario: Scenario) -> None:
    answer = scenario.lock("numpy>=2", base={"numpy": "2.0.2"})
    assert packed(answer) == {}
    assert answer.from_base[0].needed_by == (Need(by="", requirement="numpy>=2"),)


def test_prerelease_of_the_base_satisfies(scenario: Scenario) -> None:
    scenario.wheel("top", "1.0", "betterproto>=2.0.0b1", "other")
    answer = scenario.lock("top", base={"betterproto": "2.0.0b6", "other": "1.0rc1"})
    assert from_base(answer) == {"betterproto": "2.0.0b6", "other": "1.0rc1"}


def test_replaced_name_that_is_requested_takes_the_newest_that_fits(scenario: Scenario) -> None:
    scenario.wheel("top", "1.0", "tokenizers")
    for version in ("0.21", "0.22", "0.23"):
        scenario.wheel("tokenizers", version)
    answer = scenario.lock("top", "tokenizers", base={"tokenizers": "0.21"}, replace=["tokenizers"])
    assert packed(answer) == {"top": "1.0", "tokenizers": "0.23"}
    pin = answer.packed[0]
    assert pin.name == "tokenizers"
    assert str(pin.replaces) == "0.21"


def test_replaced_name_that_nobody_requests_stays_while_nothing_needs_it_to_move(scenario: Scenario) -> None:
    scenario.wheel("top", "1.0", "tokenizers")
    for version in ("0.21", "0.22", "0.23"):
        scenario.wheel("tokenizers", version)
    resolution = scenario.resolve(
        scenario.environment("top", replace=["tokenizers"]), base_image({"tokenizers": known("tokenizers", "0.21")})
    )
    assert packed(resolution.targets[0]) == {"top": "1.0"}
    assert resolution.notes == ("replace has tokenizers, and nothing needs it to move: it stays as it is in the image",)
    if Version(pip.__version__) >= Version("25.1"):  # older ones ask for the page of what stays
        assert not [path for path in scenario.index.requests if "tokenizers" in path]


def test_replaced_name_that_nobody_requests_moves_along(scenario: Scenario) -> None:
    for version in ("0.21", "0.22", "0.23"):
        scenario.wheel("tokenizers", version)
    for version, needs in (("4.5", "tokenizers<0.22"), ("4.6", "tokenizers<0.23"), ("5.0", "tokenizers>=0.23")):
        scenario.wheel("transformers", version, needs)
    base = {"tokenizers": "0.21", "transformers": known("transformers", "4.5", ["tokenizers<0.22"])}
    answer = scenario.lock("tokenizers==0.22", base=base, replace=["tokenizers", "transformers"])
    assert packed(answer) == {"tokenizers": "0.22", "transformers": "4.6"}
    along = next(pin for pin in answer.packed if pin.name == "transformers")
    assert along.needed_by == (Need(by="", requirement="transformers"),)
    assert str(along.replaces) == "4.5"


def test_allow_broken_that_nothing_breaks_is_a_note(scenario: Scenario) -> None:
    scenario.wheel("top", "1.0")
    resolution = scenario.resolve(
        scenario.environment("top", allow_broken=["transformers"]),
        base_image({"transformers": known("transformers", "4.5")}),
    )
    assert resolution.notes == ("allow-broken has transformers, and nothing breaks it",)


def test_extras_of_a_base_package_survive_replace(scenario: Scenario) -> None:
    scenario.wheel("fastapi", "0.1", "starlette>=0.4", "uvicorn; extra == 'standard'", provides_extra=["standard"])
    scenario.wheel("uvicorn", "1.0", "starlette>=0.5")
    for version in ("0.4", "0.5"):
        scenario.wheel("starlette", version)
    answer = scenario.lock("fastapi[standard]", base={"fastapi": "0.1", "starlette": "0.4"}, replace=["starlette"])
    assert packed(answer) == {"starlette": "0.5", "uvicorn": "1.0"}
    assert not answer.notes


def test_replaced_name_respects_what_base_packages_ask_of_it(scenario: Scenario) -> None:
    scenario.wheel("top", "1.0", "tokenizers")
    for version in ("0.21", "0.22", "0.23"):
        scenario.wheel("tokenizers", version)
    base = {
        "tokenizers": "0.21",
        "transformers": known("transformers", "4.5", ["tokenizers<0.23", "tokenizers>99; sys_platform == 'win32'"]),
        "broken-already": known("broken-already", "1", ["tokenizers<0.1"]),
    }
    answer = scenario.lock("top", "tokenizers", base=base, replace=["tokenizers"])
    assert packed(answer)["tokenizers"] == "0.22"
    answer = scenario.lock("top", "tokenizers", base=base, replace=["tokenizers"], allow_broken=["transformers"])
    assert packed(answer)["tokenizers"] == "0.23"


def test_replaced_name_that_stays_at_the_base_version_is_not_packed(scenario: Scenario) -> None:
    scenario.wheel("top", "1.0", "tokenizers<0.22")
    for version in ("0.21", "0.22"):
        scenario.wheel("tokenizers", version)
    answer = scenario.lock("top", base={"tokenizers": "0.21+local"}, replace=["tokenizers"])
    assert packed(answer) == {"top": "1.0"}
    assert from_base(answer) == {"tokenizers": "0.21+local"}


def test_replaced_pair_is_held_together_by_the_base_metadata(scenario: Scenario) -> None:
    scenario.wheel("top", "1.0", "transformers<4.6", "tokenizers")
    scenario.wheel("transformers", "4.6", "tokenizers>=0.23")
    for version in ("0.21", "0.22", "0.23"):
        scenario.wheel("tokenizers", version)
    base = {"tokenizers": "0.21", "transformers": known("transformers", "4.5", ["tokenizers<0.23"])}
    answer = scenario.lock("top", "tokenizers", base=base, replace=["tokenizers", "transformers"])
    assert packed(answer) == {"top": "1.0", "tokenizers": "0.22"}
    assert from_base(answer) == {"transformers": "4.5"}


def test_direct_url_of_what_the_base_has_wants_replace(scenario: Scenario) -> None:
    path = scenario.wheel("tokenizers", "0.22")
    request = f"tokenizers @ {scenario.index.root}/files/{path.name}"
    with pytest.raises(NoSolution, match=r"the base image has tokenizers 0\.21") as caught:
        scenario.lock(request, base={"tokenizers": "0.21"})
    assert 'replace = ["tokenizers"]' in caught.value.next
    answer = scenario.lock(request, base={"tokenizers": "0.21"}, replace=["tokenizers"])
    assert packed(answer) == {"tokenizers": "0.22"}
    assert str(answer.packed[0].replaces) == "0.21"


def test_old_pin_of_what_the_base_has_by_now_is_no_hindrance(scenario: Scenario) -> None:
    scenario.wheel("top", "1.0", "torch")
    answer = scenario.lock("top", base={"torch": "2.0"}, pins={"torch": "1.0", "top": "1.0"})
    assert packed(answer) == {"top": "1.0"}
    assert from_base(answer) == {"torch": "2.0"}


def test_requirements_that_the_snapshot_does_not_know_are_read_from_the_index(scenario: Scenario) -> None:
    scenario.wheel("top", "1.0", "tokenizers")
    scenario.wheel("transformers", "4.5", "tokenizers<0.23")
    for version in ("0.21", "0.22", "0.23"):
        scenario.wheel("tokenizers", version)
    base = {"tokenizers": "0.21", "transformers": "4.5"}
    answer = scenario.lock("top", "tokenizers", base=base, replace=["tokenizers"])
    assert packed(answer) == {"tokenizers": "0.22", "top": "1.0"}
    scenario.index.requests.clear()
    scenario.lock("top", "tokenizers", base=base, replace=["tokenizers"])
    assert not [path for path in scenario.index.requests if path.startswith("/files/transformers")]


def test_extra_of_a_base_package_that_nobody_knows_is_a_note(scenario: Scenario) -> None:
    answer = scenario.lock("gone[more]", base={"gone": "1.0"})
    assert from_base(answer) == {"gone": "1.0"}
    assert answer.notes == (
        "gone 1.0 is in the image and its requirements are not known: what gone[more] needs was not checked",
    )


def test_base_requirement_that_is_no_requirement_limits_nothing(scenario: Scenario) -> None:
    scenario.wheel("top", "1.0", "tokenizers")
    scenario.wheel("tokenizers", "0.22")
    base = {"tokenizers": "0.21", "odd": known("odd", "1.0", ["tokenizers >=== nonsense !"])}
    assert packed(scenario.lock("top", "tokenizers", base=base, replace=["tokenizers"]))["tokenizers"] == "0.22"
