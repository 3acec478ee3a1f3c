"""What is offered is what somebody wants: the newest that can be had, or the reason why it cannot."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from kpack.errors import NoSolution
from kpack.resolve import other_image
from kpack.resolve.trial import Refusal, Trials
from kpack.resolve.wire import Failure
from kpack.target import NEWEST
from tests.resolve.scenario import packed
from tests.resolve.test_conflicts import sdist

if TYPE_CHECKING:
    from typing import Any

    from kpack.environment import Environment
    from tests.resolve.scenario import Scenario


def advice(scenario: Scenario, *packages: str, **options: Any) -> str:
    with pytest.raises(NoSolution) as caught:
        scenario.lock(*packages, **options)
    return caught.value.next


def test_an_old_version_is_offered_last_and_with_what_keeps_the_new_one_away(
    scenario: Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(other_image, "shipped", list)
    scenario.wheel("chain", "0.1")
    scenario.wheel("chain", "0.2", "numpy<2")
    scenario.wheel("chain", "1.0")
    scenario.wheel("numpy", "2.0")
    said = advice(scenario, "chain<1", base={"chain": "1.0", "numpy": "2.0"}).split("; or ")
    assert said[0] == "chain 0.2 cannot be had in kernel: chain 0.2 needs numpy<2, but the newest numpy is 2.0"
    assert said[-2] == (
        'write replace = ["chain"] to pack chain 0.1 in place of the kernel\'s, which gives chain 0.1 only'
    )


def test_the_newest_is_offered_before_what_takes_fewer_words(scenario: Scenario) -> None:
    scenario.wheel("chain", "0.1")
    sdist(scenario, "chain", "0.2")
    said = advice(scenario, "chain<1", base={"chain": "1.0"}).split("; or ")
    assert said[:2] == [
        'write replace = ["chain"] and allow-source = ["chain"] for the newest',
        'write replace = ["chain"] to pack chain 0.1 in place of the kernel\'s',
    ]


def test_an_older_version_that_sdists_alone_keep_away_is_offered_where_the_newest_cannot_be_had(
    scenario: Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(other_image, "shipped", list)
    scenario.wheel("audio", "4.0", "metrics>=4")
    scenario.wheel("audio", "3.0", "metrics<4")
    scenario.wheel("metrics", "4.0", "numpy>=2.2")
    scenario.wheel("metrics", "3.0", "docopt", "beside")
    sdist(scenario, "docopt", "0.6")
    sdist(scenario, "beside", "1.0")
    scenario.wheel("beside", "0.9")
    scenario.wheel("numpy", "2.0")
    said = advice(scenario, "audio", base={"numpy": "2.0"})
    assert said.split("; or ") == [
        "audio 4.0 cannot be had in kernel: metrics 4.0 needs numpy>=2.2, but the newest numpy is 2.0",
        'write allow-source = ["docopt"] to let kpack build it, which gives audio 3.0 only',
    ]


def test_what_a_search_found_and_the_file_does_not_is_told_with_its_version(
    scenario: Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    scenario.wheel("models", "4.0")
    outcome = Trials.outcome

    def forgetful(self: Trials, environment: Environment, *args: Any) -> Any:
        if any("==" in package.text for package in environment.packages):
            return outcome(self, environment, *args)
        return Refusal(failure=Failure(kind="no-solution", text="lost", because="too-many-tries"))

    monkeypatch.setattr(Trials, "outcome", forgetful)
    said = advice(scenario, "models<5", base={"models": "5.0"})
    assert said.startswith('write "models==4.0" in packages and replace = ["models"] to pack models 4.0')
    assert packed(scenario.lock("models==4.0", base={"models": "5.0"}, replace=["models"])) == {"models": "4.0"}


def test_what_no_index_has_is_told_with_where_it_is_had(scenario: Scenario) -> None:
    said = advice(scenario, "detectron2", base={"torch": "2.10.0+cu128"})
    assert '"detectron2 @ git+https://github.com/facebookresearch/detectron2.git" in packages' in said
    assert 'no-build-isolation = ["detectron2"]' in said
    assert "detectron2 @ https://….whl" in said
    assert "spelling" not in said
    assert "https://github.com/explosion/spacy-models/releases" in advice(scenario, "en_core_web_sm")


def test_what_is_known_to_be_elsewhere_is_taken_from_an_index_that_has_it(scenario: Scenario) -> None:
    scenario.wheel("detectron2", "0.6")
    assert packed(scenario.lock("detectron2")) == {"detectron2": "0.6"}


def test_what_an_index_has_for_other_machines_only_is_told_with_where_it_is_had(scenario: Scenario) -> None:
    for name in ("pytorch3d", "maconly"):
        scenario.wheel(name, "0.7", tag="cp310-cp310-macosx_11_0_arm64")
    said = advice(scenario, "pytorch3d==0.7", base={"torch": "2.10.0+cu128"})
    assert '"pytorch3d @ git+https://github.com/facebookresearch/pytorch3d.git" in packages and no-build-isol' in said
    assert "pytorch3d @ https://….whl" in said
    assert "maconly @ https://….whl), or of its repository (maconly @ git+https://…)" in advice(scenario, "maconly")


def test_a_python_that_nobody_knows_may_be_a_slip(scenario: Scenario) -> None:
    scenario.wheel("native", "1.0", tag="cp312-cp312-manylinux_2_17_x86_64")
    newest = list(NEWEST)[-1]
    assert advice(scenario, "native", python="3.99").startswith(
        f"kpack knows Python up to {newest}: is 3.99 the series that you mean?"
    )
    assert "kpack knows" not in advice(scenario, "native", python=newest)


def test_an_unknown_name_may_be_a_slip_or_of_another_place(scenario: Scenario) -> None:
    said = advice(scenario, "nobody-knows-it", base={"numpy": "2.0"})
    assert said.startswith("check the spelling; ")
    assert "nobody-knows-it @ git+https://…" in said
    assert advice(scenario, "detectron", base={"detectron2": "0.6"}) == "did you mean detectron2?"
    assert "did you mean" not in advice(scenario, "six")  # an image has it, and so it is spelled right


@pytest.mark.parametrize(("base", "request_"), [({"torch": "2.10.0+cu128"}, "torch===2.10.0"), ({}, "top===1.0")])
def test_a_comparison_of_texts_is_told_to_be_one(scenario: Scenario, base: dict[str, str], request_: str) -> None:
    scenario.wheel("top", "1.0.0")
    with pytest.raises(NoSolution, match="=== compares the texts of versions") as caught:
        scenario.lock(request_, base=base)
    plain = request_.replace("===", "==")
    assert caught.value.next == (f'write "{plain}" in packages: === compares the texts of versions, == the versions')
    scenario.lock(plain, base=base)
