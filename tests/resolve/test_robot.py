"""Who writes exactly what kpack prints has a lock in two rounds, or is told that it cannot be had.

The requests of the long list use the real index: by default one runs, with ``KPACK_INDEX_TESTS=all`` all of them.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest

from kpack.cache import Cache
from kpack.errors import NoSolution
from kpack.fetch import Fetcher
from kpack.locking import anew
from kpack.project import Project
from kpack.resolve import child, trial
from tests.support.long import listed

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from kpack.resolve.wire import Answer, Failure, Question
    from tests.resolve.scenario import Scenario

BASES = ("kaggle-gpu-py312-2026-08", "kaggle-cpu-py313-2026-10-estimate", "kaggle-py311-2025-09")
REQUESTS = (
    "numpy==1.26.4",
    "protobuf==3.20.3",
    "pandas<2",
    "keras<3",
    "vllm==0.11.0",
    "unsloth",
    "autogluon.tabular",
    "transformers<4.45",
    "transformers==4.48.0",
    "tokenizers==0.15.2",
    "tensorflow==2.15",
    "scikit-learn<1.5",
    "scipy<1.12",
    "pillow<10",
    "torch==2.6.0",
    "torchvision==0.21.0",
    "datasets<3",
    "huggingface-hub<0.30",
    "accelerate<1",
    "sentence-transformers[onnx]",
    "transformers[timm]",
    "fastapi[standard]<0.110",
    "pydantic<2",
    "sqlalchemy<2",
    "opencv-python<4.9",
    "albumentations==1.3.1",
    "mediapipe",
    "lightgbm<4",
    "xgboost<2",
    "langchain<0.3",
    "openai<1",
    "flash-attn",
    "mambular",
    "tensorflow-addons",
    "pytorch-lightning==1.9.5",
    "mmdet",
)
DEFAULT = {("flash-attn", BASES[0])}

PINNED = r"\"[^\"=]+==[^\"]+\""
WRITTEN = re.compile(
    rf"write ((?:(?:{PINNED}(?:, | and )?)+ in packages(?:, | and )?)?"
    r"(?:[a-z-]+ = (?:\[[^\]]*\]|\"[^\"]*\")(?:, | and )?)*)"
)
KEY = re.compile(r"([a-z-]+) = (\[[^\]]*\]|\"[^\"]*\")")
ENDS = ("cannot be had in", "no words were found", "no-build-isolation = ", "is a module of")


def followed(folder: Path, base: str, request: str, rounds: int = 2) -> tuple[int, str]:
    """Write what is printed, as it is printed, until there is a lock; return the rounds it took and the last words."""
    keys: dict[str, object] = {"name": "robot", "base": base, "packages": [request]}
    said = ""
    for count in range(rounds + 1):
        text = "".join(f"{key} = {json.dumps(value)}\n" for key, value in keys.items())
        (folder / "kaggle-env.toml").write_text(text, encoding="utf-8")
        try:
            anew(Project(folder / "kaggle-env.toml"), Fetcher(Cache(folder / "cache")))
        except NoSolution as error:
            said = error.next
        else:
            return count, ""
        words = next((words[1] for words in WRITTEN.finditer(said) if words[1]), "")
        if not words or words.startswith("no-build-isolation"):
            break
        keys |= {key: json.loads(value) for key, value in KEY.findall(words)}
        keys["packages"] = [json.loads(pin) for pin in re.findall(PINNED, words)] or keys["packages"]
    return -1, said


def image(folder: Path, distributions: list[dict[str, object]], preloaded: dict[str, list[str]]) -> str:
    """Write a probe's output and return its path."""
    environment = {
        "implementation_name": "cpython",
        "implementation_version": "3.12.13",
        "os_name": "posix",
        "platform_machine": "x86_64",
        "platform_python_implementation": "CPython",
        "platform_release": "",
        "platform_system": "Linux",
        "platform_version": "",
        "python_full_version": "3.12.13",
        "python_version": "3.12",
        "sys_platform": "linux",
    }
    content = {
        "kpack-base": 1,
        "name": "robot",
        "taken": "2026-11-01",
        "certainty": "made up",
        "environment": environment,
        "glibc": "2.35",
        "preloaded": preloaded,
        "distributions": [{"provides-extra": [], **each} for each in distributions],
    }
    (folder / "probe.json").write_text(json.dumps(content), encoding="utf-8")
    return "./probe.json"


