from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.publish.conftest import DATASET
from tests.support.kaggle import KEY, TOKEN, Fault

if TYPE_CHECKING:
    from tests.publish.conftest import Desk

PUSH = ("push", "dist/tiny.kpack.bin", "--dataset", DATASET)


def test_the_first_push_makes_a_private_dataset_and_waits_until_it_can_be_mounted(desk: Desk) -> None:
    pack = desk.pack()
    desk.kaggle.ready_after = 2
    said = desk.good(*PUSH, "--json").json
    assert said == {
        "dataset": DATASET,
        "version": 1,
        "changed": True,
        "mountable": True,
        "id": pack.id,
        "line": pack.line,
        "attach": [{"kind": "dataset", "ref": DATASET, "version": 1}],
    }
    dataset = desk.kaggle.datasets[DATASET]
    assert dataset.private
    assert (dataset.title, dataset.license) == ("tiny env", "other")
    assert desk.stored == pack.path.read_bytes()
    assert desk.kaggle.said("CreateDataset")[0]["isPrivate"] is True
    assert not any((desk.folder / "cache" / "uploads").iterdir())


def test_an_unchanged_pack_sends_nothing(desk: Desk) -> None:
    desk.pack()
    desk.good(*PUSH)
    puts = len(desk.kaggle.puts)
    again = desk.good(*PUSH, "--json", KPACK_CACHE=str(desk.folder / "another machine")).json
    assert (again["version"], again["changed"], again["mountable"]) == (1, False, True)
    assert len(desk.kaggle.puts) == puts
    assert not desk.kaggle.said("CreateDatasetVersion")


@pytest.mark.parametrize("shows", ["content", "descriptions", "notes"])
def test_whether_it_is_unchanged_is_read_off_whatever_kaggle_shows(desk: Desk, shows: str) -> None:
    desk.pack("0.9")
    desk.good(*PUSH)
    desk.pack()
    desk.good(*PUSH)
    desk.kaggle.hides_content = shows != "content"
    desk.kaggle.hides_descriptions = shows != "descriptions"
    if shows != "notes":
        desk.kaggle.datasets[DATASET].versions[-1].notes = "written by somebody"
    assert desk.good(*PUSH, "--json").json["changed"] is False


def test_a_pack_of_the_same_size_and_another_id_is_a_new_version(desk: Desk) -> None:
    old = desk.pack("1.0")
    desk.good(*PUSH)
    new = desk.pack("1.1")
    assert old.size == new.size
    said = desk.good(*PUSH, "--json").json
    assert (said["version"], said["changed"], said["id"]) == (2, True, new.id)
    assert desk.stored == new.path.read_bytes()
    body = desk.kaggle.said("CreateDatasetVersion")[0]["body"]
    assert new.id in body["versionNotes"]
    assert "isPrivate" not in json.dumps(body)


def test_a_broken_upload_goes_on_where_it_broke(desk: Desk) -> None:
    pack = desk.pack(size=4_000_000)
    desk.kaggle.breaks = [1_000_000, 500_000]
    assert desk.good(*PUSH, "--json").json["changed"]
    assert desk.stored == pack.path.read_bytes()
    # Sent, asked, sent the rest, asked, sent the rest: every byte once.
    received = [count for _, count in desk.kaggle.puts]
    assert received == [1_000_000, 0, 500_000, 0, pack.size - 1_500_000]
    assert desk.kaggle.puts[1][0] == f"bytes */{pack.size}"
    assert len(desk.kaggle.said("StartBlobUpload")) == 1


def test_a_run_that_gave_up_is_gone_on_with_by_the_next(desk: Desk) -> None:
    pack = desk.pack(size=4_000_000)
    desk.kaggle.breaks = [1_000_000, *[0] * 10]
    done = desk.kpack(*PUSH)
    assert done.code == 4
    assert "run the same command again" in done.err
    memory = next((desk.folder / "cache" / "uploads").iterdir())
    assert memory.stat().st_mode & 0o077 == 0
    desk.kaggle.breaks = []
    desk.kaggle.puts.clear()
    desk.good(*PUSH)
    assert [count for _, count in desk.kaggle.puts] == [0, pack.size - 1_000_000]
    assert len(desk.kaggle.said("StartBlobUpload")) == 1
    assert desk.stored == pack.path.read_bytes()


