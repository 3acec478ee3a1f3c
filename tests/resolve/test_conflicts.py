"""A request that cannot be met says so with the chain that led there and the words that help."""

from __future__ import annotations

import io
import tarfile
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from packaging.utils import canonicalize_name

from kpack.errors import NetworkError, NoSolution
from kpack.resolve.wire import Unisolated
from tests.resolve.scenario import base_image, known, packed
from tests.support.wheels import make_wheel

if TYPE_CHECKING:
    from pathlib import Path

    from tests.resolve.scenario import Scenario


def sdist(scenario: Scenario, name: str, version: str, **texts: str) -> Path:
    path = scenario.folder / f"{name}-{version}.tar.gz"
    texts = {"PKG_INFO": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n", "pyproject_toml": "", **texts}
    with tarfile.open(path, "w:gz") as tar:
        for key, text in texts.items():
            file = {"PKG_INFO": "PKG-INFO", "pyproject_toml": "pyproject.toml", "setup_py": "setup.py"}[key]
            entry = tarfile.TarInfo(f"{name}-{version}/{file}")
            entry.size = len(text.encode())
            tar.addfile(entry, io.BytesIO(text.encode()))
    return scenario.index.add(path)


def test_request_against_the_base_names_both_versions_and_the_word_to_add(scenario: Scenario) -> None:
    for version in ("0.21", "0.22"):
        scenario.wheel("tokenizers", version)
    with pytest.raises(NoSolution) as caught:
        scenario.lock("tokenizers>=0.22", base={"tokenizers": "0.21"})
    assert caught.value.what == (
        "kaggle-env.toml needs tokenizers>=0.22, but the base image kernel has tokenizers 0.21"
    )
    assert 'replace = ["tokenizers"]' in caught.value.next
    assert "tokenizers 0.22" in caught.value.next


def test_transitive_clash_shows_every_step_and_the_newest_that_fits(scenario: Scenario) -> None:
    scenario.wheel("app", "1.0", "mid>=1")
    scenario.wheel("app", "0.5", "other")
    scenario.wheel("other", "1.0")
    scenario.wheel("mid", "1.0", "tokenizers>=0.22")
    scenario.wheel("tokenizers", "0.22")
    with pytest.raises(NoSolution) as caught:
        scenario.lock("app>=1", base={"tokenizers": "0.21"})
    assert caught.value.what.splitlines() == [
        "mid 1.0 needs tokenizers>=0.22, but the base image kernel has tokenizers 0.21",
        "  kaggle-env.toml asks for app>=1; app 1.0 asks for mid>=1; mid 1.0 asks for tokenizers>=0.22",
    ]
    assert 'replace = ["tokenizers"] to pack tokenizers 0.22' in caught.value.next
    assert "newest that fits is app 0.5" in caught.value.next


def test_advice_names_all_that_must_be_replaced_together(scenario: Scenario) -> None:
    scenario.wheel("top", "1.0", "transformers>=5", "numpy")
    scenario.wheel("transformers", "5.0", "tokenizers>=0.23")
    scenario.wheel("tokenizers", "0.23")
    with pytest.raises(NoSolution) as caught:
        scenario.lock("top", base={"transformers": "4.5", "tokenizers": "0.21", "numpy": "2.0"})
    assert 'replace = ["tokenizers", "transformers"]' in caught.value.next


def test_advice_works_when_it_is_followed(scenario: Scenario) -> None:
    scenario.wheel("top", "1.0", "transformers>=5")
    scenario.wheel("transformers", "5.0", "tokenizers>=0.23")
    scenario.wheel("tokenizers", "0.23")
    base = {"transformers": "4.5", "tokenizers": "0.21"}
    answer = scenario.lock("top", base=base, replace=["tokenizers", "transformers"])
    assert packed(answer) == {"tokenizers": "0.23", "top": "1.0", "transformers": "5.0"}


def test_excluded_pin_that_clashes_is_named_as_such(scenario: Scenario) -> None:
    scenario.wheel("top", "1.0", "torch>=3")
    with pytest.raises(NoSolution, match=r"top 1.0 needs torch>=3, but the kernel \(exclude\) has torch 2.0"):
        scenario.lock("top", exclude=["torch==2.0"], python="3.12")


def test_only_an_sdist_gives_the_word_that_allows_it(scenario: Scenario) -> None:
    sdist(scenario, "antlr", "4.9")
    scenario.wheel("top", "1.0", "antlr>=4")
    with pytest.raises(NoSolution, match=r"top 1.0 needs antlr>=4, but antlr 4.9 exists as an sdist only") as caught:
        scenario.lock("top")
    assert 'allow-source = ["antlr"]' in caught.value.next


def test_versions_and_names_are_told_together_where_neither_helps_alone(scenario: Scenario) -> None:
    scenario.wheel("native", "3.0", tag="cp37-cp37m-manylinux_2_17_x86_64")
    scenario.wheel("native", "3.2", tag="cp312-cp312-manylinux_2_17_x86_64")
    scenario.wheel("top", "1.0", "tokenizers>=0.22")
    scenario.wheel("tokenizers", "0.22")
    scenario.wheel("held", "0.9", tag="cp37-cp37m-manylinux_2_17_x86_64")
    base = {"tokenizers": "0.21", "held": "1.0"}
    with pytest.raises(NoSolution) as caught:
        scenario.lock("native==3.0", "top", "held==0.9", base=base)
    assert caught.value.next.startswith("it cannot be had in kernel: ")
    words = 'write "held==1.0" and "native==3.2" in packages and replace = ["tokenizers"] to pack tokenizers 0.22'
    assert words in caught.value.next
    answer = scenario.lock("native==3.2", "top", "held==1.0", base=base, replace=["tokenizers"])
    assert packed(answer) == {"native": "3.2", "tokenizers": "0.22", "top": "1.0"}


def test_a_version_that_does_not_exist_is_no_matter_of_the_image_and_told_once(scenario: Scenario) -> None:
    scenario.wheel("top", "1.0")
    for wrong in ("top==9.9", "top>=3,<2"):
        with pytest.raises(NoSolution) as caught:
            scenario.lock(wrong, base={"numpy": "2.0"})
        assert caught.value.what == f"kaggle-env.toml needs {wrong}, but the newest top is 1.0"
        assert caught.value.next == "the newest that fits is top 1.0"


def test_what_was_tried_is_told_before_what_is_left_to_a_person(scenario: Scenario) -> None:
    text = "from setuptools import setup\nimport torch\nsetup()\n"
    sdist(scenario, "top", "1.0", setup_py=text)
    scenario.wheel("top", "0.9")
    with pytest.raises(NoSolution) as caught:
        scenario.lock("top==1.0", base={"numpy": "2.0"})
    told = caught.value.next.split("; or ")
    assert told[0].startswith("it cannot be had in kernel: ")
    assert told[1] == "the newest that fits is top 0.9"
    assert told[2].startswith("give the URL or path of a prebuilt wheel of top")


@pytest.mark.parametrize(
    ("tag", "words"),
    [
        ("cp311-cp311-manylinux_2_17_x86_64", "has wheels for cp311 but none for cp312"),
        ("cp312-cp312-manylinux_2_38_x86_64", "has wheels that need glibc 2.38, the target has 2.35"),
        ("py3-none-win_amd64", "has wheels for win_amd64 only, none for Linux on x86_64"),
        ("cp312-cp312-manylinux_2_17_aarch64", "has wheels for manylinux_2_17_aarch64 only, none for Linux on x86_64"),
    ],
)
def test_wheels_that_do_not_fit_say_for_what_they_are(scenario: Scenario, tag: str, words: str) -> None:
    scenario.wheel("top", "2.0", tag=tag)
    scenario.wheel("top", "1.0")
    with pytest.raises(NoSolution) as caught:
        scenario.lock("top>=2")
    assert caught.value.what == f"kaggle-env.toml needs top>=2, but top 2.0 {words}"
    assert "the newest that fits is top 1.0" in caught.value.next


def test_wheels_for_another_python_with_an_sdist_offer_to_build_it(scenario: Scenario) -> None:
    scenario.wheel("top", "2.0", tag="cp311-cp311-manylinux_2_17_x86_64")
    sdist(scenario, "top", "2.0")
    with pytest.raises(NoSolution, match="none for cp312, and an sdist") as caught:
        scenario.lock("top")
    assert 'allow-source = ["top"]' in caught.value.next


def test_requires_python_that_does_not_admit_the_target_is_said(scenario: Scenario) -> None:
    scenario.wheel("top", "1.0", requires_python=">=3.13")
    with pytest.raises(NoSolution, match=r"top 1.0 needs Python >=3.13, the target has 3.12.13"):
        scenario.lock("top")


def test_exclude_newer_that_hides_everything_is_said(scenario: Scenario) -> None:
    scenario.wheel("top", "1.0", upload_time="2026-05-01T00:00:00Z")
    with pytest.raises(NoSolution, match=r"top 1.0 was uploaded on 2026-05-01, after exclude-newer") as caught:
        scenario.lock("top", exclude_newer=datetime(2026, 4, 1, tzinfo=UTC))
    assert "exclude-newer" in caught.value.next


def test_version_that_does_not_exist_names_the_newest(scenario: Scenario) -> None:
    scenario.wheel("top", "2.0")
    with pytest.raises(NoSolution, match=r"kaggle-env.toml needs top>=3, but the newest top is 2.0"):
        scenario.lock("top>=3")


@pytest.mark.parametrize(
    ("name", "meant"),
    [("nump", "did you mean numpy?"), ("sklearn", "sklearn is a module of scikit-learn: write scikit-learn")],
)
def test_unknown_name_suggests_what_was_meant(scenario: Scenario, name: str, meant: str) -> None:
    learn = replace(known("scikit-learn", "1.6"), top_level=("sklearn",))
    with pytest.raises(NoSolution, match=f"there is no {name} on http") as caught:
        scenario.lock(name, base={"numpy": "2.0", "scikit-learn": learn})
    assert meant in caught.value.next


def test_tombstone_of_a_module_suggests_its_distribution(scenario: Scenario) -> None:
    sdist(scenario, "sklearn", "0.0")
    learn = replace(known("scikit-learn", "1.6"), top_level=("sklearn",))
    with pytest.raises(NoSolution) as caught:
        scenario.lock("sklearn", base={"scikit-learn": learn})
    assert caught.value.next == "sklearn is a module of scikit-learn: write scikit-learn"


@pytest.mark.parametrize(
    ("texts", "words"),
    [
        ({"pyproject_toml": '[build-system]\nrequires = ["setuptools", "torch"]\n'}, "whose build needs torch"),
        ({"setup_py": "import torch\nfrom setuptools import setup\n"}, "whose setup.py imports torch"),
        (
            {"setup_py": "from setuptools import Extension, setup\nsetup(ext_modules=[Extension('x', ['x.c'])])\n"},
            "whose build compiles for the Python that runs it",
        ),
    ],
)
def test_source_that_cannot_be_built_here_is_not_advised(scenario: Scenario, texts: dict[str, str], words: str) -> None:
    sdist(scenario, "attn", "2.8", **texts)
    with pytest.raises(NoSolution) as caught:
        scenario.lock("attn", base={"torch": "2.10.0+cu128"}, full_version="3.8.20")
    assert f"it cannot be had in kernel: kaggle-env.toml needs attn, but attn 2.8 exists as an sdist only, {words}" in (
        caught.value.next
    )
    assert "write allow-source" not in caught.value.next
    assert "attn @ https://" in caught.value.next
    assert 'no-build-isolation = ["attn"]' in caught.value.next


COMPILES = "from setuptools import Extension, setup\nsetup(ext_modules=[Extension('x', ['x.c'])])\n"


def test_what_can_only_be_built_where_the_image_is_comes_with_the_other_words_that_it_needs(scenario: Scenario) -> None:
    sdist(scenario, "attn", "2.8", setup_py=COMPILES)
    scenario.wheel("user", "1.0", "attn>=3")
    scenario.wheel("user", "0.9")
    base = {"attn": "3.0", "user": replace(known("user", "1.0"), requires_dist=("attn>=3",))}
    with pytest.raises(NoSolution) as caught:
        scenario.lock("attn==2.8", base=base, full_version="3.8.20")
    words = 'no-build-isolation = ["attn"] and replace = ["attn", "user"] and build where the image is'
    assert f"write {words}" in caught.value.next
    assert "with the same replace, give the URL or path of a prebuilt wheel of attn" in caught.value.next


def test_a_build_where_the_image_is_is_no_way_out_of_what_no_wheel_would_end(scenario: Scenario) -> None:
    sdist(scenario, "attn", "2.8", setup_py=COMPILES)
    scenario.wheel("top", "1.0", "attn", "torch<2")
    scenario.wheel("torch", "1.0", tag="cp37-cp37m-manylinux2014_x86_64")
    with pytest.raises(NoSolution) as caught:
        scenario.lock("top", base={"torch": "2.0"}, full_version="3.8.20")
    assert "it cannot be had in kernel" in caught.value.next
    assert "no-build-isolation" not in caught.value.next
    assert "attn @" not in caught.value.next


def test_what_is_built_behind_a_build_where_the_image_is_is_told_with_it(scenario: Scenario) -> None:
    needs = "Metadata-Version: 2.1\nName: attn\nVersion: 2.8\nRequires-Dist: inner\n"
    sdist(scenario, "attn", "2.8", setup_py=COMPILES, PKG_INFO=needs)
    sdist(scenario, "inner", "1.0", setup_py=COMPILES)
    with pytest.raises(NoSolution) as caught:
        scenario.lock("attn", base={"torch": "2.0"}, full_version="3.8.20")
    assert 'write no-build-isolation = ["attn", "inner"] and build where the image is' in caught.value.next


def test_a_build_where_the_image_is_that_is_written_already_is_not_advised_again(scenario: Scenario) -> None:
    sdist(scenario, "attn", "2.8", setup_py=COMPILES)
    asked = scenario.environment("attn==2.8", no_build_isolation=["attn"])
    unlike = {"kernel": Unisolated(names=("attn",), unlike="python is cpython 3.11, kernel has cpython 3.8")}
    with pytest.raises(NoSolution) as caught:
        scenario.resolve(asked, base_image({"attn": "3.0"}, python="3.8.20"), unisolated=unlike)
    assert (
        "attn 2.8 is built with what the image has, and that is not here: python is cpython 3.11" in caught.value.next
    )
    assert 'write replace = ["attn"] and build where the image is' in caught.value.next
    assert "no-build-isolation = " not in caught.value.next


def test_a_source_whose_texts_ask_for_what_is_no_requirement_does_not_end_the_search_for_words(
    scenario: Scenario,
) -> None:
    sdist(
        scenario, "top", "2.0", PKG_INFO="Metadata-Version: 2.1\nName: top\nVersion: 2.0\nRequires-Dist: odd>=1,,<2\n"
    )
    sdist(scenario, "top", "1.0")
    with pytest.raises(NoSolution) as caught:
        scenario.lock("top")
    assert 'write allow-source = ["top"] to let kpack build it' in caught.value.next


def test_sources_behind_a_source_are_told_in_the_same_words(scenario: Scenario) -> None:
    headers = "Metadata-Version: 2.1\nName: {}\nVersion: 1.0\n{}"
    sdist(scenario, "top", "1.0", PKG_INFO=headers.format("top", "Requires-Dist: mid\n"))
    sdist(scenario, "mid", "1.0", PKG_INFO=headers.format("mid", "Requires-Dist: leaf\n"))
    sdist(scenario, "leaf", "1.0")
    with pytest.raises(NoSolution) as caught:
        scenario.lock("top", base={})
    assert caught.value.next.startswith('write allow-source = ["leaf", "mid", "top"] to let kpack build them')


@pytest.mark.parametrize(
    ("base", "words"),
    [
        ({}, 'write "dep==1.0" in packages to take what was yanked all the same'),
        (
            {"dep": "0.9"},
            'write "dep==1.0" in packages to take what was yanked all the same, and write replace = ["dep"]',
        ),
    ],
)
def test_a_yanked_dependency_gives_the_pin_that_takes_it(scenario: Scenario, base: dict[str, str], words: str) -> None:
    scenario.wheel("dep", "1.0", yanked="broken")
    scenario.wheel("top", "1.0", "dep>=1")
    with pytest.raises(NoSolution) as caught:
        scenario.lock("top", base=base)
    assert caught.value.next == words
    replace = ["dep"] if base else []
    assert packed(scenario.lock("top", "dep==1.0", base=base, replace=replace)) == {"dep": "1.0", "top": "1.0"}


def test_requests_that_cannot_stand_together_are_both_named(scenario: Scenario) -> None:
    for version in ("1.0", "2.0"):
        scenario.wheel("dep", version)
    scenario.wheel("one", "1.0", "dep<2")
    scenario.wheel("other", "1.0", "dep>=2")
    with pytest.raises(NoSolution) as caught:
        scenario.lock("one", "other", base={"dep": "1.0"})
    assert "leave other or one out of packages: an environment of its own can have it" in caught.value.next


def test_a_pin_of_exclude_that_stands_in_the_way_is_named(scenario: Scenario) -> None:
    scenario.wheel("dep", "1.0")
    with pytest.raises(NoSolution) as caught:
        scenario.lock("dep>=1", base={}, exclude=["dep==0.1"])
    assert 'take "dep==0.1" out of exclude: there is an answer then' in caught.value.next


def test_names_of_modules_that_a_made_up_image_does_not_tell_are_known_all_the_same(scenario: Scenario) -> None:
    sdist(scenario, "sklearn", "0.0")
    with pytest.raises(NoSolution) as caught:
        scenario.lock("sklearn", base={})
    assert caught.value.next == "sklearn is a module of scikit-learn: write scikit-learn"


def test_a_project_that_has_the_name_of_another_ones_module_gets_a_note(scenario: Scenario) -> None:
    scenario.wheel("cv2", "1.0")
    found = scenario.lock("cv2", base={"opencv-python": "4.10"})
    (note,) = found.notes
    assert note.startswith("cv2 is a project of its own: ")
    assert note.endswith("comes with opencv-python, and the image has opencv-python 4.10")


def test_nothing_of_a_source_runs_while_words_are_tried(scenario: Scenario) -> None:
    sdist(scenario, "attn", "2.8", setup_py=f"open({str(scenario.folder / 'ran')!r}, 'w')\n")
    with pytest.raises(NoSolution) as caught:
        scenario.lock("attn", base={})
    assert 'write allow-source = ["attn"]' in caught.value.next
    assert not (scenario.folder / "ran").exists()


def test_base_packages_that_would_break_move_along_in_the_first_words(scenario: Scenario) -> None:
    for version in ("1.0", "2.0"):
        scenario.wheel("dep", version)
    scenario.wheel("user", "2.0", "dep>=2")
    base = {"dep": "1.0", "user": known("user", "1.0", ["dep<2"]), "stuck": known("stuck", "1.0", ["dep<2"])}
    with pytest.raises(NoSolution) as caught:
        scenario.lock("dep>=2", base=base)
    assert 'write replace = ["dep", "user"] and allow-broken = ["stuck"]' in caught.value.next
    assert "(stuck will not work any more)" in caught.value.next
    answer = scenario.lock("dep>=2", base=base, replace=["dep", "user"], allow_broken=["stuck"])
    assert packed(answer) == {"dep": "2.0", "user": "2.0"}


def test_preloaded_module_is_not_replaced_by_any_words(scenario: Scenario) -> None:
    scenario.wheel("numpy", "1.26")
    owners = {canonicalize_name("numpy"): "numpy"}
    image = replace(base_image({"numpy": "2.0"}), preloaded=("numpy",), preloaded_by=owners)
    with pytest.raises(NoSolution) as caught:
        scenario.resolve(scenario.environment("numpy<2"), image)
    assert "it cannot be had in kernel" in caught.value.next
    assert "has numpy 2.0, which is imported before the first cell" in caught.value.next
    assert "write replace" not in caught.value.next
    assert 'allow-preloaded = ["numpy"] with replace = ["numpy"]' in caught.value.next


def test_what_is_preloaded_is_said_of_what_keeps_a_newer_version_away(scenario: Scenario) -> None:
    scenario.wheel("chain", "0.1")
    scenario.wheel("chain", "0.2", "numpy<2")
    scenario.wheel("numpy", "1.9")
    base = base_image({"numpy": "2.0", "chain": "1.0"})
    image = replace(base, preloaded=("numpy",), preloaded_by={canonicalize_name("numpy"): "numpy"})
    with pytest.raises(NoSolution) as caught:
        scenario.resolve(scenario.environment("chain<1"), image)
    words = "chain 0.2 needs numpy<2, but the base image kernel has numpy 2.0, which is imported before the first cell"
    assert f"chain 0.2 cannot be had in kernel: {words}" in caught.value.next


def test_what_is_preloaded_is_not_said_of_another_package_in_the_way(scenario: Scenario) -> None:
    scenario.wheel("numpy", "1.26")
    scenario.wheel("old", tag="cp37-cp37m-manylinux2014_x86_64")
    owners = {canonicalize_name("numpy"): "numpy"}
    image = replace(base_image({"numpy": "2.0"}), preloaded=("numpy",), preloaded_by=owners)
    with pytest.raises(NoSolution) as caught:
        scenario.resolve(scenario.environment("old", "numpy<2"), image)
    assert "none for cp312" in caught.value.next
    assert "none for cp312, which is imported" not in caught.value.next


def test_extra_of_the_base_that_is_at_odds_with_it_is_told_like_any_other(scenario: Scenario) -> None:
    scenario.wheel("timm", "1.0.20")
    base = {"timm": "1.0.25", "transformers": known("transformers", "5.0", ["timm<1.0.21; extra == 'timm'"], ["timm"])}
    with pytest.raises(NoSolution) as caught:
        scenario.lock("transformers[timm]", base=base)
    assert caught.value.what.splitlines() == [
        "transformers 5.0 needs timm<1.0.21, but the base image kernel has timm 1.0.25",
        "  kaggle-env.toml asks for transformers[timm]; transformers 5.0 asks for timm<1.0.21",
    ]
    assert 'write replace = ["timm"] to pack timm 1.0.20' in caught.value.next


def test_requirements_that_exclude_each_other_show_both_chains(scenario: Scenario) -> None:
    scenario.wheel("left", "1.0", "shared<2")
    scenario.wheel("right", "1.0", "shared>=2")
    for version in ("1.0", "2.0"):
        scenario.wheel("shared", version)
    with pytest.raises(NoSolution) as caught:
        scenario.lock("left", "right")
    assert caught.value.what.splitlines() == [
        "right 1.0 needs shared>=2, but left 1.0 needs shared<2",
        "  kaggle-env.toml asks for right; right 1.0 asks for shared>=2",
        "  kaggle-env.toml asks for left; left 1.0 asks for shared<2",
    ]


def test_unreachable_index_is_a_network_error_without_credentials(scenario: Scenario) -> None:
    environment = scenario.environment("top")
    from kpack.resolve import resolve
    from kpack.target import targets
    from tests.resolve.scenario import base_image

    with pytest.raises(NetworkError) as caught:
        resolve(
            environment,
            targets(environment, [base_image({})]),
            cache_dir=None,
            index_url="http://user:s3cret@127.0.0.1:9/simple/",
        )
    text = str(caught.value.to_dict())
    assert "127.0.0.1:9" in text
    assert "refused" in text
    assert "s3cret" not in text
    assert "user" not in text


def test_a_wheel_of_the_users_own_is_told_what_the_image_holds_it_to(scenario: Scenario) -> None:
    path = make_wheel(scenario.folder, "top", "99.0")
    base = {"top": "4.0", "holder": known("holder", "1.0", ["top<5"]), "easy": known("easy", "1.0", ["top>=1"])}
    with pytest.raises(NoSolution) as caught:
        scenario.lock(f"./{path.name}", base=base, replace=["top"])
    assert caught.value.what == "kaggle-env.toml brings top 99.0; holder 1.0 of the base needs top<5"
    assert 'allow-broken = ["holder"]' in caught.value.next


def test_a_prerelease_beside_a_yanked_release_is_not_taken_and_the_yanked_one_is_named(scenario: Scenario) -> None:
    scenario.wheel("top", "1.0", yanked="broken")
    scenario.wheel("top", "1.1rc1")
    with pytest.raises(NoSolution) as caught:
        scenario.lock("top")
    assert caught.value.what == "kaggle-env.toml needs top, but top 1.0 was yanked (broken)"
    assert "top==1.0" in caught.value.next
