"""``hf://``: pinned to a commit, laid out so that the Hub's own client finds it offline."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from kpack.checkpoints import LockedCheckpoint, clients, variables
from kpack.errors import IntegrityError, NetworkError, UsageError
from kpack.hubs import hub_address
from tests.checkpoints.conftest import Bench, ask
from tests.checkpoints.servers import put_repository
from tests.support.certificates import self_signed, served
from tests.support.origin import Fault, Origin, Seen

if TYPE_CHECKING:
    from pathlib import Path


huggingface_hub = pytest.importorskip("huggingface_hub", reason="needs the extra hf")

FILES = {
    "config.json": b'{"a": 1}',
    "model.safetensors": b"weights" * 5000,
    "onnx/model.onnx": b"onnx" * 100,
    "tokenizer.json": b"{}",
}
LARGE = ("model.safetensors", "onnx/model.onnx")


@pytest.fixture(autouse=True)
def hub(origin: Origin, monkeypatch: pytest.MonkeyPatch) -> None:
    template = origin.url + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", origin.url)
    for module in ("constants", "file_download"):  # some versions keep a copy in the second
        monkeypatch.setattr(f"huggingface_hub.{module}.HUGGINGFACE_CO_URL_TEMPLATE", template, raising=False)


def restored(bench: Bench, locked: tuple[LockedCheckpoint, ...], folder: Path) -> Path:
    """Lay the files out as a restore does."""
    fetched = bench.fetch(*locked)
    for item in locked:
        path = folder / item.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(fetched[item.sha256].path.read_bytes())
    return folder


def test_whole_repository_lands_in_the_cache_layout_and_is_found_offline(
    bench: Bench, origin: Origin, tmp_path: Path
) -> None:
    commit = put_repository(origin, "org/repo", FILES, large=LARGE)
    locked = bench.lock(ask("hf://org/repo", path=None))
    root = "huggingface/hub/models--org--repo"
    assert [item.path for item in locked] == [
        f"{root}/refs/main",
        *(f"{root}/snapshots/{commit}/{name}" for name in sorted(FILES)),
    ]
    assert locked[1].urls == (f"hf://org/repo@{commit}/config.json#main",)
    assert [item.note for item in locked if item.note] == [f"org/repo: main is commit {commit}"]
    folder = restored(bench, locked, tmp_path / "kaggle")
    set_ = {name: value.replace("{directory}", str(folder)) for name, value in variables(locked).items()}
    assert set_ == {"HF_HUB_CACHE": f"{folder}/huggingface/hub", "HF_HUB_OFFLINE": "1"}
    code = (
        "import huggingface_hub as h, json\n"
        "found = [h.hf_hub_download('org/repo', name) for name in ('config.json', 'onnx/model.onnx')]\n"
        f"found.append(h.hf_hub_download('org/repo', 'config.json', revision='{commit}'))\n"
        "found.append(h.try_to_load_from_cache('org/repo', 'tokenizer.json'))\n"
        "found.append(h.snapshot_download('org/repo'))\n"
        "print(json.dumps(found))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **set_, "HF_ENDPOINT": "http://127.0.0.1:9", "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    snapshot = f"{folder}/{root}/snapshots/{commit}"
    assert found == [
        *(f"{snapshot}/{name}" for name in ("config.json", "onnx/model.onnx", "config.json", "tokenizer.json")),
        snapshot,
    ]


@pytest.mark.parametrize("capitals", [False, True])
def test_large_files_are_locked_by_what_the_hub_says_and_fetched_at_build(
    bench: Bench, origin: Origin, capitals: bool
) -> None:
    put_repository(origin, "org/repo", FILES, large=LARGE, capitals=capitals)
    locked = bench.lock(ask("hf://org/repo", path=None))
    assert not any(seen.path.startswith("/lfs/") for seen in origin.seen)
    weights = next(item for item in locked if item.path.endswith("model.safetensors"))
    assert weights.sha256 == hashlib.sha256(FILES["model.safetensors"]).hexdigest()
    assert weights.size == len(FILES["model.safetensors"])
    assert bench.fetch(weights)[weights.sha256].path.read_bytes() == FILES["model.safetensors"]
    assert any(seen.path.startswith("/lfs/") for seen in origin.seen)


def test_size_that_the_hub_does_not_know_is_that_of_the_file(bench: Bench, origin: Origin) -> None:
    files = {**FILES, "empty.txt": b""}
    put_repository(origin, "org/repo", files, large=(*LARGE, "empty.txt"), measured=False)
    locked = bench.lock(ask("hf://org/repo", path=None, include=("*.safetensors", "*.txt")))
    sizes = {item.path.rpartition("/")[2]: item.size for item in locked}
    assert (sizes["model.safetensors"], sizes["empty.txt"]) == (len(FILES["model.safetensors"]), 0)
    weights = next(item for item in locked if item.path.endswith("model.safetensors"))
    assert bench.fetch(weights)[weights.sha256].path.read_bytes() == FILES["model.safetensors"]


@pytest.mark.parametrize("listed", ["c" * 40, "sha256:" + "c" * 64, '"' + "c" * 64 + '"', "", "g" * 64, None, 7])
def test_what_the_hub_lists_and_is_no_sha256_is_found_out_by_a_fetch(
    bench: Bench, origin: Origin, listed: object
) -> None:
    commit = put_repository(origin, "org/repo", FILES, large=LARGE)
    for revision in ("main", commit):
        at = f"/api/models/org/repo/revision/{revision}"
        info = json.loads(origin.files[at])
        for sibling in info["siblings"]:
            if "lfs" in sibling:
                sibling["lfs"]["sha256"] = listed
        origin.files[at] = json.dumps(info).encode()
    for url, path in (("hf://org/repo", None), ("hf://org/repo/model.safetensors", "model.safetensors")):
        locked = bench.lock(ask(url, path=path))
        weights = next(item for item in locked if item.path.endswith("model.safetensors"))
        assert weights.sha256 == hashlib.sha256(FILES["model.safetensors"]).hexdigest()
        assert weights.size == len(FILES["model.safetensors"])


def test_patterns_choose_files(bench: Bench, origin: Origin) -> None:
    put_repository(origin, "org/repo", FILES, large=LARGE)
    locked = bench.lock(ask("hf://org/repo@main", path=None, include=("*.json", "onnx/")))
    names = sorted(item.path.rpartition("/")[2] for item in locked)
    assert names == ["config.json", "main", "model.onnx", "tokenizer.json"]
    with pytest.raises(UsageError, match="no file there matches") as caught:
        bench.lock(ask("hf://org/repo", path=None, include=("*.bin",)))
    assert "config.json" in caught.value.next


def test_repository_with_a_path_lands_flat_below_it(bench: Bench, origin: Origin) -> None:
    put_repository(origin, "org/repo", FILES, large=LARGE)
    locked = bench.lock(ask("hf://org/repo", path="models/mine"))
    assert [item.path for item in locked] == [f"models/mine/{name}" for name in sorted(FILES)]
    assert variables(locked) == {}
    (folder,) = bench.lock(ask("hf://org/repo/onnx/", path="models/onnx"))
    assert folder.path == "models/onnx/model.onnx"


def test_one_file_is_pinned_to_the_commit_and_stays_there(bench: Bench, origin: Origin) -> None:
    commit = put_repository(origin, "org/repo", FILES, large=LARGE)
    (locked,) = bench.lock(ask("hf://org/repo/config.json", path="c.json"))
    assert locked.urls == (f"hf://org/repo@{commit}/config.json#main",)
    newer = put_repository(origin, "org/repo", {**FILES, "config.json": b"{}"}, large=LARGE)
    asked = len(origin.seen)
    assert bench.lock(ask("hf://org/repo/config.json", path="c.json"), known=[locked]) == (
        LockedCheckpoint(path="c.json", urls=locked.urls, sha256=locked.sha256, size=locked.size),
    )
    assert len(origin.seen) == asked
    (moved,) = bench.lock(ask("hf://org/repo/config.json", path="c.json"))
    assert newer in moved.urls[0]
    assert bench.empty().fetch(locked)[locked.sha256].path.read_bytes() == FILES["config.json"]


def test_repository_keeps_the_commit_of_the_old_lock(bench: Bench, origin: Origin) -> None:
    commit = put_repository(origin, "org/repo", FILES, large=LARGE)
    known = bench.lock(ask("hf://org/repo", path=None))
    put_repository(origin, "org/repo", {**FILES, "config.json": b"{}"}, large=LARGE)
    again = bench.lock(ask("hf://org/repo", path=None), known=known)
    assert [(item.path, item.sha256) for item in again] == [(item.path, item.sha256) for item in known]
    assert all(commit in item.urls[0] for item in again)
    let_go = bench.lock(ask("hf://org/repo", path=None), known=known, renew=frozenset({"hf://org/repo"}))
    assert not any(commit in item.urls[0] for item in let_go)


def test_commit_and_tag_are_found_by_their_name_and_by_main(bench: Bench, origin: Origin) -> None:
    commit = put_repository(origin, "org/repo", FILES, revisions=("v1.0",))
    root = "huggingface/hub/models--org--repo/refs"
    tagged = bench.lock(ask("hf://org/repo@v1.0", path=None))
    assert {item.path for item in tagged if "/refs/" in item.path} == {f"{root}/main", f"{root}/v1.0"}
    pinned = bench.lock(ask(f"hf://org/repo@{commit}", path=None), strict=True)
    assert {item.path for item in pinned if "/refs/" in item.path} == {f"{root}/main"}
    assert pinned[1].urls == (f"hf://org/repo@{commit}/config.json",)


def test_main_that_is_asked_for_wins_over_main_as_an_alias(bench: Bench, origin: Origin) -> None:
    put_repository(origin, "org/repo", FILES, revisions=("v1.0",))
    main = put_repository(origin, "org/repo", {"config.json": b"new"}, revisions=("main",))
    for order in (("v1.0", "main"), ("main", "v1.0")):
        locked = bench.lock(*(ask(f"hf://org/repo@{revision}", path=None) for revision in order))
        ref = next(item for item in locked if item.path.endswith("refs/main"))
        assert ref.urls == (f"data:,{main}",)


def test_datasets_have_their_own_kind(bench: Bench, origin: Origin) -> None:
    commit = put_repository(origin, "org/data", {"a.csv": b"1"}, kind="datasets")
    locked = bench.lock(ask("hf://datasets/org/data", path=None))
    assert f"huggingface/hub/datasets--org--data/snapshots/{commit}/a.csv" in [item.path for item in locked]
    assert bench.empty().fetch(*locked)


def test_strict_wants_a_commit(bench: Bench, origin: Origin) -> None:
    put_repository(origin, "org/repo", FILES)
    with pytest.raises(UsageError, match="strict"):
        bench.lock(ask("hf://org/repo", path=None), strict=True)


def test_token_is_sent_to_the_hub_and_not_to_where_it_redirects(
    bench: Bench, origin: Origin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    commit = put_repository(origin, "org/repo", FILES, large=LARGE)
    elsewhere = origin.url.replace("127.0.0.1", "localhost")
    at = f"/org/repo/resolve/{commit}/model.safetensors"
    origin.redirects[at] = f"{elsewhere}/lfs/{commit}/model.safetensors"
    (locked,) = bench.lock(ask("hf://org/repo/model.safetensors"))
    bench.fetch(locked)
    sent = {seen.path.partition("?")[0]: seen.headers.get("authorization") for seen in origin.seen}
    assert sent[at] == "Bearer hf_secret"
    assert sent[f"/lfs/{commit}/model.safetensors"] is None
    assert "hf_secret" not in repr(locked)


def test_cached_files_need_neither_hub_nor_client(
    bench: Bench, origin: Origin, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_repository(origin, "org/repo", FILES, large=LARGE)
    locked = bench.lock(ask("hf://org/repo", path=None))
    bench.fetch(*locked)
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    assert len(bench.fetch(*locked, offline=True)) == len(FILES) + 1
    with pytest.raises(UsageError, match="huggingface_hub") as caught:
        bench.empty().fetch(*locked)
    assert '"kaggle-kpack[hf]"' in caught.value.next


def test_a_missing_client_is_told_before_anything_takes_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    wanted = (ask("https://host/w.ckpt"), ask("hf://org/repo/model.bin", path="m.bin"))
    with pytest.raises(UsageError, match="huggingface_hub") as caught:
        clients.check(wanted, ())
    assert caught.value.where == "hf://org/repo/model.bin"
    clients.check(wanted, {"m.bin"})


def test_unknown_repository_and_file_are_named(bench: Bench, origin: Origin) -> None:
    put_repository(origin, "org/repo", FILES)
    with pytest.raises(NetworkError, match="Hub"):
        bench.lock(ask("hf://org/nothere", path=None))
    with pytest.raises(UsageError, match="no such file there") as caught:
        bench.lock(ask("hf://org/repo/nothere.bin"))
    assert "config.json" in caught.value.next
    with pytest.raises(NetworkError, match="offline"):
        bench.lock(ask("hf://org/repo", path=None), offline=True)


GATED = (
    ("X-Error-Code", "GatedRepo"),
    ("X-Error-Message", "Access to model org/repo is restricted. You must be authenticated to access it."),
)


@pytest.mark.parametrize(
    ("status", "headers", "what", "advice"),
    [
        (401, GATED, "is restricted", "ask for access on its page"),
        (403, (("X-Error-Message", "Please enable access to public gated repositories"),), "enable", "hf auth login"),
        (404, (("X-Error-Code", "EntryNotFound"),), "status 404", "kpack lock --upgrade"),
    ],
)
def test_the_hub_says_why_it_does_not_give_a_file(
    bench: Bench, origin: Origin, status: int, headers: tuple[tuple[str, str], ...], what: str, advice: str
) -> None:
    put_repository(origin, "org/repo", FILES, large=LARGE)
    (locked,) = bench.lock(ask("hf://org/repo/model.safetensors"))
    for path in list(origin.redirects):
        del origin.redirects[path]
    origin.fault_of = lambda seen: Fault(status=status, headers=headers) if "/resolve/" in seen.path else None
    with pytest.raises(NetworkError, match=what) as caught:
        bench.empty().fetch(locked)
    assert advice in caught.value.next


def test_a_signed_address_that_ran_out_is_asked_for_anew(bench: Bench, origin: Origin) -> None:
    commit = put_repository(origin, "org/repo", FILES, large=LARGE)
    (locked,) = bench.lock(ask("hf://org/repo/model.safetensors"))
    at, stored = f"/org/repo/resolve/{commit}/model.safetensors", f"/lfs/{commit}/model.safetensors"
    signed: list[str] = []

    def sign(seen: Seen) -> None:
        if seen.path == at:
            signed.append(f"{stored}?X-Amz-Expires=3600&X-Amz-Signature={len(signed)}")
            origin.redirects[at] = signed[-1]

    def once(seen: Seen) -> Fault | None:
        if not seen.path.startswith(stored):
            return None
        first = len(signed) == 1
        return Fault(stop_after=100) if first else None if seen.path == signed[-1] else Fault(status=403)

    origin.on_request, origin.fault_of = sign, once
    held = bench.empty().fetch(locked)[locked.sha256]
    assert held.path.read_bytes() == FILES["model.safetensors"]
    assert len(signed) > 1
    assert not any("Signature" in url for url in locked.urls)


def test_a_certificate_that_the_hub_s_client_does_not_trust_is_told_with_its_variable(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_CERT", str(self_signed(tmp_path / "another.pem")))
    with Origin(tls=served(self_signed(tmp_path / "theirs.pem"))) as origin:
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", origin.url)
        with pytest.raises(NetworkError) as caught:
            bench.lock(ask("hf://org/repo"))
    older = int(huggingface_hub.__version__.partition(".")[0]) < 1
    assert ("PIP_CERT names" if older else "let SSL_CERT_FILE name a file") in caught.value.next


def test_a_revision_that_is_not_there_is_told(bench: Bench, origin: Origin) -> None:
    headers = (("X-Error-Code", "RevisionNotFound"), ("X-Error-Message", "Invalid rev id: v9"))
    origin.fault_of = lambda seen: Fault(status=404, headers=headers)
    with pytest.raises(NetworkError, match="Invalid rev id: v9") as caught:
        bench.lock(ask("hf://org/repo@v9", path=None))
    assert "branch, tag or commit" in caught.value.next
    assert "%2F" in caught.value.next


@pytest.mark.parametrize(
    ("url", "include", "what", "next_"),
    [
        ("hf://org/repo/onnx", (), "onnx is a folder there", "write hf://org/repo@main/onnx/ for the files in it"),
        ("hf://org/repo/confg.json", (), "no such file there", "did you mean config.json?; it has: config.json"),
        ("hf://org/repo", ("onnx",), 'matches include = ["onnx"]', 'write "onnx/" for the files in that folder'),
        ("hf://org/repo", ("*.bin",), 'matches include = ["*.bin"]', "it has: config.json, model.safetensors"),
    ],
)
def test_what_was_likely_meant_is_told_where_no_file_is_there(
    bench: Bench, origin: Origin, url: str, include: tuple[str, ...], what: str, next_: str
) -> None:
    put_repository(origin, "org/repo", FILES, large=LARGE)
    with pytest.raises(UsageError) as caught:
        bench.lock(ask(url, path=None, include=include))
    assert what in caught.value.what
    assert caught.value.next.startswith(next_)


@pytest.mark.parametrize(("status", "body", "words"), [(503, b"", "try again later"), (200, b"<html>", "HF_ENDPOINT")])
def test_what_is_not_the_hub_or_not_up_is_told_as_such(
    bench: Bench, origin: Origin, status: int, body: bytes, words: str
) -> None:
    put_repository(origin, "org/repo", FILES, large=LARGE)
    if status == 200:
        origin.files["/api/models/org/repo/revision/main"] = body
    else:
        origin.fault_of = lambda seen: Fault(status=status)
    with pytest.raises(NetworkError) as caught:
        bench.lock(ask("hf://org/repo", path=None))
    assert words in caught.value.next


def test_refs_of_pull_requests_and_conversions_are_written_as_the_hubs_client_writes_them() -> None:
    for written, revision, path in (
        ("hf://org/repo@refs/pr/7", "refs/pr/7", ""),
        ("hf://org/repo@refs/pr/7/onnx/model.onnx", "refs/pr/7", "onnx/model.onnx"),
        ("hf://datasets/org/repo@refs/convert/parquet/a/0.parquet", "refs/convert/parquet", "a/0.parquet"),
        ("hf://org/repo@refs/heads/a.json", "refs", "heads/a.json"),
    ):
        address = hub_address(written)
        assert (address.revision, address.path) == (revision, path)
        assert hub_address(str(address)) == address


def test_a_repository_of_another_name_now_is_found_and_its_files_stay_the_same(bench: Bench, origin: Origin) -> None:
    commit = put_repository(origin, "new/name", FILES, large=LARGE)
    for revision in ("main", commit):
        at = f"/api/models/org/repo/revision/{revision}?blobs=true"
        origin.redirects[at] = at.replace("org/repo", "new/name")
    for name in FILES:
        origin.redirects[f"/org/repo/resolve/{commit}/{name}"] = f"/new/name/resolve/{commit}/{name}"
    locked = bench.lock(ask("hf://org/repo", path=None))
    held = bench.empty().fetch(*locked)
    assert {each.path.read_bytes() for each in held.values()} >= set(FILES.values())


def test_hub_file_can_be_a_mirror_of_a_web_file(bench: Bench, origin: Origin) -> None:
    commit = put_repository(origin, "org/repo", FILES, large=LARGE)
    urls = (origin.url + "/gone.safetensors", "hf://org/repo/model.safetensors")
    (locked,) = bench.lock(ask(*urls))
    assert locked.urls == (urls[0], f"hf://org/repo@{commit}/model.safetensors#main")
    assert bench.fetch(locked)[locked.sha256].size == locked.size


@pytest.mark.parametrize(
    ("url", "kind", "repo", "revision", "path"),
    [
        ("hf://o/r", "model", "o/r", "main", ""),
        ("hf://o/r@v1/a/b.bin", "model", "o/r", "v1", "a/b.bin"),
        ("hf://o/r@refs%2Fpr%2F1/", "model", "o/r", "refs/pr/1", ""),
        ("hf://datasets/o/r@x", "dataset", "o/r", "x", ""),
        ("hf://spaces/o/r/app.py", "space", "o/r", "main", "app.py"),
    ],
)
def test_address_is_taken_apart_and_put_together(url: str, kind: str, repo: str, revision: str, path: str) -> None:
    address = hub_address(url)
    assert (address.kind, address.repo, address.revision, address.path) == (kind, repo, revision, path)
    pinned = address.at("c" * 40, "a b#.bin")
    assert hub_address(str(pinned)) == pinned
    assert pinned.wanted == revision


@pytest.mark.parametrize("url", ["hf://o", "hf://o/r@/x", "hf://o/r/../x", "hf://o/r//x", "https://o/r"])
def test_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(UsageError):
        hub_address(url)


@pytest.mark.parametrize("name", ["../evil", "/etc/evil", "a/../../evil", "a//b", "", "a/", "a\\b", "a\nb"])
def test_a_file_that_the_hub_lists_lands_below_its_folder_or_nowhere(bench: Bench, origin: Origin, name: str) -> None:
    put_repository(origin, "org/repo", {"w.bin": b"x", name: b"evil"}, large=("w.bin", name))
    for path in (None, "m"):
        with pytest.raises(IntegrityError, match="no path below a folder"):
            bench.lock(ask("hf://org/repo", path=path))
        assert {item.sha256 for item in bench.lock(ask("hf://org/repo", path=path, include=("w.*",)))} >= {
            hashlib.sha256(b"x").hexdigest()
        }


def test_another_commit_than_the_one_asked_for_is_refused(bench: Bench, origin: Origin) -> None:
    commit = put_repository(origin, "org/repo", FILES, large=LARGE)
    other = "f" * 40
    answer = "/api/models/org/repo/revision/"
    origin.files[answer + other] = origin.files[answer + commit]
    for url in (f"hf://org/repo@{other}", f"hf://org/repo@{other}/config.json"):
        with pytest.raises(IntegrityError, match=f"answers with commit '{commit}' for {other}"):
            bench.lock(ask(url))
    origin.files[answer + "main"] = origin.files[answer + "main"].replace(commit.encode(), b"../../../../x")
    with pytest.raises(IntegrityError, match="answers with commit"):
        bench.lock(ask("hf://org/repo"))


@pytest.mark.parametrize("revision", ["..%2F..%2Fx", "%2Fetc%2Fx", "a%2F", ".."])
def test_a_revision_that_leads_elsewhere_is_refused(revision: str) -> None:
    with pytest.raises(UsageError, match="plain path"):
        hub_address(f"hf://org/repo@{revision}")
