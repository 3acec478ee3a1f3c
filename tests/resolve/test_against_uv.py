"""Twelve realistic environments over three shipped bases: names and versions equal uv's, or the difference is meant.

These use the real index. By default one runs; ``KPACK_INDEX_TESTS=all`` runs all thirty-six.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from packaging.requirements import Requirement

from kpack.base import load
from kpack.environment import Environment, Package
from kpack.errors import NoSolution
from kpack.resolve import resolve
from kpack.target import targets
from tests.resolve.against_uv import NoAnswer, ask_uv
from tests.resolve.scenario import packed
from tests.support.long import listed

if TYPE_CHECKING:
    from kpack.resolve.model import TargetResolution

BASES = ("kaggle-gpu-py312-2026-08", "kaggle-cpu-py313-2026-10-estimate", "kaggle-py311-2025-09")
ENVIRONMENTS = {
    "nlp": ("trl", "rank-bm25", "bitsandbytes", "setfit"),
    "topics": ("bertopic", "keybert", "faiss-cpu", "sentence-transformers"),
    "vision": ("segmentation-models-pytorch", "ultralytics", "supervision", "timm"),
    "medical": ("monai", "pydicom", "nibabel", "SimpleITK", "connected-components-3d"),
    "tabular": ("pytorch-tabnet", "category-encoders", "flaml", "tabpfn"),
    "series": ("darts", "neuralforecast", "sktime"),
    "chemistry": ("rdkit", "mordredcommunity", "deepchem", "torch-geometric"),
    "retrieval": ("langchain", "langchain-community", "chromadb"),
    "llm": ("peft", "unsloth", "lm-eval"),
    "audio": ("pyannote-audio", "audiomentations", "noisereduce"),
    "boosting": ("catboost", "optuna-integration", "interpret", "ngboost"),
    "maps": ("rasterio", "xarray-spatial", "pystac-client", "rioxarray"),
}
DEFAULT = {("medical", BASES[0])}

CASES = listed(((key, base) for key in ENVIRONMENTS for base in BASES), DEFAULT.__contains__)


def explained(answer: TargetResolution, name: str, theirs: str | None) -> bool:
    """Tell whether a difference is one of the two that are meant.

    uv does not count upper bounds of Requires-Python, so it takes versions that say that they do not work; and uv is
    not shown the extras of base packages, whose requirements kpack resolves.
    """
    held = {item.name: item.because for item in answer.held_back}
    if theirs is not None:
        return f"{theirs} needs Python" in held.get(name, "")  # type: ignore[call-overload]
    pins = {str(pin.name): pin for pin in answer.packed}
    base = {str(use.name) for use in answer.from_base}

    def from_an_extra(pin: str, seen: frozenset[str] = frozenset()) -> bool:
        owners = {need.by for need in pins[pin].needed_by} - seen
        return bool(owners) and all(by in base or (by and from_an_extra(by, seen | {pin})) for by in owners)

    return name in pins and from_an_extra(name)


@pytest.mark.index
@pytest.mark.parametrize(("key", "base"), CASES)
def test_answer_equals_the_one_of_uv(key: str, base: str, tmp_path: Path, real_worker: None) -> None:
    names = ENVIRONMENTS[key]
    environment = Environment(
        path=tmp_path / "kaggle-env.toml",
        name=key,
        bases=(base,),
        packages=tuple(Package(text=name, requirement=Requirement(name)) for name in names),
    )
    target = targets(environment, [load(base, Path())])[0]
    try:
        answer = resolve(environment, [target], cache_dir=tmp_path / "cache").targets[0]
    except NoSolution:
        with pytest.raises(NoAnswer, match="No solution found"):
            ask_uv(target, names)
        return
    ours, theirs = packed(answer), ask_uv(target, names)
    differences = {name: (ours.get(name), theirs.get(name)) for name in {*ours, *theirs}}
    unexplained = {
        name: pair for name, pair in differences.items() if pair[0] != pair[1] and not explained(answer, name, pair[1])
    }
    assert unexplained == {}
