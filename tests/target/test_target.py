from __future__ import annotations

import platform
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging import tags as packaging_tags
from packaging.markers import default_environment
from packaging.tags import Tag

from kpack.errors import UsageError
from kpack.target import MACHINES, marker_environment, parse_platform, platform_tags, supported_tags, targets
from tests.support.kernels import base, environment

linux_only = pytest.mark.skipif(
    platform.libc_ver()[0] != "glibc" or sys.implementation.name != "cpython", reason="the host is no glibc CPython"
)


TAKEN = (
    "cp312-cp312-manylinux_2_35_x86_64",
    "cp312-cp312-manylinux_2_5_x86_64",
    "cp38-abi3-manylinux1_x86_64",
    "cp312-none-manylinux2014_x86_64",
    "cp312-cp312-linux_x86_64",
    "py3-none-any",
    "py2.py3-none-any",
)
NOT_TAKEN = (
    "cp312-cp312-manylinux_2_36_x86_64",
    "cp313-cp313-manylinux_2_17_x86_64",
    "cp313-abi3-linux_x86_64",
    "cp312-cp312t-linux_x86_64",
    "cp312-cp312-musllinux_1_2_x86_64",
    "cp312-cp312-manylinux_2_17_aarch64",
)


@linux_only
def test_tags_are_those_of_packaging_for_the_host() -> None:
    major, minor = map(int, platform.libc_ver()[1].split("."))
    host = list(packaging_tags.sys_tags())
    ours = supported_tags(f"{sys.version_info[0]}.{sys.version_info[1]}", platform.machine(), (major, minor))
    assert set(ours) == set(host)
    # Where linux_x86_64 ranks differs between versions of packaging; an index serves no such wheel.
    portable = [tag for tag in host if not tag.platform.startswith("linux_")]
    assert [tag for tag in ours if not tag.platform.startswith("linux_")] == portable


@linux_only
def test_marker_environment_is_that_of_packaging_for_the_host() -> None:
    host = {key: value for key, value in default_environment().items() if key != "extra"}
    ours = marker_environment(platform.python_version(), platform.machine())
    assert ours == host | {"platform_release": "", "platform_version": ""}


def test_kaggle_takes_wheels_of_its_glibc_and_older_and_no_newer_ones() -> None:
    tags = supported_tags("3.12", "x86_64", (2, 35))
    for good in TAKEN:
        assert packaging_tags.parse_tag(good) & set(tags), good
    for bad in NOT_TAKEN:
        assert not packaging_tags.parse_tag(bad) & set(tags), bad


def test_tags_rank_the_newest_glibc_first_and_the_legacy_name_right_after_its_twin() -> None:
    names = list(platform_tags("x86_64", (2, 18)))
    assert names[:4] == [
        "manylinux_2_18_x86_64", "manylinux_2_17_x86_64", "manylinux2014_x86_64", "manylinux_2_16_x86_64",
    ]  # fmt: skip
    assert names[-3:] == ["manylinux_2_5_x86_64", "manylinux1_x86_64", "linux_x86_64"]
    assert list(platform_tags("aarch64", (2, 18))) == [
        "manylinux_2_18_aarch64", "manylinux_2_17_aarch64", "manylinux2014_aarch64", "linux_aarch64",
    ]  # fmt: skip


def test_a_base_gives_its_own_python_with_its_patch_release() -> None:
    (target,) = targets(environment("x"), [base({}, python="3.12.13")])
    assert (target.python_version, target.python_full_version, target.label) == ("3.12", "3.12.13", "image")
    assert target.environment["implementation_version"] == "3.12.13"
    assert target.marker == ("python_version == '3.12' and sys_platform == 'linux' and platform_machine == 'x86_64'")


def test_python_without_base_gives_the_newest_known_patch_release() -> None:
    (target,) = targets(environment("x", bases=(), python="3.13", platform="manylinux_2_28_aarch64"), [])
    assert (target.base, target.label, target.machine, target.glibc) == (None, "python-3.13", "aarch64", (2, 28))
    assert target.python_full_version.startswith("3.13.")
    assert Tag("cp313", "cp313", "manylinux_2_28_aarch64") in target.tags
    assert Tag("cp313", "cp313", "manylinux_2_29_aarch64") not in target.tags


@pytest.mark.parametrize("python", [None, "2.7", "3.7", "3", "3.x", "4.0"])
def test_refuses_a_python_that_no_kernel_runs(python: str | None) -> None:
    with pytest.raises(UsageError, match="Python"):
        targets(environment("x", bases=(), python=python), [])


@pytest.mark.parametrize(
    "name", ["linux_x86_64", "win_amd64", "manylinux_2_35", "musllinux_1_2_x86_64", "manylinux_3_1_x86_64", ""]
)
def test_refuses_a_platform_that_is_no_manylinux_tag(name: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_platform(name, where="here")
    assert caught.value.where == "here"
    assert "manylinux_2_35_x86_64" in caught.value.next


@given(machine=st.sampled_from(MACHINES), minor=st.integers(5, 60))
def test_a_platform_is_the_first_of_its_own_tags(machine: str, minor: int) -> None:
    found = parse_platform(f"manylinux_2_{minor}_{machine}", where="")
    assert found == (machine, (2, minor))
    first = next(iter(platform_tags(*found)))
    assert first in (f"manylinux_2_{minor}_{machine}", f"linux_{machine}")


def test_legacy_platform_names_are_understood() -> None:
    assert parse_platform("manylinux2014_aarch64", where="") == ("aarch64", (2, 17))
    assert parse_platform("manylinux1_x86_64", where="") == ("x86_64", (2, 5))


def test_refuses_two_bases_of_one_name() -> None:
    with pytest.raises(UsageError, match="two bases are called 'image'"):
        targets(environment("x"), [base({}), base({"x": "1"})])
