from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from kpack.environment.model import Exclusion, RestoreOptions
from kpack.lock import Lock, from_resolution, stale
from tests.support.kernels import base, environment, pin, resolution, target

IMAGE = base({"torch": "2.10.0"})


def locked(**facts: Any) -> Lock:
    found = resolution((target(IMAGE), [pin("x", "1")]))
    return from_resolution(environment("x", "y>=2", **facts), found, meaning="0" * 64)


def test_a_lock_that_still_speaks_for_the_file_gives_no_reason() -> None:
    assert stale(locked(), environment("y >= 2", "X"), [IMAGE], meaning="0" * 64) == ()


@pytest.mark.parametrize(
    ("now", "said"),
    [
        (environment("x"), "packages: - y>=2"),
        (environment("x", "y>=2", "z"), "packages: + z"),
        (environment("x", "y>=3"), "packages: + y>=3, - y>=2"),
        (environment("x", "y>=2", name="other"), "name: 'tiny' became 'other'"),
        (environment("x", "y>=2", bases=("other",)), "base: + other, - image"),
        (environment("x", "y>=2", bases=(), python="3.12"), "python: nothing became 3.12"),
        (environment("x", "y>=2", exclude=(Exclusion(pattern="torch", version="1"),)), "exclude: + torch==1"),
        (environment("x", "y>=2", lax_archive=("z",)), "lax-archive: + z"),
        (environment("x", "y>=2", no_deps=("z",)), "no-deps: + z"),
        (environment("x", "y>=2", substitute={"a": "b"}), "substitute: a changed"),
        (environment("x", "y>=2", exclude_newer=datetime(2026, 1, 1, tzinfo=UTC)), "exclude-newer: nothing became 20"),
        (environment("x", "y>=2", restore=RestoreOptions(directory="/d")), "restore.directory: nothing became /d"),
        (environment("x", "y>=2", restore=RestoreOptions(env={"A": "1"})), "restore.env: A changed"),
    ],
)  # fmt: skip
def test_says_what_changed(now: Any, said: str) -> None:
    reasons = stale(locked(), now, [IMAGE], meaning="1" * 64)
    assert any(reason.startswith(said) for reason in reasons), reasons


def test_a_change_that_the_lock_does_not_hold_in_words_is_still_one() -> None:
    (reason,) = stale(locked(), environment("x", "y>=2"), [IMAGE], meaning="1" * 64)
    assert "another setting" in reason


def test_another_image_under_the_same_name_is_a_reason() -> None:
    other = base({"torch": "2.11.0"})
    (reason,) = stale(locked(), environment("x", "y>=2"), [other], meaning="0" * 64)
    assert "image" in reason


def test_values_of_environment_variables_are_not_shown() -> None:
    before = replace(locked(), restore=RestoreOptions(env={"TOKEN": "hunter2"}))
    reasons = stale(
        before, environment("x", "y>=2", restore=RestoreOptions(env={"TOKEN": "hunter3"})), [], meaning="1" * 64
    )
    assert reasons == ("restore.env: TOKEN changed",)
