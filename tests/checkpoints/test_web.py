"""Checkpoints by https, http, file and data: pinned by what they are, fetched once, never another file."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from kpack.checkpoints import LockedCheckpoint, locking, variables
from kpack.errors import IntegrityError, MachineError, NetworkError, UsageError
from kpack.fetch.content import HEAD
from kpack.urls import Credentials
from tests.checkpoints.conftest import ask
from tests.support.origin import Fault

if TYPE_CHECKING:
    from tests.checkpoints.conftest import Bench
    from tests.support.origin import Origin, Seen

DATA = b"weights" * 1000
SHA = hashlib.sha256(DATA).hexdigest()


def head_alone(seen: Seen) -> Fault:
    """Answer with no more than the first bytes of a file: more would never come."""
    return Fault(stall_after=HEAD if seen.range else 0)


def test_given_digest_is_locked_with_the_size_and_without_fetching(bench: Bench, origin: Origin) -> None:
    origin.files["/w.ckpt"] = DATA
    origin.fault_of = head_alone
    (locked,) = bench.lock(ask(origin.url + "/w.ckpt", sha256=SHA))
    origin.fault_of = None
    assert (locked.sha256, locked.size, locked.path, locked.note) == (SHA, len(DATA), "w.ckpt", None)
    assert locked.urls == (origin.url + "/w.ckpt",)
    assert bench.cache.size().files == 0
    assert bench.fetch(locked)[SHA].path.read_bytes() == DATA


def test_missing_digest_is_recorded_and_said(bench: Bench, origin: Origin) -> None:
    origin.files["/w.ckpt"] = DATA
    (locked,) = bench.lock(ask(origin.url + "/w.ckpt"))
    assert (locked.sha256, locked.size) == (SHA, len(DATA))
    assert locked.note is not None
    assert SHA in locked.note
    sent = origin.sent
    assert bench.fetch(locked)[SHA].path.read_bytes() == DATA
    assert origin.sent == sent


def test_strict_refuses_a_missing_digest_and_names_the_checkpoint(bench: Bench, origin: Origin) -> None:
    origin.files["/w.ckpt"] = DATA
    with pytest.raises(UsageError, match=r"w\.ckpt"):
        bench.lock(ask(origin.url + "/w.ckpt"), strict=True)
    assert bench.lock(ask(origin.url + "/w.ckpt", sha256=SHA), strict=True)


def test_recorded_digest_stays_as_long_as_the_request_does(bench: Bench, origin: Origin) -> None:
    origin.files["/w.ckpt"] = DATA
    known = bench.lock(ask(origin.url + "/w.ckpt"))
    origin.files["/w.ckpt"] = b"replaced"
    asked = len(origin.seen)
    again = bench.lock(ask(origin.url + "/w.ckpt"), known=known)
    assert [(item.sha256, item.note) for item in again] == [(SHA, None)]
    assert bench.lock(ask(origin.url + "/w.ckpt"), known=known, strict=True) == again
    assert len(origin.seen) == asked
    (moved,) = bench.lock(ask(origin.url + "/w.ckpt", path="elsewhere.ckpt"), known=known)
    assert moved.sha256 == hashlib.sha256(b"replaced").hexdigest()


@pytest.mark.parametrize("by", ["w.ckpt", "URL/w.ckpt"])
def test_one_pin_is_let_go_of_by_path_or_url_and_the_others_stay(bench: Bench, origin: Origin, by: str) -> None:
    origin.files |= {"/w.ckpt": DATA, "/v.ckpt": DATA}
    requests = ask(origin.url + "/w.ckpt"), ask(origin.url + "/v.ckpt", path="v.ckpt")
    known = bench.lock(*requests)
    origin.files |= {"/w.ckpt": b"replaced", "/v.ckpt": b"replaced"}
    again = bench.lock(*requests, known=known, renew=frozenset({by.replace("URL", origin.url)}))
    assert {item.path: item.sha256 for item in again} == {
        "w.ckpt": hashlib.sha256(b"replaced").hexdigest(),
        "v.ckpt": SHA,
    }


def test_a_file_that_became_another_is_told_with_how_to_let_go_of_it(bench: Bench) -> None:
    (bench.folder / "my words.txt").write_bytes(DATA)
    (locked,) = bench.lock(ask("file:my%20words.txt", path="my words.txt"))
    (bench.folder / "my words.txt").write_bytes(b"replaced")
    with pytest.raises(IntegrityError) as told:
        bench.fetch(locked)
    assert told.value.next is not None
    assert told.value.next.endswith('before you lock it anew (kpack lock -P "my words.txt")')
    with pytest.raises(IntegrityError) as given:
        bench.lock(ask("file:my%20words.txt", path="my words.txt", sha256=SHA))
    assert given.value.next is not None
    assert given.value.next.endswith("(write its new sha256 in kaggle-env.toml)")


def test_old_pins_of_many_files_are_looked_up_and_not_searched(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    many = 500
    urls = [f"https://example.org/{number}.ckpt?sig={number}" for number in range(many)]
    known = [
        LockedCheckpoint(path=f"{number}.ckpt", urls=(url.partition("?")[0],), sha256=SHA, size=len(DATA))
        for number, url in enumerate(urls)
    ]
    read: list[str] = []

    def asked(url: str) -> str:
        read.append(url)
        return url.partition("?")[0]

    monkeypatch.setattr(locking, "_asked", asked)
    requests = [ask(url, path=f"{number}.ckpt") for number, url in enumerate(urls)]
    assert len(bench.lock(*requests, known=known)) == many
    assert len(read) == 2 * many


def test_digest_that_was_changed_in_the_file_is_not_overruled_by_the_old_lock(bench: Bench, origin: Origin) -> None:
    origin.files["/w.ckpt"] = DATA
    known = bench.lock(ask(origin.url + "/w.ckpt"))
    origin.files["/w.ckpt"] = b"new"
    sha256 = hashlib.sha256(b"new").hexdigest()
    (locked,) = bench.lock(ask(origin.url + "/w.ckpt", sha256=sha256), known=known)
    assert (locked.sha256, locked.size) == (sha256, 3)


def test_wrong_digest_is_refused_when_the_bytes_come(bench: Bench, origin: Origin) -> None:
    origin.files["/w.ckpt"] = DATA
    (locked,) = bench.lock(ask(origin.url + "/w.ckpt", sha256="0" * 64))
    with pytest.raises(IntegrityError, match=SHA):
        bench.fetch(locked)


def test_server_that_says_no_size_is_fetched_at_lock(bench: Bench, origin: Origin) -> None:
    origin.files["/w.ckpt"] = DATA
    origin.lengths = origin.ranges = False
    (locked,) = bench.lock(ask(origin.url + "/w.ckpt", sha256=SHA))
    assert locked.size == len(DATA)
    with pytest.raises(IntegrityError, match="0000"):
        bench.lock(ask(origin.url + "/w.ckpt", sha256="0" * 64))


def test_length_that_nobody_names_is_told_with_what_came(bench: Bench, origin: Origin) -> None:
    origin.files["/w.ckpt"] = DATA
    origin.lengths = origin.ranges = False
    (locked,) = bench.lock(ask(origin.url + "/w.ckpt"))
    assert not locked.announced
    assert f"{len(DATA):,} bytes came" in (locked.note or "")
    assert f'sha256 = "{SHA}"' in (locked.note or "")


def test_unreachable_server_is_exit_4(bench: Bench) -> None:
    for sha256 in (None, SHA):
        with pytest.raises(NetworkError, match="connection refused"):
            bench.lock(ask("http://127.0.0.1:9/w.ckpt", sha256=sha256))


def test_file_beside_kaggle_env_toml_keeps_its_relative_url(bench: Bench) -> None:
    (bench.folder / "my weights").mkdir()
    (bench.folder / "my weights" / "w.ckpt").write_bytes(DATA)
    (locked,) = bench.lock(ask("file:my%20weights/w.ckpt"), offline=True)
    assert (locked.urls, locked.sha256, locked.size) == (("file:my%20weights/w.ckpt",), SHA, len(DATA))
    assert bench.fetch(locked, offline=True)[SHA].path == bench.folder / "my weights" / "w.ckpt"
    (absolute,) = bench.lock(ask((bench.folder / "my weights" / "w.ckpt").as_uri()))
    assert absolute.sha256 == SHA
    with pytest.raises(MachineError):
        bench.lock(ask("file:none.ckpt"))


def test_mirrors_are_locked_in_order_and_tried_in_order(bench: Bench, origin: Origin) -> None:
    origin.files["/second"] = DATA
    urls = (origin.url + "/first", origin.url + "/second")
    (locked,) = bench.lock(ask(*urls))
    assert locked.urls == urls
    assert locked.sha256 == SHA
    assert bench.empty().fetch(locked)[SHA].path.read_bytes() == DATA


def test_credentials_are_put_back_at_build(bench: Bench, origin: Origin) -> None:
    origin.files["/w.ckpt"] = DATA
    origin.auth = "Basic bWU6cHc="
    mine = origin.url.replace("http://", "http://me:pw@") + "/w.ckpt"
    (locked,) = bench.lock(ask(mine))
    bare = replace(locked, urls=(origin.url + "/w.ckpt",))
    fresh = bench.empty()
    with pytest.raises(NetworkError, match="401"):
        fresh.fetch(bare)
    assert fresh.fetch(bare, credentials=Credentials((mine,)))[SHA].size == len(DATA)
    (again,) = fresh.lock(ask(mine), known=[bare])
    assert again.sha256 == SHA


def test_attached_checkpoint_is_pinned_but_not_fetched(bench: Bench, origin: Origin) -> None:
    origin.files["/w.ckpt"] = DATA
    (locked,) = bench.lock(ask(origin.url + "/w.ckpt", sha256=SHA, attached="/kaggle/input/w/w.ckpt"))
    assert locked.attached == "/kaggle/input/w/w.ckpt"
    assert bench.fetch(locked) == {}


def test_offline_build_uses_the_cache_alone(bench: Bench, origin: Origin) -> None:
    origin.files["/w.ckpt"] = DATA
    (locked,) = bench.lock(ask(origin.url + "/w.ckpt"))
    assert bench.fetch(locked, offline=True)[SHA].size == len(DATA)
    with pytest.raises(NetworkError, match="offline"):
        bench.empty().fetch(locked, offline=True)
    with pytest.raises(NetworkError, match="offline"):
        bench.lock(ask(origin.url + "/other"), offline=True)


def test_one_file_at_two_paths_is_fetched_once(bench: Bench, origin: Origin) -> None:
    origin.files["/w.ckpt"] = DATA
    origin.fault_of = head_alone
    locked = bench.lock(ask(origin.url + "/w.ckpt", sha256=SHA), ask(origin.url + "/w.ckpt", path="b.ckpt", sha256=SHA))
    assert [item.path for item in locked] == ["b.ckpt", "w.ckpt"]
    origin.fault_of = None
    origin.seen.clear()
    assert list(bench.fetch(*locked)) == [SHA]
    assert bench.cache.size().files == 1
    assert len(origin.seen) == 1


def test_two_files_at_one_path_are_refused(bench: Bench, origin: Origin) -> None:
    origin.files |= {"/a": b"a", "/b": b"b"}
    with pytest.raises(UsageError, match="two checkpoints want"):
        bench.lock(ask(origin.url + "/a"), ask(origin.url + "/b"))


@pytest.mark.parametrize("name", [f"toxic-{SHA[:8]}.ckpt", f"toxic-{SHA}.th", "toxic-20240131.ckpt", "toxic-v1.ckpt"])
def test_digest_in_a_name_is_checked_and_agrees(bench: Bench, origin: Origin, name: str) -> None:
    origin.files[f"/{name}"] = DATA
    (locked,) = bench.lock(ask(f"{origin.url}/{name}"))
    assert locked.sha256 == SHA


def test_digest_in_a_name_that_disagrees_is_refused(bench: Bench, origin: Origin) -> None:
    origin.files["/toxic-c1212f89.ckpt"] = DATA
    with pytest.raises(IntegrityError, match="c1212f89") as caught:
        bench.lock(ask(f"{origin.url}/toxic-c1212f89.ckpt"))
    assert SHA in caught.value.what
    assert f'sha256 = "{SHA}"' in caught.value.next
    (locked,) = bench.lock(ask(f"{origin.url}/toxic-c1212f89.ckpt", sha256=SHA))
    assert locked.note is not None
    assert "looks like it holds a digest" in locked.note


def test_nothing_asked_is_nothing_locked(bench: Bench) -> None:
    assert bench.lock() == ()
    assert bench.fetch() == {}
    assert variables(()) == {}