@pytest.fixture
def base(scenario: Scenario, monkeypatch: pytest.MonkeyPatch) -> str:
    """An image in which everything hangs together, and an index that has more."""
    monkeypatch.setenv("KPACK_INDEX_URL", scenario.index.url)
    for version in ("1.0", "2.0", "3.0"):
        scenario.wheel("hub", version)
        scenario.wheel("words", version)
    scenario.wheel("models", "4.0", "hub<2", "words<2")
    scenario.wheel("models", "5.0", "hub>=2", "words>=2")
    scenario.wheel("sets", "3.0", "hub<3")
    scenario.wheel("array", "1.0")
    scenario.wheel("old-array", "1.0", "array<2")
    distributions: list[dict[str, object]] = [
        {"name": "hub", "version": "3.0", "requires-dist": []},
        {"name": "words", "version": "3.0", "requires-dist": []},
        {"name": "models", "version": "5.0", "requires-dist": ["hub>=2", "words>=2"]},
        {"name": "sets", "version": "4.0", "requires-dist": ["hub>=3"]},
        {"name": "stuck", "version": "1.0", "requires-dist": ["words>=3"]},
        {"name": "array", "version": "2.0", "requires-dist": []},
    ]
    return image(scenario.folder, distributions, {"array": ["array"]})


@pytest.mark.parametrize("request_", ["models<5", "hub<2", "words==1.0", "sets<4"])
def test_words_that_are_followed_lead_to_a_lock_at_once(scenario: Scenario, base: str, request_: str) -> None:
    assert followed(scenario.folder, base, request_) == (1, "")


@pytest.mark.parametrize("request_", ["array<2", "old-array"])
def test_what_no_words_can_have_is_said_to_end_there(scenario: Scenario, base: str, request_: str) -> None:
    _, said = followed(scenario.folder, base, request_, rounds=0)
    assert "it cannot be had in probe" in said
    assert "array 2.0, which is imported before the first cell" in said


def test_a_preloaded_module_whose_other_words_are_written_already_needs_the_last_one(
    scenario: Scenario, base: str
) -> None:
    text = f'name = "robot"\nbase = "{base}"\npackages = ["array<2"]\nreplace = ["array"]\n'
    (scenario.folder / "kaggle-env.toml").write_text(text, encoding="utf-8")
    with pytest.raises(NoSolution) as caught:
        anew(Project(scenario.folder / "kaggle-env.toml"), Fetcher(Cache(scenario.folder / "cache")))
    words = 'where the kernel is restarted after the line (a batch run cannot), allow-preloaded = ["array"]'
    assert words in caught.value.next


def test_what_a_search_finds_in_its_last_second_is_judged_all_the_same(
    scenario: Scenario, base: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    granted: list[float] = []
    ask = child.Workers.ask

    def recorded(self: child.Workers, questions: Sequence[Question]) -> list[Answer | Failure]:
        granted.extend(question.seconds for question in questions)
        return ask(self, questions)

    monkeypatch.setattr(child.Workers, "ask", recorded)
    monkeypatch.setattr(trial, "SECONDS", 0.0)
    assert followed(scenario.folder, base, "models<5", rounds=0)[1].startswith("write ")
    assert set(granted) == {0.0, trial.LEAST, trial.JUDGED}


@pytest.mark.index
@pytest.mark.parametrize(
    ("request_", "base_"),
    listed(((request, name) for request in REQUESTS for name in BASES), DEFAULT.__contains__),
)
def test_real_requests_end_in_a_lock_or_in_a_sentence(
    tmp_path: Path, request_: str, base_: str, real_worker: None
) -> None:
    rounds, said = followed(tmp_path, base_, request_)
    assert rounds in {0, 1, 2} or any(words in said for words in ENDS)
