from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from packaging.version import Version

from kpack.drift import against
from kpack.lock import from_resolution
from kpack.pack.layout import target_of
from tests.support.kernels import base, environment, pin, resolution, target, use

if TYPE_CHECKING:
    from kpack.base import BaseImage
    from kpack.drift import Verdict
    from kpack.resolve.model import BaseUse, Pin

OLD = base({"torch": "2.10.0+cu128", "tokenizers": "0.22.1", "numpy": "2.0.2"})
TORCH = use("torch", "2.10.0+cu128", ("lightning", "torch<3,>=2.4"))


def verdict(new: BaseImage, *pins: Pin, leans: tuple[BaseUse, ...] = (TORCH,), locked_for: BaseImage = OLD) -> Verdict:
    found = resolution((target(locked_for), pins or [pin("lightning", "2.5")]), from_base=leans)
    lock = from_resolution(environment("lightning"), found, meaning="0" * 64)
    return against([target_of(one) for one in lock.targets], new)


def test_the_image_that_it_was_locked_for_fits() -> None:
    found = verdict(OLD)
    assert found.fits
    assert found.drift == ()
    assert found.notes == ()


def test_another_version_that_the_requirements_admit_is_a_difference_and_no_harm() -> None:
    found = verdict(base({"torch": "2.11.0+cu128"}))
    assert found.fits
    assert [(item.name, item.locked, item.found, item.breaks) for item in found.drift] == [
        ("torch", "2.10.0+cu128", "2.11.0+cu128", False)
    ]


def test_a_version_outside_the_requirements_breaks_and_says_whose() -> None:
    found = verdict(base({"torch": "3.0"}))
    assert not found.fits
    assert "lightning wants torch<3,>=2.4" in found.drift[0].why


def test_what_is_not_there_any_more_breaks() -> None:
    (item,) = verdict(base({})).drift
    assert (item.name, item.found, item.breaks) == ("torch", None, True)


def test_a_packed_distribution_that_the_image_has_now_in_another_version_breaks() -> None:
    found = verdict(base({"torch": "2.10.0+cu128", "lightning": "2.6"}))
    assert [(item.name, item.found, item.breaks) for item in found.drift] == [("lightning", "2.6", True)]


def test_a_packed_distribution_that_the_image_has_in_the_same_version_is_a_note() -> None:
    found = verdict(base({"torch": "2.10.0+cu128", "lightning": "2.5.0"}))
    assert found.fits
    assert "lightning" in found.notes[0]


@pytest.mark.parametrize("new", [base({}, python="3.13.15"), base({}, machine="aarch64")])
def test_an_image_with_another_interpreter_or_machine_is_a_misfit_that_lists_both(new: BaseImage) -> None:
    found = verdict(new)
    assert not found.fits
    assert found.target is None
    assert "Python 3.12, x86_64" in found.misfit
    assert new.python_full_version[:4] in found.misfit
    assert new.machine in found.misfit


def test_a_replaced_distribution_is_replaced_in_the_new_image_too() -> None:
    newer = pin("tokenizers", "0.24", replaces=Version("0.22.1"))
    image: dict[str, Any] = {
        "torch": "2.10.0+cu128",
        "tokenizers": "0.23.0",
        "transformers": ("5.0", ["tokenizers<0.24"]),
    }
    found = verdict(base(image), newer)
    assert found.fits
    assert any("transformers 5.0 needs tokenizers<0.24" in note for note in found.notes)
    (note,) = verdict(base({"torch": "2.10.0+cu128"}), newer).notes
    assert "which the image does not have" in note


def test_a_version_that_the_list_does_not_know_is_said() -> None:
    found = verdict(base({}, unknown=("torch",)))
    assert found.fits
    assert "torch is in the image in a version that the list does not know" in found.notes[0]


def test_of_several_targets_the_one_that_the_kernel_would_take_is_judged() -> None:
    new = base({"torch": "2.11.0"}, name="new", python="3.13.15")
    lock = from_resolution(
        environment("lightning"),
        resolution((target(OLD), [pin("lightning", "2.5")]), (target(new), [pin("lightning", "2.5")])),
        meaning="0" * 64,
    )
    found = against([target_of(one) for one in lock.targets], base({}, name="newer", python="3.13.16"))
    assert found.target is not None
    assert found.target.label == "new"
