"""Where an environment stands, from its file to Kaggle."""

from __future__ import annotations

import json
import shutil
import sys
from typing import TYPE_CHECKING, Any

import pytest

from kpack import ledger, standing
from tests.publish.conftest import DATASET, Desk, desk, terminal
from tests.support.kaggle import Fault, Kaggle
from tests.support.wheels import make_wheel

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.terminal import Terminal

__all__ = ["desk", "terminal"]

SERIES = f"{sys.version_info[0]}.{sys.version_info[1]}"


def write(desk: Desk, version: str = "1.0", *, dataset: str | None = DATASET) -> None:
    wheel = make_wheel(desk.folder / "wheels", "alpha", version)
    text = f'name = "tiny"\npython = "{SERIES}"\npackages = ["./wheels/{wheel.name}"]\n'
    if dataset:
        text += f'\n[publish]\ndataset = "{dataset}"\n'
    desk.folder.joinpath("kaggle-env.toml").write_text(text)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, terminal: Terminal) -> Path:
    """Return a folder with a lock and the pack of it, made once."""
    folder, sessions = tmp_path_factory.mktemp("made"), tmp_path_factory.mktemp("kaggle")
    with Kaggle(sessions) as kaggle:
        desk = Desk(folder, kaggle, terminal)
        write(desk)
        desk.good("lock")
        desk.good("build")
    return folder


@pytest.fixture
def built(desk: Desk, made: Path) -> Desk:
    """Return a desk with a copy of it."""
    shutil.copytree(made, desk.folder, dirs_exist_ok=True)
    return desk


def stands(desk: Desk, *words: str) -> Any:
    return desk.good("status", *words, "--json").json


def passed(desk: Desk, *, ok: bool = True, where: str = "local", id: str | None = None) -> None:  # noqa: A002
    pack = desk.folder / "dist" / "tiny.kpack.bin"
    ledger.remember(pack, ledger.Rehearsed(id=id or stands(desk, "--offline")["pack"]["id"], where=where, ok=ok))


def test_each_step_is_followed_by_the_next_one(desk: Desk) -> None:
    write(desk)
    assert stands(desk)["next"] == ["kpack", "lock"]
    assert stands(desk)["lock"]["fresh"] is False
    desk.good("lock")
    assert stands(desk)["next"] == ["kpack", "build"]
    built = desk.good("build")
    assert "next: kpack rehearse" in built.err
    assert not desk.kaggle.calls
    found = stands(desk, "--offline")
    assert found["next"] == ["kpack", "rehearse"]
    assert found["pack"]["of_lock"] is True
    assert found["rehearsed"] is None
    passed(desk)
    assert stands(desk)["next"] == ["kpack", "push"]
    assert "next: kpack rehearse --kaggle" in desk.good("push").err
    found = stands(desk)
    assert found["dataset"] == {
        "ref": DATASET, "version": 1, "id": found["pack"]["id"], "mountable": True, "asked": True, "note": None,
    }  # fmt: skip
    assert found["next"] == ["kpack", "rehearse", "--kaggle"]
    assert found["rehearsed"]["ok"] is True
    passed(desk, where="kaggle")
    assert stands(desk)["next"][:2] == ["kpack", "bootstrap"]


def test_rehearsal_of_another_pack_or_one_that_failed_does_not_count(built: Desk) -> None:
    passed(built, id="0" * 64)
    assert stands(built, "--offline")["next"] == ["kpack", "rehearse"]
    passed(built, ok=False)
    assert stands(built, "--offline")["next"] == ["kpack", "rehearse"]
    text = built.good("status", "--offline").out
    assert "local FAILED" in text
    assert "(this pack)" in text
    passed(built, where="container")
    assert stands(built, "--offline")["next"] == ["kpack", "push"]
    known = built.folder / "dist" / "tiny.ledger.json"
    text = known.read_text()
    known.write_text(text.replace('"at": "20', '"at": "19', 1))  # the container's is the first row, and older now
    assert stands(built, "--offline")["next"] == ["kpack", "rehearse"]


