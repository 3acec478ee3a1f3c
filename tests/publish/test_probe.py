from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import pytest

from kpack.base import load
from tests.support.kaggle import IMAGE, Fault
from tests.support.sandbox import missing

if TYPE_CHECKING:
    from tests.publish.conftest import Desk

PYTHON = f"{sys.version_info[0]}.{sys.version_info[1]}"

pytestmark = [pytest.mark.root, pytest.mark.skipif(bool(missing()), reason=missing() or "sandboxes work")]


def test_a_probe_of_kaggle_becomes_the_base_and_comments_stay(desk: Desk) -> None:
    config = desk.folder / "kaggle-env.toml"
    config.write_text(f'# mine\nname = "tiny"\npython = "{PYTHON}"  # for now\npackages = []\n')
    pinned = "gcr.io/kaggle-gpu-images/python@sha256:" + "b" * 64
    said = desk.good("probe", "--kaggle", "gpu", "--image", "sha256:" + "b" * 64, "--use", "--json").json
    assert (said["image"], said["changed"]) == (pinned, True)
    assert config.read_text() == '# mine\nname = "tiny"\nbase = "./kaggle-base.json"  # for now\npackages = []\n'
    base = load("./kaggle-base.json", desk.folder)
    assert len(base.distributions) == said["distributions"] > 20
    assert base.accelerator == "gpu"
    assert json.loads((desk.folder / "kaggle-base.json").read_text())["image"]["reference"] == pinned
    asked = desk.kaggle.said("SaveKernel")[0]
    assert asked["slug"] == "me/kpack-probe-gpu"
    assert (asked["isPrivate"], asked["enableInternet"], asked["enableGpu"]) == (True, False, True)
    assert asked["dockerImage"] == pinned
    assert desk.good("lock", "--json").json["targets"][0]["base"] == "kaggle-base"
    told = desk.good("notebook", "--owner", "me", "--json").json
    assert told["image"] == pinned


def test_without_an_image_kaggle_says_which_one_it_was_and_the_file_is_left_alone(desk: Desk) -> None:
    config = desk.folder / "kaggle-env.toml"
    config.write_text('name = "tiny"\nbase = "kaggle-cpu-py312-2026-08"\n')
    done = desk.good("probe", "--kaggle", "cpu")
    assert IMAGE in done.out
    assert "--use" in done.err
    assert 'base = "kaggle-cpu-py312-2026-08"' in config.read_text()
    assert "dockerImage" not in desk.kaggle.said("SaveKernel")[0]


def test_it_needs_no_project(desk: Desk) -> None:
    assert desk.good("probe", "--kaggle", "tpu", "-o", "sub/tpu.json", "--json").json["config"] is None
    assert load("./sub/tpu.json", desk.folder).accelerator == "tpu"


def test_a_probe_that_fails_shows_its_log(desk: Desk) -> None:
    desk.kaggle.longest = 0.1
    done = desk.kpack("probe", "--kaggle", "cpu")
    assert done.code == 1
    assert "longer than the allowed" in done.err
    assert not (desk.folder / "kaggle-base.json").exists()


def test_another_image_than_the_one_asked_for_is_refused(desk: Desk) -> None:
    desk.kaggle.image = IMAGE
    done = desk.kpack("probe", "--kaggle", "cpu", "--image", "sha256:" + "b" * 64)
    assert done.code == 6
    assert IMAGE.partition(":")[2] in done.err


def test_a_quota_is_said_in_kaggles_words(desk: Desk) -> None:
    desk.kaggle.quota = "Maximum weekly GPU quota of 30.00 hours reached."
    done = desk.kpack("probe", "--kaggle", "gpu")
    assert done.code == 4
    assert "30.00 hours" in done.err


def test_a_busy_kaggle_is_not_asked_to_save_twice_for_a_broken_answer(desk: Desk) -> None:
    desk.kaggle.faults = {"SaveKernel": [Fault(429, "later", (("Retry-After", "0"),))]}
    desk.good("probe", "--kaggle", "cpu")
    assert len(desk.kaggle.kernels["me/kpack-probe-cpu"]) == 1
