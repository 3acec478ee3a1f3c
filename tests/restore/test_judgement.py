"""Versions, specifiers, tags and drift agree with `packaging`, on every interpreter."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from packaging.requirements import Requirement
from packaging.specifiers import Specifier, SpecifierSet
from packaging.tags import compatible_tags, cpython_tags
from packaging.utils import canonicalize_name, parse_wheel_filename
from packaging.version import Version as Reference

from kpack.restore import drift, installed, tags
from kpack.restore.manifest import Lean, Requirer
from kpack.restore.versions import Version, normalize_name, satisfies, specifier_of
from kpack.target import platform_tags, supported_tags
from tests.restore.kit import REPOSITORY
from tests.support.interpreters import found
from tests.support.long import examples

if TYPE_CHECKING:
    from pathlib import Path

numbers = st.integers(0, 4).map(str)
releases = st.lists(numbers, min_size=1, max_size=4).map(".".join)
pre = st.one_of(
    st.just(""), st.tuples(st.sampled_from(["a", "b", "rc", ".alpha-", "_beta.", "c", "pre"]), numbers).map("".join)
)
post = st.one_of(st.just(""), st.tuples(st.sampled_from([".post", "-", "_rev", "r"]), numbers).map("".join))
dev = st.one_of(st.just(""), st.tuples(st.sampled_from([".dev", "dev", "-dev-"]), numbers).map("".join))
epochs = st.sampled_from(["", "", "", "1!", "v"])
public = st.tuples(epochs, releases, pre, post, dev).map("".join)
local = st.one_of(st.just(""), st.just(""), st.sampled_from(["+cu128", "+CPU", "+1.2", "+1_a", "+10.b-3"]))
versions = st.tuples(public, local).map("".join)


@st.composite
def specifiers(draw: st.DrawFn) -> str:
    operator = draw(st.sampled_from(["==", "!=", "<=", ">=", "<", ">", "~=", "===", "==*", "!=*"]))
    if operator.endswith("*"):
        return operator[:2] + draw(st.tuples(st.sampled_from(["", "1!"]), releases).map("".join)) + ".*"
    if operator in ("==", "!=", "==="):
        return operator + draw(versions)
    if operator == "~=":
        return operator + draw(st.tuples(releases, numbers, pre, post).map(lambda p: f"{p[0]}.{p[1]}{p[2]}{p[3]}"))
    return operator + draw(public)


@settings(max_examples=examples(500))
@given(versions, versions)
def test_versions_are_ordered_as_packaging_orders_them(left: str, right: str) -> None:
    mine, reference = (Version(left), Version(right)), (Reference(left), Reference(right))
    assert (mine[0] < mine[1], mine[0] == mine[1], mine[0] > mine[1]) == (
        reference[0] < reference[1],
        reference[0] == reference[1],
        reference[0] > reference[1],
    )
    assert (hash(mine[0]) == hash(mine[1])) or mine[0] != mine[1]


@settings(max_examples=examples(1500))
@given(versions, specifiers())
def test_specifiers_admit_what_packaging_admits(version: str, specifier: str) -> None:
    assert satisfies(version, specifier) == Specifier(specifier).contains(version, prereleases=True)


@settings(max_examples=examples(200))
@given(versions, st.lists(specifiers(), max_size=3))
def test_sets_of_specifiers_are_a_conjunction(version: str, clauses: list[str]) -> None:
    text = ", ".join(clauses)
    assert satisfies(version, text) == SpecifierSet(text).contains(version, prereleases=True)


@settings(max_examples=examples(300))
@given(st.text(max_size=20))
@example("0\x1f")
@example("\u20280")
def test_text_that_is_no_version_is_refused_as_packaging_does(text: str) -> None:
    try:
        reference: Reference | None = Reference(text)
    except ValueError:
        reference = None
    try:
        mine: Version | None = Version(text)
    except ValueError:
        mine = None
    assert (mine is None) == (reference is None)


@pytest.mark.parametrize("text", ["1", ">=", ">=1 <2", "=>1", "~=1", ">1.*", ">=1+local", "== 1 .0"])
def test_text_that_is_no_specifier_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a version"):
        satisfies("1.0", text)


REQUIREMENTS = [
    "torch",
    "torch>=2.1",
    "torch >=2.1, <3 ; python_version < '4'",
    "torch[opt,extra] (>=2)",
    "Torch_Vision~=0.1",
    "torch==2.10.0+cu128",
    "torch !=2.*",
]


@pytest.mark.parametrize("text", REQUIREMENTS)
@pytest.mark.parametrize("version", ["1.0", "2.1", "2.10.0+cu128", "3.0rc1", "0.1.5"])
def test_requirements_are_split_as_packaging_splits_them(text: str, version: str) -> None:
    name, specifier = specifier_of(text)
    reference = Requirement(text)
    assert normalize_name(name) == canonicalize_name(reference.name)
    assert satisfies(version, specifier) == reference.specifier.contains(version, prereleases=True)


def test_a_direct_reference_admits_any_version() -> None:
    assert specifier_of("torch @ https://example.invalid/torch-1-py3-none-any.whl") == ("torch", "")


WHEELS = [
    f"thing-1.0-{python}-{abi}-{platform}.whl"
    for python in (
        *("py3", "py2.py3", "py39", "py312", "py313", "py314", "cp38", "cp312", "cp313", "cp314", "cp315"),
        *("cp39.cp312", "py2", "pp310", "PY3", "Cp312"),
    )
    for abi in (
        *("none", "abi3", "abi3t", "abi3.abi3t", "cp38", "cp312", "cp313", "cp314"),
        *("cp312t", "cp313t", "cp314t", "cp39.cp312", "NONE"),
    )
    for platform in (
        "any",
        "linux_x86_64",
        "Linux_x86_64",
        "manylinux1_x86_64",
        "manylinux2014_x86_64.manylinux_2_17_x86_64",
        "manylinux_2_35_x86_64",
        "manylinux_2_36_x86_64",
        "manylinux_2_17_aarch64",
        "musllinux_1_2_x86_64",
        "macosx_11_0_arm64",
        "win_amd64",
    )
]


@pytest.mark.parametrize("series", ["3.8", "3.11", "3.12", "3.13", "3.14", "3.15"])
def test_tags_are_those_of_packaging(series: str) -> None:
    major, minor = map(int, series.split("."))
    interpreter = tags.Interpreter((major, minor), f"cp{major}{minor}", "x86_64", (2, 35))
    supported = frozenset(supported_tags(series, "x86_64", (2, 35)))
    for name in WHEELS:
        expected = bool(parse_wheel_filename(name)[3] & supported)
        assert tags.supports(interpreter, tags.parse(name)) == expected, name


@pytest.mark.parametrize("minor", [13, 14])
def test_tags_of_a_free_threaded_build_are_those_of_packaging(minor: int) -> None:
    own = f"cp3{minor}t"
    interpreter = tags.Interpreter((3, minor), own, "x86_64", (2, 35))
    platforms = list(platform_tags("x86_64", (2, 35)))
    supported = {
        *cpython_tags((3, minor), [own], platforms),
        *compatible_tags((3, minor), f"cp3{minor}", platforms),
    }
    for name in WHEELS:
        expected = bool(parse_wheel_filename(name)[3] & supported)
        assert tags.supports(interpreter, tags.parse(name)) == expected, name


@pytest.mark.parametrize("name", ["thing.whl", "thing-1.0.tar.gz", "a-b-c-d-e-f-g.whl", "thing--py3-none-any.whl"])
def test_names_that_are_no_wheels_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="not the file name"):
        tags.parse(name)


def test_drift_is_what_a_recorded_requirement_does_not_admit() -> None:
    leans = [
        Lean("torch", "2.10.0+cu128", (Requirer("lightning", "torch>=2.1"), Requirer("", "torch<3"))),
        Lean("numpy", "2.0.2", (Requirer("pandas", "numpy>=2"), Requirer("old", "numpy<2.1"))),
        Lean("Pillow", "11.0", (Requirer("timm", "pillow"),)),
        Lean("gone", "1.0", (Requirer("timm", "gone"), Requirer("other", "gone"))),
        Lean("strange", "1.0", (Requirer("timm", "strange>=1"),)),
    ]
    judged = drift.judge(
        leans, {"torch": "2.11.0+cu128", "numpy": "2.2", "pillow": "11.0.0", "strange": "not-a-version", "else": "1"}
    )
    assert [(item.name, item.found, item.breaks) for item in judged] == [
        ("torch", "2.11.0+cu128", False),
        ("numpy", "2.2", True),
        ("gone", None, True),
        ("strange", "not-a-version", True),
    ]
    assert judged[1].why == "old wants numpy<2.1"
    assert judged[2].why == "it is not installed; needed by other, timm"


def test_installed_distributions_are_read_from_every_layout(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    for folder in (first, second):
        folder.mkdir()
    (first / "Foo_Bar-1.0+cu128.dist-info").mkdir()
    (first / "Foo_Bar-1.0+cu128.dist-info/METADATA").touch()
    (first / "left-1.0.dist-info").mkdir()
    (first / "left-1.0.dist-info/REQUESTED").touch()
    (first / "old_style-2.0-py3.12.egg-info").mkdir()
    (first / "old_style-2.0-py3.12.egg-info/PKG-INFO").touch()
    (first / "file_style-3.0.egg-info").write_text("Metadata-Version: 1.0\nName: file-style\nVersion: 3.0\n")
    (first / "devel.egg-info").mkdir()
    (first / "devel.egg-info" / "PKG-INFO").write_text("Metadata-Version: 1.0\nName: Devel.Thing\nVersion: 4.0\n\nx: y")
    (first / "broken.egg-info").mkdir()
    for bare in (".dist-info", ".egg-info", ".egg"):
        (first / bare).mkdir()
        (first / bare / "METADATA").write_text("Name: bare\nVersion: 1.0\n")
    (second / "foo.bar-0.9.dist-info").mkdir()
    (second / "foo.bar-0.9.dist-info/METADATA").touch()
    (second / "more-5.0.post1-py3.9.egg/EGG-INFO").mkdir(parents=True)
    (second / "more-5.0.post1-py3.9.egg/EGG-INFO/PKG-INFO").touch()
    found_ = installed.installed([str(first), str(tmp_path / "nowhere"), str(second), str(first)])
    assert {name: item.version for name, item in found_.items()} == {
        "foo-bar": "1.0+cu128",
        "old-style": "2.0",
        "file-style": "3.0",
        "devel-thing": "4.0",
        "more": "5.0.post1",
    }


CHILD = """
import json, sys
sys.path.insert(0, sys.argv[1])
from kpack.restore import tags
from kpack.restore.versions import satisfies, Version
cases = json.load(sys.stdin)
wrong = [case for case in cases if satisfies(case[0], case[1]) != case[2]]
here = tags.running()
assert here.python == sys.version_info[:2]
assert tags.supports(here, tags.parse("a-1-py3-none-any.whl"))
assert tags.supports(here, tags.parse("a-1-cp38-abi3-linux_%s.whl" % here.machine))
assert not tags.supports(here, tags.parse("a-1-cp37-cp37m-linux_%s.whl" % here.machine))
print(json.dumps([wrong, here.abi, list(here.glibc)]))
"""


def test_the_judgement_is_the_same_on_every_interpreter(series: str) -> None:
    texts = ["1.0", "1.0rc1", "2.0.post1", "1.0+cu128", "1!0.1", "1.0.dev0", "2.10.0"]
    clauses = ["==1.0", "==1.*", "<1.0", ">1.0", "~=1.0", ">=1.0,<2.1", "!=1.0+cu128", "===1.0", ">2.0"]
    cases = [[v, c, SpecifierSet(c).contains(v, prereleases=True)] for v in texts for c in clauses]
    done = subprocess.run(
        [found()[series], "-W", "error", "-c", CHILD, str(REPOSITORY)],
        input=json.dumps(cases),
        capture_output=True,
        text=True,
        check=True,
    )
    wrong, abi, glibc = json.loads(done.stdout)
    assert wrong == []
    assert abi == "cp" + series.replace(".", "")
    assert glibc >= [2, 17]
