from __future__ import annotations

import json
from typing import TYPE_CHECKING

import nbformat
import pytest

from tests.publish.conftest import DATASET
from tests.support.kaggle import Run
from tests.support.sandbox import Ran, missing

if TYPE_CHECKING:
    from pathlib import Path

    from tests.publish.conftest import Desk

PACK = "dist/tiny.kpack.bin"
PUSH = ("push", PACK, "--dataset", DATASET)
REHEARSE = ("rehearse", PACK, "--kaggle", "--dataset", DATASET)

PHONES = """
import socket
try:
    socket.create_connection(("telemetry.example.org", 443), 2)
except OSError:
    pass
import subprocess
subprocess.call(["true", "https://me:secret@git.example.org/x.git"])
"""

pytestmark = [pytest.mark.root, pytest.mark.skipif(bool(missing()), reason=missing() or "sandboxes work")]


def test_the_line_and_the_imports_are_proven_in_the_pinned_image_without_internet_and_remembered(desk: Desk) -> None:
    pack = desk.pack(alpha="VERSION = 1\n", phones=PHONES)
    desk.good(*PUSH)
    image = "sha256:" + "d" * 64
    said = desk.good(*REHEARSE, "--accelerator", "gpu", "--image", image, "--json").json
    assert (said["id"], said["where"], said["ok"]) == (pack.id, "kaggle", True)
    assert [(one["module"], one["ok"]) for one in said["imports"]] == [("alpha", True), ("phones", True)]
    assert [one["host"] for one in said["network"]] == ["telemetry.example.org", "git.example.org"]
    assert "phones" in said["network"][0]["by"]
    assert said["network"][1]["by"] == "phones (phones.py:8) → the program true"
    assert any("other programs than Python" in note for note in said["notes"])
    assert said["steps"][0]["name"] == "line"
    assert said["peak_memory"] > 0
    asked = desk.kaggle.said("SaveKernel")[0]
    assert (asked["slug"], asked["isPrivate"], asked["enableInternet"]) == ("me/tiny-rehearsal", True, False)
    assert asked["datasetDataSources"] == [DATASET]
    assert asked["dockerImage"] == f"gcr.io/kaggle-gpu-images/python@{image}"
    ledger = json.loads((desk.folder / "dist" / "tiny.ledger.json").read_text())
    assert ledger["rehearsed"]["kaggle"]["ok"] is True


def test_what_does_not_work_there_fails_in_one_screen(desk: Desk) -> None:
    desk.pack(alpha="", broken="import nothing_of_this_name\n", dies="import os\nos.kill(os.getpid(), 9)\n", last="")
    desk.good(*PUSH)
    done = desk.kpack(*REHEARSE)
    assert done.code == 1
    assert "FAILED broken (of alpha): ModuleNotFoundError: No module named 'nothing_of_this_name'" in done.out
    assert "FAILED dies (of alpha): the process ended with signal 9" in done.out
    assert "imports: 2 of 4 modules" in done.out
    assert "it does not work" in done.out
    assert len(done.out.splitlines()) <= 24


def test_a_dataset_with_another_pack_is_refused_before_a_notebook_runs(desk: Desk) -> None:
    absent = desk.pack()
    done = desk.kpack(*REHEARSE)
    assert done.code == 1
    assert "kpack push first" in done.err
    desk.good(*PUSH)
    desk.pack("1.1")
    done = desk.kpack(*REHEARSE)
    assert done.code == 1
    assert absent.id[:12] in done.err
    assert not desk.kaggle.said("SaveKernel")


def test_the_output_of_the_builder_can_be_attached_instead(desk: Desk, tmp_path: Path) -> None:
    pack = desk.pack()
    run = Run({"slug": "me/tiny-builder", "newTitle": "tiny builder"}, queued=0)
    run.ran = Ran(ok=True, outputs={"dist/tiny.kpack.bin": pack.path})
    run.done.set()
    desk.kaggle.kernels["me/tiny-builder"] = [run]
    assert desk.good("rehearse", PACK, "--kaggle", "--builder", "--json").json["ok"]
    assert desk.kaggle.said("SaveKernel")[0]["kernelDataSources"] == ["me/tiny-builder"]


def test_ones_own_notebook_runs_when_it_has_the_line_of_this_pack(desk: Desk) -> None:
    pack = desk.pack()
    desk.good(*PUSH)
    place = desk.folder / "mine.ipynb"
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("import alpha")])
    nbformat.write(notebook, place)
    wrong = desk.kpack(*REHEARSE, "--notebook", "mine.ipynb")
    assert wrong.code == 2
    assert "kpack bootstrap" in wrong.err
    notebook.cells.insert(0, nbformat.v4.new_code_cell(pack.line))
    nbformat.write(notebook, place)
    said = desk.good(*REHEARSE, "--notebook", "mine.ipynb", "--json").json
    assert (said["ok"], said["steps"][0]["name"]) == (True, "notebook")
    notebook.cells.append(nbformat.v4.new_code_cell("1 / 0"))
    nbformat.write(notebook, place)
    failed = desk.kpack(*REHEARSE, "--notebook", "mine.ipynb")
    assert failed.code == 1
    assert "ZeroDivisionError" in failed.out
    assert "nobody reached" not in failed.out


def test_words_that_do_not_go_together_are_refused(desk: Desk) -> None:
    desk.pack()
    assert desk.kpack(*REHEARSE, "--real", "needed").code == 2
    assert desk.kpack("rehearse", PACK, "--builder").code == 2
