"""``no-deps`` and ``[substitute]``: requirements that are not followed, or followed to another name."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from kpack.errors import NoSolution
from kpack.resolve.model import Need
from tests.resolve.scenario import from_base, known, packed

if TYPE_CHECKING:
    from tests.resolve.scenario import Scenario


def test_requirements_of_a_name_in_no_deps_are_not_followed_but_kept_for_the_check(scenario: Scenario) -> None:
    scenario.wheel("top", "1.0", "heavy==1", "more; extra == 'all'", provides_extra=["all"])
    scenario.wheel("heavy", "1.0")
    answer = scenario.lock("top[all]", no_deps=["Top"])
    assert packed(answer) == {"top": "1.0"}
    assert answer.packed[0].requires_dist == ("heavy==1", "more; extra == 'all'")


@pytest.mark.parametrize("line", ["heavy @ http://127.0.0.1:9/heavy-1.0-py3-none-any.whl", "no requirement at all"])
def test_requirements_that_would_stop_a_lock_do_not_with_no_deps(scenario: Scenario, line: str) -> None:
    scenario.wheel("top", "1.0", line)
    with pytest.raises(NoSolution):
        scenario.lock("top")
    assert packed(scenario.lock("top", no_deps=["top"])) == {"top": "1.0"}


def test_a_requirement_on_what_is_substituted_counts_as_one_on_what_stands_for_it(scenario: Scenario) -> None:
    scenario.wheel("albumentations", "2.0", "opencv-python-headless>=4.9", "dep")
    scenario.wheel("dep", "1.0", "OpenCV_Python_Headless<5")
    scenario.wheel("opencv-python-headless", "4.13")
    kernel = {"opencv-python": known("opencv-python", "4.12.0")}
    swap = {"opencv-python-headless": "opencv-python"}
    answer = scenario.lock("albumentations", base=kernel, substitute=swap)
    assert packed(answer) == {"albumentations": "2.0", "dep": "1.0"}
    assert from_base(answer) == {"opencv-python": "4.12.0"}
    assert answer.from_base[0].needed_by == (
        Need(by="albumentations", requirement="opencv-python-headless>=4.9"),
        Need(by="dep", requirement="OpenCV_Python_Headless<5"),
    )
    assert not [path for path in scenario.index.requests if "headless" in path]


def test_a_version_that_what_stands_for_it_does_not_have_is_a_conflict(scenario: Scenario) -> None:
    scenario.wheel("albumentations", "2.0", "opencv-python-headless>=5")
    with pytest.raises(NoSolution, match=r"albumentations 2.0 needs opencv-python>=5, but the base image"):
        scenario.lock(
            "albumentations",
            base={"opencv-python": known("opencv-python", "4.12.0")},
            substitute={"opencv-python-headless": "opencv-python"},
        )


def test_a_request_for_what_is_substituted_is_one_for_what_stands_for_it(scenario: Scenario) -> None:
    scenario.wheel("faiss-cpu", "1.8")
    scenario.wheel("faiss-gpu", "1.9")
    assert packed(scenario.lock("faiss-gpu>=1.7", substitute={"faiss-gpu": "faiss-cpu"})) == {"faiss-cpu": "1.8"}
