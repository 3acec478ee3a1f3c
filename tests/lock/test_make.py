"""From a resolution to a lock."""

from __future__ import annotations

import tomllib
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from packaging.pylock import is_valid_pylock_path
from packaging.utils import canonicalize_name

from kpack.checkpoints import LockedCheckpoint
from kpack.environment.model import Exclusion, RestoreOptions
from kpack.errors import IntegrityError, NoSolution
from kpack.lock import Lock, dumps, from_resolution, loads, relative, requirements
from kpack.lock.write import requires_python, toml_value
from kpack.places import lock_beside
from kpack.resolve.model import Pin, Source
from tests.support.kernels import base, environment, pin, resolution, target, wheel

if TYPE_CHECKING:
    from kpack.base import BaseImage

OLD = base({}, name="py311", python="3.11.13")
NEW = base({}, name="py312")
TWIN = base({}, name="py312-cpu")


def locked(*answers: tuple[BaseImage, list[Pin]], **facts: Any) -> Lock:
    found = resolution(*((target(image), pins) for image, pins in answers))
    return from_resolution(environment("x", **facts), found, meaning="0" * 64)


def test_one_version_with_a_wheel_for_each_kernel_is_one_entry_with_both() -> None:
    lock = locked(
        (OLD, [pin("x", "1", tag="cp311-cp311-manylinux_2_17_x86_64")]),
        (NEW, [pin("x", "1", tag="cp312-cp312-manylinux_2_17_x86_64")]),
    )
    (package,) = tomllib.loads(dumps(lock))["packages"]
    assert len(package["wheels"]) == 2
    assert "marker" not in package
    assert requirements(lock).count("--hash") == 2


def test_a_file_that_kernels_share_is_there_once() -> None:
    lock = locked((OLD, [pin("x", "1")]), (NEW, [pin("x", "1")]))
    (package,) = tomllib.loads(dumps(lock))["packages"]
    assert len(package["wheels"]) == 1
    assert len(lock.wheels()) == 1


def test_versions_that_differ_are_told_apart_by_markers() -> None:
    lock = locked((OLD, [pin("x", "1"), pin("only", "3")]), (NEW, [pin("x", "2")]))
    packages = tomllib.loads(dumps(lock))["packages"]
    assert [(p["name"], p["version"], p["marker"][:24]) for p in packages] == [
        ("only", "3", "python_version == '3.11'"),
        ("x", "1", "python_version == '3.11'"),
        ("x", "2", "python_version == '3.12'"),
    ]


def test_a_wheel_that_another_kernel_would_prefer_gets_an_entry_of_its_own() -> None:
    lock = locked((OLD, [pin("x", "1", tag="cp39-abi3-manylinux_2_17_x86_64")]), (NEW, [pin("x", "1")]))
    packages = tomllib.loads(dumps(lock))["packages"]
    assert [len(p["wheels"]) for p in packages] == [1, 1]
    assert all("marker" in p for p in packages)
    assert loads(dumps(lock), "x") == lock


def test_bases_that_no_marker_tells_apart_share_their_answer() -> None:
    lock = locked((NEW, [pin("x", "1")]), (TWIN, [pin("x", "1")]))
    data = tomllib.loads(dumps(lock))
    assert len(data["environments"]) == 1
    assert len(data["tool"]["kpack"]["targets"]) == 2


@pytest.mark.parametrize(
    ("ours", "theirs", "said"),
    [
        ([pin("x", "1")], [pin("x", "2")], "x is 1 in one and 2 in the other"),
        ([pin("x", "1")], [], "x 1 is needed for py312 alone"),
        ([], [pin("x", "1")], "x 1 is needed for py312-cpu alone"),
        (
            [pin("x", "1")],
            [pin("x", "1", tag="cp312-cp312-manylinux_2_17_x86_64")],
            "x 1 is x-1-py3-none-any.whl and x-1-cp312-cp312-manylinux_2_17_x86_64.whl",
        ),
    ],
)
def test_bases_that_no_marker_tells_apart_and_differ_ask_for_two_files(
    ours: list[Pin], theirs: list[Pin], said: str
) -> None:
    with pytest.raises(NoSolution) as caught:
        locked((NEW, ours), (TWIN, theirs))
    assert said in caught.value.what
    assert "two files" in caught.value.next


def test_a_name_of_unknown_version_is_replaced_whatever_it_is_when_the_file_opens_it() -> None:
    image = base({}, unknown=("x", "y"))
    found = resolution((target(image), [pin("x", "1"), pin("y", "1")]))
    asked = environment("x", "y", replace=(canonicalize_name("x"),))
    x, y = from_resolution(asked, found, meaning="0" * 64).targets[0].packed
    assert str(x.replaces) == "0+unknown"
    assert y.replaces is None


def test_only_sha256_is_locked() -> None:
    for digest in ("", "d41d8cd98f00b204e9800998ecf8427e", "A" * 64, "0" * 63):
        weak = replace(pin("x", "1"), wheel=wheel("x-1-py3-none-any.whl", sha256=digest))
        with pytest.raises(IntegrityError, match="sha256"):
            locked((NEW, [weak]))


def test_two_files_of_one_name_are_refused() -> None:
    other = replace(pin("x", "1"), wheel=wheel("x-1-py3-none-any.whl", sha256="1" * 64))
    with pytest.raises(IntegrityError, match="two different files"):
        locked((OLD, [pin("x", "1")]), (NEW, [other]))


