from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Any

import pytest

from kpack.base import load, shipped
from kpack.base.about import about, days
from kpack.base.choice import Wish, choose, wish_of, wish_of_notebook
from kpack.base.shipped import built
from tests.base.test_snapshot import parsed

HERE = Path(__file__).parent
NEWEST = next(info.name for info in shipped() if info.accelerator == "gpu")
DIGEST = load("kaggle-cpu-py312-2026-02", HERE).images[0]


@pytest.mark.parametrize(
    ("metadata", "beside", "wish"),
    [
        ({"language_info": {"version": "3.11.13"}}, None, Wish(python="3.11")),
        ({"kernelspec": {"name": "python3.12"}}, None, Wish(python="3.12")),
        ({"kernelspec": {"name": "python3"}}, None, Wish()),
        ({"kaggle": {"accelerator": "nvidiaTeslaT4", "isGpuEnabled": True}}, None, Wish(accelerator="gpu")),
        ({"kaggle": {"accelerator": "none", "isGpuEnabled": False}}, None, Wish(accelerator="cpu")),
        ({"kaggle": {"accelerator": "tpuV5e8"}}, None, Wish(accelerator="tpu")),
        ({"kaggle": {"isGpuEnabled": False}}, None, Wish(accelerator="cpu")),
        ({"kaggle": {"dockerImageVersionId": 31193}}, None, Wish(number="31193")),
        ({}, {"docker_image": f"gcr.io/kaggle-images/python@{DIGEST}"}, Wish(image=DIGEST)),
        ({}, {"enable_gpu": "true"}, Wish(accelerator="gpu")),
        ({}, {"machine_shape": "NvidiaTeslaP100", "enable_gpu": False}, Wish(accelerator="gpu")),
        (None, [], Wish()),
        ({"language_info": 3, "kaggle": [], "kernelspec": {"name": 4}}, "x", Wish()),
        ({"kaggle": {"dockerImageVersionId": {}, "accelerator": 7, "dockerImage": 8}}, None, Wish()),
        ({"language_info": {"version": "3.999999"}}, None, Wish()),
    ],
)
def test_a_notebook_wishes_for_what_its_metadata_names(metadata: Any, beside: Any, wish: Wish) -> None:
    assert wish_of(metadata, beside) == wish


def test_a_named_image_decides() -> None:
    choice = choose(Wish(image=DIGEST, python="3.13", accelerator="gpu"))
    assert choice.info.name == "kaggle-cpu-py312-2026-02"
    assert "names its image" in choice.because
    assert not choice.notes


def test_an_image_without_a_list_decides_by_the_python_and_the_day_that_it_was_built_with() -> None:
    march = "sha256:9bc2d69e4dc6caba1c4e45952d4bec429911b514ab22c2ab1bff8dccfa8a3063"  # release v167
    choice = choose(Wish(image=march, python="3.13"))
    assert choice.info.name == "kaggle-gpu-py312-2026-02"
    assert choice.because == "the nearest in time that goes with the image's Python 3.12 and its accelerator (gpu)"
    assert "was built on 2026-03-19 with Python 3.12, and is none that kpack ships a list of" in choice.notes[0]
    old = "sha256:9521655382ff95f8208d7e38856a328b59743377435c73870a4c7c014eeaff5d"
    assert "no known image has the notebook's Python 3.7" in choose(Wish(image=old)).notes[1]


def test_every_image_of_a_list_is_among_the_images_that_were_built() -> None:
    told = {digest: built(digest) for info in shipped() for digest in info.images}
    for info in shipped():
        for made in filter(None, map(told.get, info.images)):
            assert info.python.startswith(f"{made.python}.")
    assert sum(made is not None for made in told.values()) >= 10
    assert built("latest") is None


def test_an_image_that_nobody_knows_is_said_with_the_way_to_probe_it() -> None:
    other = "sha256:" + "0" * 64
    choice = choose(Wish(image=other))
    assert choice.info.name == NEWEST
    assert f"kpack probe --kaggle gpu --image {other}" in choice.notes[0]
    assert "number 31193" in choose(Wish(number="31193")).notes[0]


@pytest.mark.parametrize(
    ("wish", "name", "because"),
    [
        (Wish(), NEWEST, "the newest image with a GPU"),
        (Wish(python="3.11"), "kaggle-py311-2025-09", "the newest image that goes with the notebook's Python 3.11"),
        (Wish(accelerator="cpu"), "kaggle-cpu-py313-2026-10-estimate", "goes with its accelerator (cpu)"),
        (Wish(python="3.12", accelerator="cpu"), "kaggle-cpu-py312-2026-08", "Python 3.12 and its accelerator (cpu)"),
        (Wish(accelerator="tpu"), "kaggle-tpu-py312-2026-08-estimate", "accelerator (tpu)"),
    ],
)
def test_python_and_accelerator_decide_and_it_is_said(wish: Wish, name: str, because: str) -> None:
    choice = choose(wish)
    assert choice.info.name == name
    assert because in choice.because
    assert not choice.notes


def test_what_no_image_fulfils_is_a_note() -> None:
    assert "no known image has the notebook's Python 3.6" in choose(Wish(python="3.6")).notes[0]
    assert "is for tpu" in choose(Wish(python="3.13", accelerator="tpu")).notes[0]


def test_the_file_that_pushes_a_notebook_counts_for_that_notebook_alone(tmp_path: Path) -> None:
    (tmp_path / "a.ipynb").write_text(json.dumps({"cells": [], "metadata": {"language_info": {"version": "3.12.1"}}}))
    (tmp_path / "b.ipynb").write_text("no notebook")
    (tmp_path / "kernel-metadata.json").write_text(json.dumps({"code_file": "a.ipynb", "docker_image": DIGEST}))
    assert wish_of_notebook(tmp_path / "a.ipynb") == Wish(python="3.12", image=DIGEST)
    assert wish_of_notebook(tmp_path / "b.ipynb") == Wish()


def test_an_image_says_whether_it_is_exact_how_old_and_how_to_do_better() -> None:
    today = dt.date(2026, 7, 9)
    said = about(load("kaggle-cpu-py312-2026-08", HERE), today)
    assert said.startswith("kaggle-cpu-py312-2026-08: reconstructed, not probed, 10 days old (high: release v170")
    assert said.endswith("kpack probe --kaggle cpu")
    mine = parsed(taken="2026-07-01", certainty="exact: written down by the kernel itself")
    assert about(mine, today) == "kaggle: your own list, 8 days old (exact: written down by the kernel itself)"
    assert days(parsed(taken="yesterday"), today) is None
    assert about(parsed(), today) == "kaggle: your own list"