def test_ctrl_c_ends_an_upload_at_once_and_the_next_push_sends_the_rest(desk: Desk) -> None:
    pack = desk.pack(size=4_000_000)
    before = sorted((desk.folder / "dist").iterdir())
    desk.kaggle.stalls = 1_000_000
    command = [sys.executable, "-m", "kpack", *PUSH, "--json"]
    with subprocess.Popen(
        command, cwd=desk.folder, env=desk.surroundings, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as push:
        assert desk.kaggle.stalled.wait(120)
        push.send_signal(signal.SIGINT)
        out, err = push.communicate(timeout=60)
    assert push.returncode == 130, err
    error = json.loads(out)["error"]
    assert (error["code"], error["what"]) == (130, "stopped")
    assert error["next"] == "run kpack push again: it goes on where the upload stopped"
    assert "Traceback" not in err
    assert not list((desk.folder / "cache").rglob("*.claim"))
    assert sorted((desk.folder / "dist").iterdir()) == before
    assert DATASET not in desk.kaggle.datasets
    desk.kaggle.stalls = None
    desk.kaggle.let_go.set()
    desk.kaggle.puts.clear()
    desk.good(*PUSH)
    assert [count for _, count in desk.kaggle.puts][-1] == pack.size - 1_000_000
    assert len(desk.kaggle.said("StartBlobUpload")) == 1
    assert desk.stored == pack.path.read_bytes()


def test_an_upload_that_kaggle_forgot_begins_anew(desk: Desk) -> None:
    pack = desk.pack(size=4_000_000)
    desk.kaggle.breaks = [1_000_000, *[0] * 10]
    assert desk.kpack(*PUSH).code == 4
    desk.kaggle.breaks = []
    desk.kaggle.blobs = {"old": next(iter(desk.kaggle.blobs.values()))}
    desk.good(*PUSH)
    assert desk.stored == pack.path.read_bytes()


def test_a_version_that_is_not_ready_in_time_is_waited_for_by_the_next_run(desk: Desk) -> None:
    desk.pack()
    desk.kaggle.ready_after = 1000
    late = desk.kpack(*PUSH, "--wait", "0.01")
    assert late.code == 4
    assert "kpack push again" in late.err
    desk.kaggle.datasets[DATASET].versions[-1].pending = 1
    said = desk.good(*PUSH, "--json").json
    assert (said["version"], said["mountable"]) == (1, True)
    assert len(desk.kaggle.said("CreateDataset")) == 1
    assert len(desk.kaggle.said("StartBlobUpload")) == 1


def test_a_version_that_another_machine_sent_is_waited_for(desk: Desk) -> None:
    desk.pack("0.9")
    desk.good(*PUSH)
    desk.pack()
    desk.kaggle.ready_after = 1000
    desk.good(*PUSH, "--wait", "0")
    desk.kaggle.datasets[DATASET].versions[-1].pending = 3
    said = desk.good(*PUSH, "--json", KPACK_CACHE=str(desk.folder / "another machine")).json
    assert (said["version"], said["mountable"]) == (2, True)
    assert len(desk.kaggle.said("StartBlobUpload")) == 2


def test_without_waiting_it_says_that_it_cannot_be_mounted_yet(desk: Desk) -> None:
    desk.pack()
    desk.kaggle.ready_after = 1000
    said = desk.good(*PUSH, "--wait", "0", "--json").json
    assert (said["changed"], said["mountable"], said["version"]) == (True, False, 1)


def test_dry_run_prints_the_requests_and_sends_none(desk: Desk) -> None:
    pack = desk.pack()
    said = desk.good(*PUSH, "--dry-run", "--json").json
    calls = [request["call"] for request in said["requests"]]
    assert calls[0] == "blobs.BlobApiService/StartBlobUpload"
    assert calls[-1] == "datasets.DatasetApiService/CreateDataset"
    assert said["requests"][-1]["body"]["isPrivate"] is True
    assert f"{pack.size} bytes" in said["requests"][1]["body"]
    assert not desk.kaggle.datasets
    assert not desk.kaggle.puts
    assert {call.method for call in desk.kaggle.calls} <= {"IntrospectToken", "GetDatasetStatus"}


def test_a_busy_kaggle_is_asked_again(desk: Desk) -> None:
    desk.pack()
    desk.kaggle.faults = {
        "GetDatasetStatus": [Fault(503, "busy"), Fault(429, "slow down", (("Retry-After", "0"),))],
        "CreateDataset": [Fault(429, "slow down", (("Retry-After", "0"),))],
    }
    desk.good(*PUSH)
    assert len(desk.kaggle.datasets[DATASET].versions) == 1


@pytest.mark.parametrize("old", [True, False], ids=["another version", "a new dataset"])
def test_a_version_whose_answer_was_lost_is_not_made_twice(desk: Desk, old: bool) -> None:
    if old:
        desk.pack()
        desk.good(*PUSH)
    pack = desk.pack(size=10_000)
    method = "create_dataset_version" if old else "create_dataset"
    make = getattr(desk.kaggle, method)

    def made(body: dict[str, Any]) -> Fault:
        make(body)
        return Fault(502, "bad gateway")

    setattr(desk.kaggle, method, made)
    assert desk.good(*PUSH, "--json").json["changed"]
    assert len(desk.kaggle.datasets[DATASET].versions) == 1 + old
    assert desk.stored == pack.path.read_bytes()


def test_a_version_that_was_not_made_is_asked_for_again(desk: Desk) -> None:
    desk.pack()
    desk.kaggle.faults = {"CreateDataset": [Fault(502, "bad gateway"), Fault(503, "busy")]}
    desk.good(*PUSH)
    assert len(desk.kaggle.datasets[DATASET].versions) == 1


@pytest.mark.parametrize(
    ("fault", "code", "word"),
    [
        (Fault(409, "Another version is being created"), 4, "Another version is being created"),
        (Fault(409, "Another version is being created"), 4, "wait a minute"),
        (Fault(403, "Permission 'datasets.create' was denied"), 4, "datasets.create"),
        (
            Fault(answer={"status": "error", "error": "You exceeded your private dataset quota of 200 GB"}),
            4,
            "settings",
        ),
        (Fault(answer={"status": "error", "error": 'The requested title "x" is already in use'}), 2, "another slug"),
    ],
)
def test_a_refusal_has_kaggles_words_and_an_exit_code(desk: Desk, fault: Fault, code: int, word: str) -> None:
    desk.pack()
    desk.kaggle.faults = {"CreateDataset": [fault]}
    done = desk.kpack(*PUSH, "--json")
    assert done.code == code
    assert word in done.error["what"] + done.error["next"]


def test_a_slug_that_is_taken_by_others_is_said_so(desk: Desk) -> None:
    desk.pack()
    desk.kaggle.taken = {DATASET}
    done = desk.kpack(*PUSH)
    assert done.code == 2
    assert "already in use" in done.err


def test_a_version_that_kaggle_cannot_process_fails(desk: Desk) -> None:
    desk.pack()
    desk.kaggle.fails = True
    done = desk.kpack(*PUSH)
    assert done.code == 4
    assert "failed" in done.err
    desk.kaggle.fails = False
    desk.good(*PUSH)
    assert len(desk.kaggle.said("StartBlobUpload")) == 2


def test_what_kaggle_has_is_held_against_what_was_sent(desk: Desk) -> None:
    desk.pack()
    desk.kaggle.datasets.clear()
    desk.kaggle.faults = {
        "DownloadDataset": [Fault(answer={}), Fault(answer={})],
        "ListDatasetFiles": [Fault(answer={"datasetFiles": [{"name": "tiny.kpack/kpack.json", "totalBytes": 3}]})] * 2,
    }
    done = desk.kpack(*PUSH)
    assert done.code == 5
    assert "tiny.kpack/kpack.json (3 bytes)" in done.err


@pytest.mark.parametrize("debug", [False, True])
def test_an_expired_token_is_said_so_and_never_shown(desk: Desk, debug: bool) -> None:
    desk.pack()
    desk.kaggle.expired = True
    done = desk.kpack(*PUSH, debug=debug)
    assert "KAGGLE_API_TOKEN" in done.err
    assert "expired" in done.err
    assert debug or done.code == 4


def test_no_credentials_are_said_so(desk: Desk) -> None:
    desk.pack()
    done = desk.kpack(*PUSH, KAGGLE_API_TOKEN="")
    assert done.code == 2
    assert "kaggle auth login" in done.err


@pytest.mark.parametrize("debug", [False, True])
def test_no_credential_is_in_any_output_when_all_goes_wrong(desk: Desk, debug: bool) -> None:
    desk.pack()
    # The canary test itself is in Desk.kpack. The uploads' address is a credential for them, too.
    desk.kaggle.breaks = [0] * 20
    assert desk.kpack(*PUSH, debug=debug, VERBOSE="1").code == (1 if debug else 4)
    desk.kaggle.breaks = []
    desk.kaggle.faults = {"CreateDataset": [Fault(400, f"bad token {TOKEN} in request")]}
    assert desk.kpack(*PUSH, debug=debug, VERBOSE="1").code == (1 if debug else 4)


@pytest.mark.parametrize(("name", "secret"), [("access_token", TOKEN), ("kaggle.json", KEY)])
def test_no_credential_of_a_file_is_shown_either(desk: Desk, name: str, secret: str) -> None:
    text = json.dumps({"username": "me", "key": secret}) if name.endswith(".json") else secret
    desk.pack()
    folder = Path(desk.kaggle.environment["HOME"]) / ".kaggle"
    folder.mkdir()
    (folder / name).write_text(text)
    desk.kaggle.faults = {"CreateDataset": [Fault(400, f"bad {secret} in request")]}
    done = desk.kpack(*PUSH, debug=True, KAGGLE_API_TOKEN="", KAGGLE_CONFIG_DIR=str(folder))
    assert "bad" in done.err
    desk.good(*PUSH, KAGGLE_API_TOKEN="", KAGGLE_CONFIG_DIR=str(folder))


@pytest.mark.parametrize(
    ("method", "answer"),
    [
        ("GetDatasetStatus", {"status": "A_NEW_WORD"}),
        ("GetDataset", {"currentVersionNumber": "one"}),
        ("GetDataset", {"currentVersionNumber": 1, "versions": [{"versionNumber": "x"}]}),
        ("ListDatasetFiles", {"datasetFiles": [{"name": ["tiny.kpack.bin"]}]}),
        ("StartBlobUpload", {"token": 5, "createUrl": "http://127.0.0.1:9/"}),
        ("CreateDatasetVersion", {"status": ["error"], "error": {}}),
    ],
)
def test_an_answer_that_is_not_kaggles_is_a_network_error(desk: Desk, method: str, answer: dict[str, object]) -> None:
    desk.pack("0.9", size=256)
    if method != "GetDatasetStatus":
        desk.good(*PUSH)
        desk.pack(size=256)
    desk.kaggle.faults = {method: [Fault(answer=answer)]}
    done = desk.kpack(*PUSH)
    assert done.code == 4, done.err
    assert "does not understand" in done.err


def test_uploads_that_kaggle_opens_and_does_not_know_are_not_opened_for_ever(desk: Desk) -> None:
    desk.pack(size=256)
    opened: dict[str, object] = {"token": "canary", "createUrl": f"{desk.kaggle.url}/upload/none"}
    desk.kaggle.faults = {"StartBlobUpload": [Fault(answer=opened)] * 9}
    done = desk.kpack(*PUSH)
    assert done.code == 4
    assert "it opened 3 uploads and knows none of them" in done.err
    desk.kaggle.faults = {"StartBlobUpload": [Fault(answer={**opened, "createUrl": "no address"})] * 9}
    done = desk.kpack(*PUSH)
    assert done.code == 4
    assert "an address that nothing can be sent to" in done.err


def test_an_api_key_signs_in_too(desk: Desk) -> None:
    desk.pack()
    desk.good(*PUSH, KAGGLE_API_TOKEN="", KAGGLE_USERNAME="me", KAGGLE_KEY=KEY)
    assert desk.kaggle.datasets


def test_an_unreachable_kaggle_is_a_network_error(desk: Desk) -> None:
    desk.pack()
    done = desk.kpack(*PUSH, HTTP_PROXY="http://127.0.0.1:9", http_proxy="http://127.0.0.1:9")
    assert done.code == 4
    assert "cannot be reached" in done.err


@pytest.mark.parametrize(
    ("ref", "word"),
    [("me/abc", "3 characters"), ("me/a--bcdefg", "a-bcdefg"), ("tiny-env", "owner/slug")],
)
def test_a_name_that_kaggle_does_not_take_is_refused_before_anything_is_asked(desk: Desk, ref: str, word: str) -> None:
    desk.pack()
    done = desk.kpack("push", "dist/tiny.kpack.bin", "--dataset", ref)
    assert done.code == 2
    assert word in done.err
    assert not desk.kaggle.calls


def test_a_pack_that_is_cut_short_is_refused_before_anything_is_asked(desk: Desk) -> None:
    pack = desk.pack()
    pack.path.write_bytes(pack.path.read_bytes()[:-512])
    done = desk.kpack(*PUSH)
    assert done.code == 5
    assert not desk.kaggle.calls


def test_a_renamed_pack_is_sent_under_the_name_that_the_line_looks_for(desk: Desk) -> None:
    pack = desk.pack()
    pack.path.rename(desk.folder / "renamed (1).bin")
    desk.good("push", "renamed (1).bin", "--dataset", DATASET)
    assert list(desk.kaggle.datasets[DATASET].versions[0].files) == ["tiny.kpack.bin"]