def test_a_wheel_that_is_built_for_one_kernel_and_listed_for_another_is_refused() -> None:
    made = wheel("x-1-py3-none-any.whl", url=None, index=None)
    built = replace(pin("x", "1"), wheel=made, source=Source(kind="sdist", url="x-1.tar.gz", sha256="1" * 64))
    with pytest.raises(IntegrityError, match="built this wheel for one target"):
        locked((OLD, [pin("x", "1")]), (NEW, [built]))


@pytest.mark.parametrize("name", ["../x-1-py3-none-any.whl", "x-1-py3-none-any.zip", "x\n-1-py3-none-any.whl", "x.whl"])
def test_a_file_name_that_is_no_wheel_is_refused(name: str) -> None:
    with pytest.raises(IntegrityError, match="not the file name of a wheel"):
        locked((NEW, [replace(pin("x", "1"), wheel=wheel(name))]))


def test_no_credentials_and_no_fragment_reach_the_lock() -> None:
    secret = wheel(
        "x-1-py3-none-any.whl",
        url="https://user:hunter2@127.0.0.1/x-1-py3-none-any.whl#sha256=00",
        index="https://user:hunter2@127.0.0.1/simple",
    )
    source = Source(kind="vcs", url="git+https://hunter2@127.0.0.1/y.git", commit="0" * 40)
    built = replace(pin("y", "1"), wheel=wheel("y-1-py3-none-any.whl", url=None, index=None), source=source)
    found = resolution((target(NEW), [replace(pin("x", "1"), wheel=secret), built]))
    asked = environment("x @ https://user:hunter2@127.0.0.1/x-1-py3-none-any.whl")
    checkpoint = LockedCheckpoint(path="w", urls=("https://a:hunter2@127.0.0.1/w",), sha256="0" * 64, size=1)
    lock = from_resolution(asked, found, meaning="0" * 64, checkpoints=[checkpoint])
    text = dumps(lock)
    assert "hunter2" not in text
    assert "#sha256" not in text
    assert "https://127.0.0.1/x-1-py3-none-any.whl" in text


def test_a_built_wheel_has_a_path_and_its_source_beside_it() -> None:
    source = Source(
        kind="sdist",
        url="http://127.0.0.1/x-1.tar.gz",
        sha256="1" * 64,
        build_requires=(wheel("s-1-py3-none-any.whl"),),
    )
    lock = locked(
        (NEW, [replace(pin("x", "1"), wheel=wheel("x-1-py3-none-any.whl", url=None, index=None), source=source)])
    )
    (package,) = tomllib.loads(dumps(lock))["packages"]
    assert package["wheels"][0]["path"] == "wheels/x-1-py3-none-any.whl"
    assert "url" not in package["wheels"][0]
    assert package["tool"]["kpack"]["source"]["kind"] == "sdist"
    assert loads(dumps(lock), "x") == lock


def test_order_and_spelling_of_the_requests_do_not_change_the_bytes() -> None:
    found = resolution((target(NEW), [pin("b", "1"), pin("a", "1")]))
    turned = resolution((target(NEW), [pin("a", "1"), pin("b", "1")]))
    one = environment("B>=1", "a[y,X] >= 2", exclude=(Exclusion(pattern="p"), Exclusion(pattern="o", version="1")))
    two = environment("A[x,y]>=2", "b >=1", exclude=(Exclusion(pattern="o", version="1"), Exclusion(pattern="p")))
    assert dumps(from_resolution(one, found, meaning="0" * 64)) == dumps(from_resolution(two, turned, meaning="0" * 64))


def test_the_clock_of_this_machine_does_not_show() -> None:
    tokyo = datetime(2026, 1, 1, 9, tzinfo=timezone(timedelta(hours=9)))
    assert toml_value(tokyo) == toml_value(datetime(2026, 1, 1, tzinfo=UTC)) == "2026-01-01T00:00:00Z"
    assert toml_value(datetime(2026, 1, 1)) == "2026-01-01T00:00:00Z"  # noqa: DTZ001 - an index that names no zone


@pytest.mark.parametrize(
    ("series", "specifier"),
    [(["3.12"], "==3.12.*"), (["3.13", "3.12"], ">=3.12,<3.14"), (["3.10", "3.12"], ">=3.10,!=3.11.*,<3.13")],
)
def test_a_wrong_interpreter_is_stopped_by_requires_python(series: list[str], specifier: str) -> None:
    assert requires_python(series) == specifier


def test_a_lock_for_checkpoints_alone_is_valid() -> None:
    lock = replace(locked((NEW, [])), restore=RestoreOptions(directory="/kaggle/tmp", env={"A b": 'c\n\x7f"'}))
    assert tomllib.loads(dumps(lock))["packages"] == []
    assert loads(dumps(lock), "x") == lock
    assert requirements(lock) == ""
    assert loads(relative(lock), "x") == lock


@pytest.mark.parametrize(
    ("config", "expected"),
    [("kaggle-env.toml", "pylock.kaggle-env.toml"), ("env.gpu.toml", "pylock.env-gpu.toml")],
)
def test_the_file_name_is_one_that_pep_751_allows(config: str, expected: str) -> None:
    assert lock_beside(Path("somewhere") / config) == Path("somewhere") / expected
    assert is_valid_pylock_path(Path(expected))
