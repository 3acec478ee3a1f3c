"""A shipped image has the requirements of its distributions with it: the index is asked for what a replace brings."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from kpack.base import load
from kpack.errors import NoSolution
from kpack.resolve import consistency

if TYPE_CHECKING:
    from packaging.utils import NormalizedName
    from packaging.version import Version

    from tests.resolve.scenario import Scenario


def never(name: NormalizedName, version: Version) -> tuple[str, ...] | None:
    raise AssertionError(f"the index was asked for {name} {version}")


def test_the_first_replace_reads_no_project_but_its_own(scenario: Scenario) -> None:
    scenario.wheel("einops", "9.0")
    environment = scenario.environment("einops==9.0", replace=["einops"])
    found = scenario.resolve(environment, load("kaggle-gpu-py312-2026-08", Path()))
    (target,) = consistency.check(environment, found, never).targets
    assert [(pin.name, str(pin.replaces)) for pin in target.packed] == [("einops", "0.8.2")]
    projects = {path.split("/")[2] for path in scenario.index.requests if path.startswith("/simple/")}
    assert projects == {"einops", "isal"}
    # What the vendors' packages need is known to nobody, and that is said rather than asked each time.
    assert any("nobody knows what 10 of the base's packages require" in note for note in target.notes)


def test_what_the_image_needs_of_a_replaced_name_is_known_without_the_index(scenario: Scenario) -> None:
    scenario.wheel("gradio-client", "9.0")
    environment = scenario.environment("gradio-client==9.0", replace=["gradio-client"])
    image = load("kaggle-gpu-py312-2026-08", Path())
    with pytest.raises(NoSolution, match=r"gradio [0-9.]+ of the base needs gradio-client"):
        scenario.resolve(environment, image)
    # Beside its own, only projects of the image that could move along are asked for, to try the words to write.
    projects = {path.split("/")[2] for path in scenario.index.requests if path.startswith("/simple/")}
    assert projects <= image.distributions.keys() | {"isal"}
