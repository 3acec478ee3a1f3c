"""The families of situations that the published packse scenarios cover, written anew against the worker.

What is expected is what pip's resolver answers natively in the target; uv agrees unless a test says otherwise.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from kpack.errors import NoSolution
from tests.resolve.scenario import Scenario, packed

if TYPE_CHECKING:
    from http.server import BaseHTTPRequestHandler

# -- requires-python


def test_version_whose_requires_python_excludes_the_target_is_passed_over(scenario: Scenario) -> None:
    scenario.wheel("top", "1.0")
    scenario.wheel("top", "2.0", requires_python=">=3.13")
    assert packed(scenario.lock("top")) == {"top": "1.0"}


def test_requires_python_is_judged_by_the_full_version_of_the_target(scenario: Scenario) -> None:
    scenario.wheel("top", "1.0")
    scenario.wheel("top", "2.0", requires_python=">=3.12.5")
    assert packed(scenario.lock("top", full_version="3.12.4")) == {"top": "1.0"}
    assert packed(scenario.lock("top", full_version="3.12.5")) == {"top": "2.0"}


def test_requires_python_that_only_the_metadata_tells_is_respected(scenario: Scenario) -> None:
    scenario.wheel("top", "1.0")
    wheel = scenario.wheel("top", "2.0", requires_python=">=3.13")
    served = scenario.index.find(wheel.name)
    assert served is not None
    served.requires_python = None
    assert packed(scenario.lock("top")) == {"top": "1.0"}


def test_requires_python_with_exclusions(scenario: Scenario) -> None:
    scenario.wheel("top", "1.0", requires_python=">=3.8,!=3.12.*")
    scenario.wheel("top", "0.9", requires_python="!=3.0.*,!=3.1.*")
    assert packed(scenario.lock("top")) == {"top": "0.9"}


def test_requires_python_of_one_file_hides_that_file_only(scenario: Scenario) -> None:
    scenario.wheel("top", "1.0", tag="cp313-cp313-manylinux_2_17_x86_64", requires_python=">=3.13")
    scenario.wheel("top", "1.0", tag="cp312-cp312-manylinux_2_17_x86_64", requires_python=">=3.12")
    answer = scenario.lock("top")
    assert answer.packed[0].wheel is not None
    assert answer.packed[0].wheel.filename == "top-1.0-cp312-cp312-manylinux_2_17_x86_64.whl"


# -- wheels


@pytest.mark.parametrize(
    ("tags", "chosen"),
    [
        (["py3-none-any", "cp312-cp312-manylinux_2_17_x86_64"], 1),
        (["cp312-cp312-manylinux_2_17_x86_64", "cp312-cp312-manylinux_2_28_x86_64"], 1),
        (["cp312-cp312-manylinux_2_28_x86_64", "cp312-cp312-manylinux_2_39_x86_64"], 0),
        (["cp38-abi3-manylinux_2_17_x86_64", "py3-none-any"], 0),
        (["cp38-abi3-manylinux2014_x86_64", "cp312-abi3-manylinux2014_x86_64"], 1),
        (["cp312-cp312-musllinux_1_2_x86_64", "py2.py3-none-any"], 1),
        (["cp312-cp312-linux_x86_64", "cp311-cp311-manylinux_2_17_x86_64"], 0),
        (["cp312-cp312-manylinux_2_17_x86_64.manylinux2014_x86_64", "cp312-none-any"], 0),
    ],
)
def test_best_wheel_of_the_target_is_taken(scenario: Scenario, tags: list[str], chosen: int) -> None:
    wheels = [scenario.wheel("top", "1.0", tag=tag) for tag in tags]
    answer = scenario.lock("top")
    assert answer.packed[0].wheel is not None
    assert answer.packed[0].wheel.filename == wheels[chosen].name


def test_higher_build_number_wins(scenario: Scenario) -> None:
    for build in ("1", "3", "2"):
        scenario.wheel("top", "1.0", build=build)
    answer = scenario.lock("top")
    assert answer.packed[0].wheel is not None
    assert answer.packed[0].wheel.filename == "top-1.0-3-py3-none-any.whl"


def test_older_version_with_a_wheel_beats_a_newer_one_without(scenario: Scenario) -> None:
    scenario.wheel("top", "1.0")
    scenario.wheel("top", "2.0", tag="cp312-cp312-macosx_11_0_arm64")
    assert packed(scenario.lock("top")) == {"top": "1.0"}


def test_wheel_is_described_by_what_the_index_says(scenario: Scenario) -> None:
    path = scenario.wheel("top", "1.0", upload_time="2026-03-04T05:06:07.891Z")
    pin = scenario.lock("top").packed[0]
    assert pin.wheel is not None
    assert pin.wheel.url == f"{scenario.index.root}/files/{path.name}"
    assert pin.wheel.size == path.stat().st_size
    assert pin.wheel.index == scenario.index.url
    assert pin.wheel.upload_time is not None
    assert pin.wheel.upload_time.isoformat() == "2026-03-04T05:06:07.891000+00:00"


# -- yanked


def test_yanked_version_is_passed_over(scenario: Scenario) -> None:
    scenario.wheel("top", "1.0")
    scenario.wheel("top", "2.0", yanked="bad")
    answer = scenario.lock("top>=1")
    assert packed(answer) == {"top": "1.0"}
    assert answer.notes == ()


def test_yanked_version_that_is_pinned_is_taken_with_a_note(scenario: Scenario) -> None:
    scenario.wheel("top", "1.0")
    scenario.wheel("top", "2.0", yanked="bad")
    answer = scenario.lock("top==2.0")
    assert packed(answer) == {"top": "2.0"}
    assert answer.notes == ("top 2.0 was yanked from its index: bad",)


def test_yanked_version_that_a_dependency_pins_is_taken(scenario: Scenario) -> None:
    scenario.wheel("top", "1.0", "dep==2.0")
    scenario.wheel("dep", "1.0")
    scenario.wheel("dep", "2.0", yanked=True)
    answer = scenario.lock("top")
    assert packed(answer) == {"dep": "2.0", "top": "1.0"}
    assert answer.notes == ("dep 2.0 was yanked from its index",)


def test_yanked_version_of_the_old_lock_is_kept(scenario: Scenario) -> None:
    scenario.wheel("top", "1.0")
    scenario.wheel("top", "2.0", yanked=True)
    assert packed(scenario.lock("top", pins={"top": "2.0"})) == {"top": "2.0"}


def test_only_yanked_versions_are_no_solution(scenario: Scenario) -> None:
    scenario.wheel("top", "1.0", yanked="bad")
    with pytest.raises(NoSolution, match="was yanked") as caught:
        scenario.lock("top")
    assert "top==1.0" in caught.value.next


# -- extras


def test_extra_adds_its_requirements(scenario: Scenario) -> None:
    scenario.wheel("top", "1.0", "always", "sometimes; extra == 'more'", provides_extra=["more"])
    scenario.wheel("always")
    scenario.wheel("sometimes")
    assert packed(scenario.lock("top")) == {"always": "1.0", "top": "1.0"}
    answer = scenario.lock("top[more]")
    assert packed(answer) == {"always": "1.0", "sometimes": "1.0", "top": "1.0"}
    assert {str(pin.name): pin.extras for pin in answer.packed}["top"] == ("more",)


def test_extras_from_several_places_are_joined(scenario: Scenario) -> None:
    scenario.wheel("dep", "1.0", "one; extra == 'one'", "two; extra == 'two'", provides_extra=["one", "two"])
    scenario.wheel("one")
    scenario.wheel("two")
    scenario.wheel("top", "1.0", "dep[two]>=1")
    answer = scenario.lock("top", "dep[one]")
    assert packed(answer) == {"dep": "1.0", "one": "1.0", "top": "1.0", "two": "1.0"}


def test_extra_that_refers_to_its_own_package(scenario: Scenario) -> None:
    scenario.wheel("top", "1.0", "top[one]; extra == 'all'", "dep; extra == 'one'", provides_extra=["all", "one"])
    scenario.wheel("dep")
    assert packed(scenario.lock("top[all]")) == {"dep": "1.0", "top": "1.0"}


def test_extra_names_are_normalised(scenario: Scenario) -> None:
    scenario.wheel("top", "1.0", "dep; extra == 'More_Things'", provides_extra=["More_Things"])
    scenario.wheel("dep")
    assert packed(scenario.lock("top[more-things]")) == {"dep": "1.0", "top": "1.0"}


def test_extra_that_does_not_exist_is_a_note(scenario: Scenario) -> None:
    scenario.wheel("top", "1.0", provides_extra=["more"])
    answer = scenario.lock("top[moar]")
    assert packed(answer) == {"top": "1.0"}
    assert answer.notes == ("top 1.0 has no extra moar, so that nothing comes with it (it has more)",)


def test_older_version_whose_extra_fits_the_base_is_taken(scenario: Scenario) -> None:
    scenario.wheel("top", "1.0", "dep==1.0; extra == 'more'", provides_extra=["more"])
    scenario.wheel("top", "2.0", "dep==2.0; extra == 'more'", provides_extra=["more"])
    assert packed(scenario.lock("top[more]", base={"dep": "1.0"})) == {"top": "1.0"}


# -- pre-releases


def test_prerelease_is_not_taken_when_there_is_a_final(scenario: Scenario) -> None:
    scenario.wheel("top", "1.0")
    scenario.wheel("top", "2.0rc1")
    assert packed(scenario.lock("top")) == {"top": "1.0"}


def test_prerelease_is_taken_when_it_is_asked_for(scenario: Scenario) -> None:
    scenario.wheel("top", "1.0")
    scenario.wheel("top", "2.0rc1")
    assert packed(scenario.lock("top>=2.0rc1")) == {"top": "2.0rc1"}


def test_prerelease_is_taken_when_there_is_nothing_else(scenario: Scenario) -> None:
    scenario.wheel("top", "1.0a1")
    scenario.wheel("top", "1.0a2")
    assert packed(scenario.lock("top")) == {"top": "1.0a2"}


def test_prerelease_that_a_dependency_asks_for_is_taken(scenario: Scenario) -> None:
    # pip takes it, as here; uv wants the pre-release to be asked for by the user.
    scenario.wheel("top", "1.0", "dep>=2.0b1")
    scenario.wheel("dep", "1.0")
    scenario.wheel("dep", "2.0b1")
    assert packed(scenario.lock("top")) == {"dep": "2.0b1", "top": "1.0"}


# -- local versions


def test_local_version_on_the_index_is_newer_than_its_public_one(scenario: Scenario) -> None:
    scenario.wheel("top", "1.0")
    scenario.wheel("top", "1.0+cpu")
    assert packed(scenario.lock("top==1.0")) == {"top": "1.0+cpu"}


def test_local_version_asked_for_is_the_only_one(scenario: Scenario) -> None:
    scenario.wheel("top", "1.0")
    scenario.wheel("top", "1.0+cu128")
    scenario.wheel("top", "1.0+cpu")
    assert packed(scenario.lock("top==1.0+cpu")) == {"top": "1.0+cpu"}


def test_public_request_is_not_met_by_another_local_base(scenario: Scenario) -> None:
    with pytest.raises(NoSolution, match=r"has torch 2\.10\.0\+cpu"):
        scenario.lock("torch==2.10.0+cu128", base={"torch": "2.10.0+cpu"})


# -- markers


@pytest.mark.parametrize(
    ("marker", "counts"),
    [
        ("python_version == '3.12'", True),
        ("python_version < '3.12'", False),
        ("python_full_version >= '3.12.13'", True),
        ("python_full_version > '3.12.13'", False),
        ("sys_platform == 'linux'", True),
        ("sys_platform == 'win32' or platform_system == 'Darwin'", False),
        ("platform_machine == 'x86_64' and os_name == 'posix'", True),
        ("platform_machine in 'arm64 aarch64'", False),
        ("implementation_name == 'cpython' and platform_python_implementation != 'PyPy'", True),
        ("extra == 'never'", False),
    ],
)
def test_marker_is_judged_for_the_target(scenario: Scenario, marker: str, counts: bool) -> None:
    scenario.wheel("top", "1.0", f"dep; {marker}")
    scenario.wheel("dep")
    assert ("dep" in packed(scenario.lock("top"))) is counts


def test_marker_of_a_request_is_judged_for_the_target(scenario: Scenario) -> None:
    scenario.wheel("top")
    scenario.wheel("other")
    answer = scenario.lock("top; python_version >= '3.12'", "other; python_version < '3.12'")
    assert packed(answer) == {"top": "1.0"}


def test_request_whose_marker_lets_it_into_no_kernel_is_named(scenario: Scenario) -> None:
    scenario.wheel("top", "1.0")
    scenario.wheel("other", "1.0")
    none, some, all_the_same = "top; python_version < '3'", "other; python_version < '3'", "other; python_version > '3'"
    asked = scenario.environment(none, some, all_the_same, python="3.12")
    found = scenario.resolve(asked)
    assert [str(pin.name) for pin in found.targets[0].packed] == ["other"]
    (said,) = found.notes
    assert "python_version < " in said
    assert "does not hold in python-3.12: nothing comes of it" in said


def test_marker_on_the_kernel_release_is_a_note(scenario: Scenario) -> None:
    scenario.wheel("top", "1.0", "dep; platform_release >= '6'")
    scenario.wheel("dep")
    assert "platform_release" in scenario.lock("top").notes[0]


# -- choice and backtracking


def test_diamond_takes_the_newest_that_both_sides_accept(scenario: Scenario) -> None:
    scenario.wheel("left", "1.0", "shared>=1,<3")
    scenario.wheel("right", "1.0", "shared!=2.0")
    for version in ("1.0", "1.5", "2.0", "3.0"):
        scenario.wheel("shared", version)
    assert packed(scenario.lock("left", "right"))["shared"] == "1.5"


def test_older_parent_is_found_by_backtracking(scenario: Scenario) -> None:
    for number in range(1, 8):
        scenario.wheel("top", f"{number}.0", f"dep>={number}")
    for number in range(1, 4):
        scenario.wheel("dep", f"{number}.0")
    assert packed(scenario.lock("top")) == {"dep": "3.0", "top": "3.0"}


def test_cycle_of_requirements_ends(scenario: Scenario) -> None:
    scenario.wheel("one", "1.0", "two")
    scenario.wheel("two", "1.0", "one")
    assert packed(scenario.lock("one")) == {"one": "1.0", "two": "1.0"}


def test_old_pins_stay_where_they_fit_and_go_where_they_do_not(scenario: Scenario) -> None:
    for version in ("1.0", "1.5", "2.0"):
        scenario.wheel("dep", version)
        scenario.wheel("free", version)
    scenario.wheel("top", "1.0", "dep>=1.5", "free")
    answer = scenario.lock("top", pins={"dep": "1.0", "free": "1.0", "gone": "1.0"})
    assert packed(answer) == {"dep": "2.0", "free": "1.0", "top": "1.0"}


def test_old_pin_that_blocks_the_request_is_let_go(scenario: Scenario) -> None:
    for version in ("1.0", "2.0"):
        scenario.wheel("top", version, f"dep=={version}")
        scenario.wheel("dep", version)
    answer = scenario.lock("top>=2", pins={"top": "1.0", "dep": "1.0"})
    assert packed(answer) == {"dep": "2.0", "top": "2.0"}


def test_upgrade_lets_go_of_all_pins_or_of_the_named_ones(scenario: Scenario) -> None:
    for version in ("1.0", "2.0"):
        scenario.wheel("one", version)
        scenario.wheel("two", version)
    pins = {"one": "1.0", "two": "1.0"}
    assert packed(scenario.lock("one", "two", pins=pins)) == pins
    assert packed(scenario.lock("one", "two", pins=pins, upgrade=True)) == {"one": "2.0", "two": "2.0"}
    from packaging.utils import canonicalize_name

    only = frozenset({canonicalize_name("two")})
    assert packed(scenario.lock("one", "two", pins=pins, upgrade=only)) == {"one": "1.0", "two": "2.0"}


def test_pin_that_vanished_from_the_index_is_let_go(scenario: Scenario) -> None:
    scenario.wheel("top", "2.0")
    assert packed(scenario.lock("top", pins={"top": "1.0"})) == {"top": "2.0"}


# -- metadata


def no_metadata_files(handler: BaseHTTPRequestHandler) -> bool:
    if handler.path.endswith(".metadata"):
        handler.send_error(404)
        return True
    return False


def test_metadata_that_is_not_announced_is_read_from_the_wheel(scenario: Scenario) -> None:
    scenario.index.announce_metadata = False
    scenario.index.intercept = no_metadata_files
    scenario.wheel("top", "1.0", "dep")
    scenario.wheel("dep")
    assert packed(scenario.lock("top")) == {"dep": "1.0", "top": "1.0"}


def test_legacy_star_specifier_is_read_as_uv_reads_it(scenario: Scenario) -> None:
    scenario.wheel("top", "1.0", "dep (>=1.7.*)")
    scenario.wheel("dep", "2.0")
    answer = scenario.lock("top")
    assert packed(answer) == {"dep": "2.0", "top": "1.0"}
    assert {str(pin.name): pin.requires_dist for pin in answer.packed}["top"] == ("dep (>=1.7)",)


def test_version_with_unreadable_requirements_is_passed_over(scenario: Scenario) -> None:
    scenario.wheel("top", "1.0")
    scenario.wheel("top", "2.0", "dep >=== nonsense !")
    assert packed(scenario.lock("top")) == {"top": "1.0"}


def test_wheel_whose_metadata_names_another_project_is_passed_over(scenario: Scenario) -> None:
    scenario.wheel("top", "1.0")
    wheel = scenario.wheel("other", "2.0")
    renamed = wheel.rename(wheel.with_name("top-2.0-py3-none-any.whl"))
    scenario.index.files["other"] = []
    scenario.index.add(renamed)
    assert packed(scenario.lock("top")) == {"top": "1.0"}


def test_an_extra_that_only_a_marker_names_counts(scenario: Scenario) -> None:
    scenario.wheel("one", "1.0", "one[two]; extra == 'all'", "other; extra == 'two'")
    scenario.wheel("other", "1.0")
    assert packed(scenario.lock("one[all]")) == {"one": "1.0", "other": "1.0"}
