"""``[licenses] allow``: a lock packs nothing whose licence is not among those of the list."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from packaging.utils import canonicalize_name

from kpack.environment.model import LicenseRules
from kpack.errors import CheckFailed
from kpack.lock import check_licenses, from_resolution
from tests.resolve.scenario import base_image
from tests.support.kernels import environment, resolution, target

if TYPE_CHECKING:
    from tests.resolve.scenario import Scenario


@pytest.fixture
def answer(scenario: Scenario) -> Any:
    """A request that brings two more: one free, one not, one that does not say."""
    scenario.wheel("top", "1.0", "middle", headers=["License-Expression: MIT"])
    scenario.wheel("middle", "2.0", "bottom", headers=["License: GPLv3"])
    scenario.wheel("bottom", "3.0", headers=["License: see the file"])
    return resolution((target(base_image({})), scenario.lock("top").packed))


def judged(answer: Any, allow: tuple[str, ...], *unchecked: str) -> tuple[str, ...]:
    names = tuple(canonicalize_name(name) for name in unchecked)
    asked = replace(environment("top"), licenses=LicenseRules(allow=allow, unchecked=names))
    return check_licenses(asked, answer, from_resolution(asked, answer, meaning="0" * 64))


def test_what_is_not_allowed_is_told_with_who_brought_it_and_with_both_ways_out(answer: Any) -> None:
    with pytest.raises(CheckFailed) as caught:
        judged(answer, ("MIT",))
    assert caught.value.what == (
        "[licenses] allow does not let in 2 of 3 distributions:\n"
        "  bottom 3.0: 'see the file' (no SPDX licence) (top → middle → bottom)\n"
        "  middle 2.0: GPL-3.0-only (top → middle)"
    )
    assert caught.value.next == (
        'to take them, add "GPL-3.0-only" to allow; read the licence of bottom yourself, and write '
        'unchecked = ["bottom"]; else ask for something else'
    )


def test_the_advice_followed_lets_it_in(answer: Any) -> None:
    assert judged(answer, ("GPL-3.0-only", "MIT"), "bottom") == ()


def test_without_the_table_every_licence_may_enter(answer: Any) -> None:
    assert judged(answer, ()) == ()


def test_a_name_that_is_not_packed_is_said(answer: Any) -> None:
    (note,) = judged(answer, ("GPL-3.0-only", "MIT"), "bottom", "absent")
    assert '"absent" is not packed' in note
