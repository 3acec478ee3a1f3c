"""What is not certain of an image is said where it decides, and nowhere else."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from packaging.utils import canonicalize_name

from kpack.errors import NoSolution
from tests.resolve.scenario import base_image, known

if TYPE_CHECKING:
    from tests.resolve.scenario import Scenario


def doubted(version: str, certainty: str) -> object:
    return replace(known("datasets", version), certainty=certainty)


@pytest.mark.parametrize(
    ("certainty", "said"),
    [("medium", "has datasets 4.8.5, resolved, not seen"), ("low", "4.8.5, guessed, not seen"), ("", "datasets 4.8.5")],
)
def test_a_conflict_says_that_a_version_is_not_certain(scenario: Scenario, certainty: str, said: str) -> None:
    scenario.wheel("app", "1.0", "datasets>=5")
    scenario.wheel("datasets", "5.0")
    with pytest.raises(NoSolution) as caught:
        scenario.resolve(scenario.environment("app"), base_image({"datasets": doubted("4.8.5", certainty)}))
    assert said in str(caught.value.what)
    assert ("not seen" in str(caught.value.what)) == bool(certainty)


def test_what_is_held_back_by_a_version_that_is_not_certain_says_so(scenario: Scenario) -> None:
    scenario.wheel("app", "1.0")
    scenario.wheel("app", "2.0", "datasets>=5")
    scenario.wheel("datasets", "5.0")
    image = base_image({"datasets": doubted("4.8.5", "medium")})
    (target,) = scenario.resolve(scenario.environment("app"), image).targets
    assert "the base image kernel has datasets 4.8.5, resolved, not seen" in target.held_back[0].because


def test_a_wheel_for_a_glibc_that_is_only_inferred_is_passed_over_and_named(scenario: Scenario) -> None:
    scenario.wheel("fast", "1.0", tag="cp312-cp312-manylinux_2_28_x86_64")
    scenario.wheel("fast", "2.0", tag="cp312-cp312-manylinux_2_38_x86_64")
    image = replace(base_image({}), glibc_inferred=(2, 39))
    (target,) = scenario.resolve(scenario.environment("fast"), image).targets
    (held,) = target.held_back
    assert (str(held.version), str(held.newest)) == ("1.0", "2.0")
    assert "need glibc 2.38, the target has 2.35 for sure and probably 2.39" in held.because
    assert "kpack probe" in held.because
    with pytest.raises(NoSolution, match=r"probably 2\.39"):
        scenario.resolve(scenario.environment("fast==2.0"), image)
    (target,) = scenario.resolve(scenario.environment("fast"), replace(image, glibc=(2, 39))).targets
    assert str(target.packed[0].version) == "2.0"
    assert canonicalize_name("fast") not in {held.name for held in target.held_back}
    scenario.wheel("fast", "3.0", requires_python=">=3.14")
    (target,) = scenario.resolve(scenario.environment("fast"), image, cache_dir=None).targets
    assert "needs Python >=3.14" in target.held_back[0].because
    assert "2.0 has wheels that need glibc 2.38" in target.held_back[0].because


def test_a_wheel_beyond_what_is_inferred_is_refused_outright(scenario: Scenario) -> None:
    scenario.wheel("fast", "2.0", tag="cp312-cp312-manylinux_2_40_x86_64")
    image = replace(base_image({}), glibc_inferred=(2, 39))
    with pytest.raises(NoSolution, match=r"need glibc 2.40, the target has 2.35(?! for sure)"):
        scenario.resolve(scenario.environment("fast"), image)
