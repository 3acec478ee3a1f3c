from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from packaging.utils import canonicalize_name

from kpack.base.dependents import dependents
from kpack.environment.model import Environment, Exclusion
from kpack.errors import NoSolution
from kpack.resolve.consistency import check
from tests.support.kernels import base, environment, pin, resolution, target

if TYPE_CHECKING:
    from packaging.utils import NormalizedName
    from packaging.version import Version

    from kpack.base import BaseImage
    from kpack.resolve.model import Pin, Resolution


def nobody_knows(name: NormalizedName, version: Version) -> None:
    raise AssertionError(f"{name} {version} was asked for")


def checked(asked: Environment, image: BaseImage | None, *pins: Pin, **facts: object) -> tuple[str, ...]:
    """Return the notes."""
    found: Resolution = resolution((target(image), pins), **facts)
    return check(asked, found, nobody_knows).targets[0].notes


def test_a_resolution_that_fits_says_nothing() -> None:
    image = base({"torch": "2.10.0+cu128"})
    assert checked(environment("lightning"), image, pin("lightning", "2.5", requires_dist=("torch>=2.10",))) == ()
    assert checked(environment("lightning"), image, pin("lightning", "2.5", requires_dist=("torch==2.10.0",))) == ()


def test_refuses_a_packed_requirement_that_the_base_does_not_meet() -> None:
    with pytest.raises(NoSolution) as caught:
        checked(environment("x"), base({"torch": "2.10.0+cu128"}), pin("x", "1", requires_dist=("torch<2.10",)))
    assert "x 1 needs torch<2.10, and torch 2.10.0+cu128 is in the base" in caught.value.what


def test_refuses_a_packed_requirement_that_nothing_meets() -> None:
    with pytest.raises(NoSolution, match="x 1 needs y>=2, which is neither packed nor in the base"):
        checked(environment("x"), base({}), pin("x", "1", requires_dist=("y>=2",)))


def test_judges_in_the_environment_of_the_target_and_not_of_this_machine() -> None:
    gated = ("nowhere; sys_platform == 'win32'", "old; python_version < '3.12'", "other; platform_machine == 'aarch64'")
    assert checked(environment("x"), base({}), pin("x", "1", requires_dist=gated)) == ()
    with pytest.raises(NoSolution, match="needs old"):
        checked(environment("x"), base({}, python="3.11.13"), pin("x", "1", requires_dist=gated))


def test_follows_the_extras_that_were_asked_for_and_no_others() -> None:
    lines = ("plain", "more; extra == 'all'", "tests; extra == 'test'")
    fits = [pin("plain", "1"), pin("more", "1")]
    assert checked(environment("x[all]"), None, pin("x", "1", requires_dist=lines, extras=("all",)), *fits) == ()
    with pytest.raises(NoSolution, match="needs more"):
        checked(environment("x[all]"), None, pin("x", "1", requires_dist=lines, extras=("all",)), pin("plain", "1"))


def test_follows_an_extra_of_a_base_package() -> None:
    lines = ["numpy", "sentencepiece>=0.2; extra == 'sentencepiece'"]
    image = base({"transformers": ("4.57.1", lines)})
    with pytest.raises(NoSolution, match=r"transformers 4\.57\.1 needs sentencepiece>=0\.2"):
        checked(environment("transformers[sentencepiece]"), image)
    assert checked(environment("transformers[sentencepiece]"), image, pin("sentencepiece", "0.2.1")) == ()
    (note,) = (
        check(
            environment("transformers[sentencepiece]"),
            resolution((target(base({"transformers": "4.57.1"})), [])),
            lambda _name, _version: None,
        )
        .targets[0]
        .notes
    )
    assert "transformers[sentencepiece]" in note


def test_an_extra_that_leads_to_its_own_package_comes_to_an_end() -> None:
    lines = ("x[a,b]; extra == 'all'", "y; extra == 'a'", "x[all]; extra == 'b'")
    fits = pin("x", "1", requires_dist=lines, extras=("all",))
    assert checked(environment("x[all]"), None, fits, pin("y", "1")) == ()