def test_changed_file_and_changed_lock_are_seen(built: Desk) -> None:
    write(built, "2.0")
    found = stands(built, "--offline")
    assert found["lock"]["fresh"] is False
    assert "alpha" in " ".join(found["lock"]["stale"])
    assert found["pack"]["of_lock"] is True
    built.good("lock")
    found = stands(built, "--offline")
    assert (found["lock"]["fresh"], found["pack"]["of_lock"]) == (True, False)
    assert found["next"] == ["kpack", "build"]


def test_damaged_pack_is_built_again(built: Desk) -> None:
    built.folder.joinpath("dist", "tiny.kpack.bin").write_bytes(b"no pack")
    found = stands(built, "--offline")
    assert (found["pack"]["id"], found["next"]) == (None, ["kpack", "build"])
    assert "damaged" in found["pack"]["problem"]


def test_old_pack_on_kaggle_is_pushed_anew(built: Desk) -> None:
    built.good("push")
    write(built, "2.0")
    built.good("lock")
    built.good("build")
    passed(built)
    found = stands(built)
    assert found["dataset"]["id"] not in (None, found["pack"]["id"])
    assert found["next"] == ["kpack", "push"]
    assert "another pack, id" in built.good("status").out


def test_without_credentials_it_says_so_and_what_the_last_push_saw(built: Desk) -> None:
    built.good("push")
    asked = len(built.kaggle.calls)
    found = json.loads(built.good("status", "--json", KAGGLE_API_TOKEN="").out)
    assert len(built.kaggle.calls) == asked
    assert found["dataset"]["asked"] is False
    assert (found["dataset"]["version"], found["dataset"]["id"]) == (1, found["pack"]["id"])
    assert found["dataset"]["note"]


def test_kaggle_that_does_not_answer_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", _sleeper(tmp_path))
    said = standing.ask(tmp_path / "pack", DATASET, patience=0.2)
    assert said.error == "Kaggle did not answer within 0.2 s"


def _sleeper(folder: Path) -> str:
    program = folder / "python"
    program.write_text("#!/bin/sh\nexec sleep 600\n")
    program.chmod(0o755)
    return str(program)


def test_kaggle_that_fails_is_said(built: Desk) -> None:
    built.kaggle.faults["GetDatasetStatus"] = [Fault(status=401, message="expired")] * 9
    found = stands(built)
    assert found["dataset"]["asked"] is False
    assert "expired" in found["dataset"]["note"] or "credentials" in found["dataset"]["note"]


def test_file_without_a_dataset_names_the_words(desk: Desk) -> None:
    write(desk, dataset=None)
    desk.good("lock")
    desk.good("build")
    passed(desk)
    found = stands(desk)
    assert found["dataset"] is None
    assert found["next"] == ["kpack", "push", "--dataset", "OWNER/SLUG"]
    assert "none is named" in desk.good("status").out


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{", '{"kpack-ledger": 1, "rehearsed": 3, "pushed": []}', '{"kpack-ledger": 2}',
     '{"kpack-ledger": 1, "rehearsed": {"local": {"id": 3, "where": "local", "ok": 1, "at": null}}}', "[" * 100_000],
)  # fmt: skip
def test_ledger_that_is_none_counts_for_nothing(tmp_path: Path, text: str) -> None:
    pack = tmp_path / "x.kpack.bin"
    ledger.path_of(pack).write_text(text)
    assert ledger.rehearsals(pack) == ()
    assert ledger.pushed(pack) is None
    ledger.remember(pack, ledger.Pushed(id="a", ref="me/x", version=1, mountable=True))
    found = ledger.pushed(pack)
    assert found is not None
    assert (found.ref, found.version, len(found.at)) == ("me/x", 1, 20)


def test_no_file_is_a_usage_error(desk: Desk) -> None:
    assert desk.kpack("status", "--json").code == 2
