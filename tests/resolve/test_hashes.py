"""Digests that people wrote are kept to: ``--hash`` of a request, ``#sha256=`` of a URL."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from kpack.errors import IntegrityError, NoSolution
from kpack.resolve.model import Need
from tests.resolve.scenario import packed
from tests.resolve.test_sources import project
from tests.support.wheels import make_wheel

if TYPE_CHECKING:
    from pathlib import Path

    from tests.resolve.scenario import Scenario

OTHER = "0" * 64


def digest_of(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_of_two_files_the_one_is_taken_whose_digest_was_written(scenario: Scenario) -> None:
    pure = scenario.wheel("top", "1.0", "dep")
    scenario.wheel("top", "1.0", tag="cp312-cp312-manylinux_2_17_x86_64")
    scenario.wheel("top", "2.0")
    scenario.wheel("dep", "1.0")
    answer = scenario.lock(f"top>=1 --hash=sha256:{OTHER} --hash=sha256:{digest_of(pure)}")
    assert packed(answer) == {"dep": "1.0", "top": "1.0"}
    top = answer.packed[1]
    assert top.wheel is not None
    assert top.wheel.filename == pure.name
    assert top.needed_by == (Need(by="", requirement="top>=1"),)


def test_a_release_without_a_file_of_that_digest_is_refused_and_told(scenario: Scenario) -> None:
    scenario.wheel("top", "1.0")
    with pytest.raises(NoSolution, match=r"top 1\.0 has no file with a sha256 that kaggle-env.toml gives for it"):
        scenario.lock(f"top==1.0 --hash=sha256:{OTHER}")


def test_a_file_whose_index_says_no_digest_is_checked_by_its_bytes(scenario: Scenario) -> None:
    wheel = scenario.wheel("top", "1.0", sha256="")
    assert packed(scenario.lock(f"top --hash=sha256:{digest_of(wheel)}")) == {"top": "1.0"}
    with pytest.raises(IntegrityError, match=f"sha256 of top 1.0 is {digest_of(wheel)}, kaggle-env.toml says {OTHER}"):
        scenario.lock(f"top --hash=sha256:{OTHER}")


@pytest.mark.parametrize(
    "spelling", ["#egg=top&sha256={}", "#sha256={}&egg=top", "#sha256={}", "#sha256={}&sha256={}", "#SHA256={}"]
)
def test_the_digest_in_a_url_counts_wherever_it_stands(scenario: Scenario, spelling: str) -> None:
    wheel = scenario.wheel("top", "1.0")
    url = f"top @ {scenario.index.root}/files/{wheel.name}"
    for digest in (digest_of(wheel), digest_of(wheel).upper()):
        answer = scenario.lock(url + spelling.format(digest, digest))
        assert packed(answer) == {"top": "1.0"}
        assert [pin.wheel.sha256 for pin in answer.packed if pin.wheel] == [digest_of(wheel)]
    with pytest.raises(IntegrityError, match=f"its URL in packages says {OTHER}"):
        scenario.lock(url + spelling.format(OTHER, OTHER))


@pytest.mark.parametrize("algorithm", ["sha512", "md5"])
def test_a_url_may_have_another_digest(scenario: Scenario, algorithm: str) -> None:
    wheel = scenario.wheel("top", "1.0")
    url = f"top @ {scenario.index.root}/files/{wheel.name}#{algorithm}="
    (top,) = scenario.lock(url + hashlib.new(algorithm, wheel.read_bytes()).hexdigest()).packed
    assert top.wheel is not None
    assert top.wheel.sha256 == digest_of(wheel)
    with pytest.raises(IntegrityError, match="its URL in packages says 000"):
        scenario.lock(url + "0" * hashlib.new(algorithm).digest_size * 2)


def test_a_local_wheel_is_checked_by_the_digest_behind_its_path(scenario: Scenario) -> None:
    wheel = make_wheel(scenario.folder, "top")
    assert packed(scenario.lock(f"./{wheel.name} --hash=sha256:{digest_of(wheel)}")) == {"top": "1.0"}
    with pytest.raises(IntegrityError, match=r"sha256 of top 1\.0 is"):
        scenario.lock(f"./{wheel.name} --hash=sha256:{OTHER}")


def test_a_digest_of_what_the_kernel_has_is_of_no_consequence(scenario: Scenario) -> None:
    assert packed(scenario.lock(f"top==1.0 --hash=sha256:{OTHER}", base={"top": "1.0"})) == {}


@pytest.mark.parametrize("kind", ["folder", "wheel"])
@pytest.mark.parametrize("above", ["plain", "a; b", "c[d]", "e #f%20é"])
def test_extras_behind_a_local_path_are_asked_for(scenario: Scenario, kind: str, above: str) -> None:
    scenario = replace(scenario, folder=scenario.folder / above)
    scenario.folder.mkdir()
    lines = ["dep", "more; extra == 'all'"]
    scenario.wheel("dep", "1.0")
    scenario.wheel("more", "1.0")
    if kind == "wheel":
        path = make_wheel(scenario.folder, "fork", "1.0", requires=lines, provides_extra=["all"])
    else:
        path = scenario.folder / "fork"
        path.mkdir()
        for name, text in project("fork", "1.0", [*lines, r"dep\nProvides-Extra: all"]).items():
            (path / name).write_text(text)
    answer = scenario.lock(f"./{path.name}[all]")
    assert packed(answer) == {"dep": "1.0", "fork": "1.0", "more": "1.0"}
    assert {str(pin.name): pin.extras for pin in answer.packed}["fork"] == ("all",)
    assert packed(scenario.lock(f"./{path.name}")) == {"dep": "1.0", "fork": "1.0"}


def test_a_digest_for_what_the_image_has_is_said_to_be_of_no_use(scenario: Scenario) -> None:
    found = scenario.lock(f"dep==1.0 --hash=sha256:{'0' * 64}", base={"dep": "1.0"})
    assert found.notes == ("dep 1.0 is the image's own: there is no file whose --hash could be checked",)


def test_a_fallback_does_not_name_the_pin_that_was_only_tried(scenario: Scenario) -> None:
    for version in ("1.0", "2.0"):
        scenario.wheel("dep", version)
    scenario.wheel("one", "1.0", "dep<2")
    found = scenario.lock("dep", "one", base={})
    assert [str(each) for each in found.fallbacks] == ["dep 1.0 and not 2.0: one 1.0 needs dep<2"]