def test_an_excluded_name_is_taken_to_be_there() -> None:
    asked = environment(
        "x", exclude=(Exclusion(pattern="nvidia-*"), Exclusion(pattern="torch", version="2.10.0+cu128"))
    )
    assert checked(asked, None, pin("x", "1", requires_dist=("nvidia-cublas>=12", "torch>=2"))) == ()
    with pytest.raises(NoSolution, match=r"torch 2\.10\.0\+cu128 is named in exclude"):
        checked(asked, None, pin("x", "1", requires_dist=("torch>=3",)))


def test_a_prerelease_that_is_there_counts() -> None:
    assert checked(environment("x"), base({"torch": "2.11.0rc1"}), pin("x", "1", requires_dist=("torch>=2.10",))) == ()


TRANSFORMERS = ("4.57.1", ["tokenizers<=0.23.0,>=0.22.0"])


def test_refuses_a_replacement_that_breaks_a_base_package_and_names_both() -> None:
    image = base({"tokenizers": ("0.22.1", []), "transformers": TRANSFORMERS})
    with pytest.raises(NoSolution) as caught:
        checked(environment("tokenizers"), image, pin("tokenizers", "0.24.0"))
    assert "transformers 4.57.1 needs tokenizers<=0.23.0,>=0.22.0" in caught.value.what
    assert "replace brings tokenizers 0.24.0 in place of 0.22.1" in caught.value.what
    assert "if you do not use transformers, allow-broken takes the name" in caught.value.next


def test_allow_broken_turns_the_refusal_into_a_note() -> None:
    image = base({"tokenizers": ("0.22.1", []), "transformers": TRANSFORMERS})
    asked = environment("tokenizers", allow_broken=(canonicalize_name("transformers"),))
    (note,) = checked(asked, image, pin("tokenizers", "0.24.0"))
    assert "as allow-broken permits" in note


def test_what_was_broken_in_the_base_already_is_a_note() -> None:
    image = base({"tokenizers": ("0.21.0", []), "transformers": TRANSFORMERS})
    (note,) = checked(environment("tokenizers"), image, pin("tokenizers", "0.24.0"))
    assert "broken in the base already (tokenizers 0.21.0)" in note


def test_a_replacement_that_mends_the_base_says_nothing() -> None:
    image = base({"tokenizers": ("0.21.0", []), "transformers": TRANSFORMERS})
    assert checked(environment("tokenizers"), image, pin("tokenizers", "0.22.2")) == ()


def test_a_base_package_that_is_replaced_itself_is_judged_by_its_new_metadata() -> None:
    image = base({"tokenizers": ("0.22.1", []), "transformers": TRANSFORMERS})
    newer = pin("transformers", "5.0", requires_dist=("tokenizers>=0.24",))
    assert checked(environment("transformers"), image, pin("tokenizers", "0.24.0"), newer) == ()


def test_what_the_snapshot_does_not_know_is_asked_for_once_and_only_when_needed() -> None:
    asked: list[str] = []

    def requires_of(name: NormalizedName, version: Version) -> tuple[str, ...] | None:
        asked.append(f"{name} {version}")
        return {"transformers": ("tokenizers<0.24",)}.get(name)

    image = base({"tokenizers": "0.22.1", "transformers": "4.57.1", "mystery": "1"})
    untouched = resolution((target(image), [pin("x", "1", requires_dist=("transformers",))]))
    check(environment("x"), untouched, requires_of)
    assert asked == []
    replaced = resolution((target(image), [pin("tokenizers", "0.23")]))
    (note,) = check(environment("tokenizers"), replaced, requires_of).targets[0].notes
    assert sorted(set(asked)) == ["mystery 1", "transformers 4.57.1"]
    assert "mystery 1" in note
    assert "nobody knows" in note
    with pytest.raises(NoSolution, match="transformers"):
        check(environment("tokenizers"), resolution((target(image), [pin("tokenizers", "0.24")])), requires_of)


def test_refuses_to_replace_a_preloaded_module() -> None:
    image = base({"numpy": ("2.0.2", [])}, preloaded={"numpy": ["numpy"], "google": []})
    with pytest.raises(NoSolution) as caught:
        checked(environment("numpy"), image, pin("numpy", "2.3"))
    assert "imports 'numpy' before the first cell" in caught.value.what
    assert 'allow-preloaded = ["numpy"]' in caught.value.next
    assert (
        checked(environment("numpy", allow_preloaded=(canonicalize_name("numpy"),)), image, pin("numpy", "2.3")) == ()
    )


