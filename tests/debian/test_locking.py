"""When a lock settles system packages anew, and what several images get."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import pytest

from kpack.debian import LockedSystem, SystemPackage, locking, solve
from kpack.debian.model import Settled
from kpack.environment import AptSource
from kpack.lock import from_resolution, stale
from kpack.resolve.model import Resolution, TargetResolution
from tests.support.kernels import base, environment, target

if TYPE_CHECKING:
    from pathlib import Path


def package(name: str, stage: int = 0) -> SystemPackage:
    return SystemPackage(
        name=name, version="1", architecture="amd64", url="http://h/x", size=1, sha256="0" * 64, stage=stage
    )


IMAGES = {name: dataclasses.replace(base({}, name=name), system={"libc6": "2.35"}) for name in ("cpu", "gpu")}
ASKS = environment(bases=("cpu", "gpu"), apt=("tool",))


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    made: list[Any] = []

    def settle(asked: Any, archives: Any, images: Any, **facts: Any) -> dict[str, Settled]:
        made.append((asked, archives, facts))
        lacks = {"cpu": (package("b", 1), package("a")), "gpu": (package("a"), package("c"))}
        return {image.label: Settled(packages=lacks[image.label], notes=("said",)) for image in images}

    monkeypatch.setattr(solve, "settle", settle)
    return made


def test_targets_that_one_interpreter_may_take_pack_what_any_of_their_images_lacks(
    calls: list[Any], tmp_path: Path
) -> None:
    found, notes = locking.lock(ASKS, IMAGES, markers=dict.fromkeys(IMAGES, "same"), known={}, scratch=tmp_path)
    assert [[item.name for item in found[label].packages] for label in IMAGES] == [["a", "c", "b"]] * 2
    assert notes == ("said",)
    assert len(calls) == 1


def test_nothing_is_asked_while_nothing_has_changed(calls: list[Any], tmp_path: Path) -> None:
    known = {label: LockedSystem(asked=locking.asked(ASKS, image), packages=()) for label, image in IMAGES.items()}
    found, _ = locking.lock(ASKS, IMAGES, markers=dict.fromkeys(IMAGES, ""), known=known, scratch=tmp_path)
    assert (found, calls) == (known, [])


@pytest.mark.parametrize(
    "change",
    [{"apt": ("tool", "more")}, {"apt_sources": (AptSource(url="http://h", suites=("x",)),)}],
)
def test_other_packages_and_other_archives_are_asked_for(
    calls: list[Any], tmp_path: Path, change: dict[str, Any]
) -> None:
    known = {label: LockedSystem(asked=locking.asked(ASKS, image), packages=()) for label, image in IMAGES.items()}
    locking.lock(
        dataclasses.replace(ASKS, **change), IMAGES, markers=dict.fromkeys(IMAGES, ""), known=known, scratch=tmp_path
    )
    assert len(calls) == 1


def test_a_lock_is_stale_when_the_image_has_other_system_packages() -> None:
    image = IMAGES["cpu"]
    asks = dataclasses.replace(ASKS, bases=("cpu",))
    system = {"cpu": LockedSystem(asked=locking.asked(asks, image), packages=())}
    answer = TargetResolution(target=target(image), packed=(), from_base=())
    made = from_resolution(asks, Resolution(targets=(answer,)), meaning="0" * 64, system=system)
    assert stale(made, asks, [image], meaning="0" * 64) == ()
    renewed = dataclasses.replace(image, system={"libc6": "2.36"})
    assert stale(made, asks, [renewed], meaning="0" * 64) == (
        "the system packages of cpu are others than when it was locked",
    )
