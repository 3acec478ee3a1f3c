"""What is written is read back, by kpack and by everyone who reads PEP 751."""

from __future__ import annotations

import tomllib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from packaging.pylock import Pylock
from packaging.requirements import Requirement
from packaging.version import Version

from kpack.errors import KpackError
from kpack.lock import Lock, dumps, loads, relative, requirements
from kpack.target import marker_environment
from tests.lock.locks import locks
from tests.support.long import examples


@settings(max_examples=examples(60), deadline=None)
@given(locks())
def test_a_lock_is_read_back_as_it_was(lock: Lock) -> None:
    text = dumps(lock)
    assert loads(text, "pylock.toml") == lock
    assert dumps(loads(text, "pylock.toml")) == text


@settings(max_examples=examples(60), deadline=None)
@given(locks())
def test_line_ends_of_windows_change_nothing(lock: Lock) -> None:
    assert loads(dumps(lock).replace("\n", "\r\n"), "pylock.toml") == lock


@settings(max_examples=examples(60), deadline=None)
@given(locks())
def test_packaging_selects_for_each_kernel_what_was_locked_for_it(lock: Lock) -> None:
    """PEP 751: of the packages whose marker holds, the best wheel by tags is installed."""
    for text in (dumps(lock), relative(lock)):
        pylock = Pylock.from_dict(tomllib.loads(text))
        for target in lock.targets:
            environment = marker_environment(target.python_full_version, target.machine)
            found = pylock.select(environment=environment, tags=target.tags)  # type: ignore[arg-type]
            chosen = {(package.name, file.filename) for package, file in found}  # type: ignore[union-attr]
            assert chosen == {(pin.name, pin.wheel.filename) for pin in target.packed}


@settings(max_examples=examples(60), deadline=None)
@given(locks())
def test_the_relative_lock_names_wheels_by_path_and_pins_the_same_bytes(lock: Lock) -> None:
    text = relative(lock)
    again = loads(text, "pylock.toml")
    assert [w["path"] for p in tomllib.loads(text)["packages"] for w in p["wheels"]] or not any(
        t.packed for t in lock.targets
    )
    assert all("url" not in w for p in tomllib.loads(text)["packages"] for w in p["wheels"])
    assert [w.sha256 for w in again.wheels()] == [w.sha256 for w in lock.wheels()]
    assert again.checkpoints == lock.checkpoints
    assert relative(again) == text


@settings(max_examples=examples(60), deadline=None)
@given(locks())
def test_requirements_pin_every_wheel_by_its_hash(lock: Lock) -> None:
    lines = requirements(lock).replace(" \\\n", " ").splitlines()
    for target in lock.targets:
        environment = {**marker_environment(target.python_full_version, target.machine), "extra": ""}
        chosen = {}
        for line in lines:
            words, *hashes = line.split("    --hash=sha256:")
            requirement = Requirement(words)
            if requirement.marker is None or requirement.marker.evaluate(environment):
                chosen[requirement.name] = (str(requirement.specifier), {h.strip() for h in hashes})
        assert chosen.keys() == {pin.name for pin in target.packed}
        for pin in target.packed:
            specifier, digests = chosen[pin.name]
            assert Version(specifier.removeprefix("==")) == pin.version
            assert pin.wheel.sha256 in digests


@settings(max_examples=examples(60), deadline=None)
@given(lock=locks(), data=st.data())
def test_any_changed_character_is_noticed(lock: Lock, data: st.DataObject) -> None:
    text = dumps(lock)
    place = data.draw(st.integers(0, len(text) - 1))
    character = data.draw(st.sampled_from("0a \"'\n[]{}=#,.\x00é"))
    broken = text[:place] + character + text[place + 1 :]
    if broken == text:
        return
    with pytest.raises(KpackError) as caught:
        loads(broken, "pylock.toml")
    assert caught.value.where.startswith("pylock.toml")


@settings(max_examples=examples(60), deadline=None)
@given(lock=locks(), data=st.data())
def test_a_half_written_lock_is_never_taken_for_a_whole_one(lock: Lock, data: st.DataObject) -> None:
    text = dumps(lock)
    end = data.draw(st.integers(0, len(text) - 1))
    with pytest.raises(KpackError):
        loads(text[:end], "pylock.toml")


@given(text=st.text(max_size=200))
def test_no_text_brings_anything_but_an_error_that_teaches(text: str) -> None:
    with pytest.raises(KpackError):
        loads(text, "pylock.toml")