def test_says_when_a_version_that_nobody_knows_is_touched() -> None:
    image = base({}, unknown=("grpcio-tools",))
    (note,) = checked(environment("x"), image, pin("x", "1", requires_dist=("grpcio-tools>=1.70",)))
    assert "x 1 needs grpcio-tools>=1.70" in note
    assert "kpack probe" in note
    (note,) = checked(environment("grpcio-tools"), image, pin("grpcio-tools", "1.76"))
    assert "grpcio-tools 1.76 is packed" in note
    opened = environment("grpcio-tools", replace=(canonicalize_name("grpcio-tools"),))
    (note,) = checked(opened, image, pin("grpcio-tools", "1.76"))
    assert "takes the place of the image's own" in note


def test_says_when_a_marker_asks_for_what_cannot_be_known() -> None:
    lines = ("y; platform_release >= '6'",)
    (note,) = checked(environment("x"), None, pin("x", "1", requires_dist=lines))
    assert "platform_release" in note


@pytest.mark.parametrize("line", ["y (>>2)", 'y; python_version ~= "x"', 'y; "x" in extras'])
def test_a_requirement_that_cannot_be_read_is_named(line: str) -> None:
    (note,) = checked(environment("x"), None, pin("x", "1", requires_dist=(line,)))
    assert f"cannot be read: {line!r}" in note


def test_a_marker_of_the_image_that_nobody_can_judge_asks_for_nothing() -> None:
    image = base({"torch": ("2.0", ('numpy<2; python_version ~= "x"', "numpy<3"))})
    assert [one.requirement for one in dependents(image, canonicalize_name("numpy"))] == ["numpy<3"]


def test_each_target_is_judged_for_itself_and_keeps_its_notes() -> None:
    old, new = base({"y": "1"}, name="old", python="3.11.13"), base({"y": "2"}, name="new")
    found = resolution(
        (target(old), [pin("x", "1", requires_dist=("y>=1",))]),
        (target(new), [pin("x", "1", requires_dist=("y>=1",))]),
        notes=("said before",),
    )
    assert [t.notes for t in check(environment("x"), found, nobody_knows).targets] == [("said before",)] * 2
    bad = resolution(
        (target(old), [pin("x", "1", requires_dist=("y>=2",))]),
        (target(new), [pin("x", "1", requires_dist=("y>=2",))]),
    )
    with pytest.raises(NoSolution) as caught:
        check(environment("x"), bad, nobody_knows)
    assert caught.value.where == "old"


def test_what_no_deps_leaves_open_is_noted_in_one_sentence() -> None:
    lines = ("y>=2", "torch<2", "more; extra == 'all'")
    asked = environment("x[all]", no_deps=(canonicalize_name("x"),))
    image = base({"torch": "2.10.0"})
    said = checked(asked, image, pin("x", "1", requires_dist=lines, extras=("all",)))
    assert said == (
        (
            "no-deps leaves open: x 1 needs more, which is neither packed nor in the base; x 1 needs y>=2, which is "
            "neither packed nor in the base; x 1 needs torch<2, and torch 2.10.0 is in the base"
        ),
    )
    assert checked(asked, image, pin("x", "1", requires_dist=("torch>2",))) == ()


def test_no_deps_for_what_is_not_packed_is_noted() -> None:
    asked = environment("x", no_deps=(canonicalize_name("y"),))
    assert checked(asked, base({}), pin("x", "1")) == ("no-deps names what is not packed, without effect: y",)


def test_what_stands_for_a_name_is_judged_in_its_place() -> None:
    swap = {canonicalize_name("cv-headless"): canonicalize_name("cv")}
    asked, image = environment("x", substitute=swap), base({"cv": "4.12"})
    assert checked(asked, image, pin("x", "1", requires_dist=("CV_headless>=4",))) == ()
    with pytest.raises(NoSolution, match=r"x 1 needs cv-headless>=5 \(cv stands for it\), and cv 4.12 is in the base"):
        checked(asked, image, pin("x", "1", requires_dist=("cv-headless>=5",)))
