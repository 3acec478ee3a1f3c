"""The cache hands out only what it can stand for, whoever else uses it at the same time."""

from __future__ import annotations

import errno
import hashlib
import os
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING

import pytest

from kpack import files
from kpack.cache import Cache, default_root
from kpack.claims import locked
from kpack.errors import IntegrityError, MachineError, UsageError
from kpack.fetch.part import opened
from tests.support.odd_files import put

if TYPE_CHECKING:
    from pathlib import Path


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "cache")


def damage(path: Path, data: bytes) -> None:
    path.chmod(0o644)
    path.write_bytes(data)


def test_default_root_is_kpack_cache_then_xdg_then_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.delenv("KPACK_CACHE", raising=False)
    assert default_root() == tmp_path / ".cache" / "kpack"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative/is/ignored")
    assert default_root() == tmp_path / ".cache" / "kpack"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert default_root() == tmp_path / "xdg" / "kpack"
    monkeypatch.setenv("KPACK_CACHE", "~/mine")
    assert default_root() == tmp_path / "mine"
    assert Cache().root == tmp_path / "mine"


def test_a_home_folder_that_nobody_knows_is_told_by_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KPACK_CACHE", "~nosuchuser/x")
    with pytest.raises(MachineError, match="KPACK_CACHE"):
        Cache()


def test_added_bytes_are_found_under_their_digest(cache: Cache) -> None:
    assert cache.find(digest(b"x")) is None
    sha256 = cache.add(b"x")
    assert sha256 == digest(b"x")
    path = cache.path(sha256)
    assert path.read_bytes() == b"x"
    assert cache.find(sha256, 1) == path
    with cache.open(sha256) as stream:
        assert stream.read() == b"x"


def test_adopting_refuses_bytes_of_another_digest(cache: Cache) -> None:
    with cache.temporary() as folder:
        (folder / "file").write_bytes(b"wrong")
        with pytest.raises(IntegrityError, match=digest(b"wrong")):
            cache.adopt(folder / "file", digest(b"right"))
    assert cache.find(digest(b"right")) is None


def test_damaged_file_is_refused_and_removed_when_its_path_is_asked_for(cache: Cache) -> None:
    sha256 = cache.add(b"good")
    damage(cache.path(sha256), b"baad")
    with pytest.raises(IntegrityError, match="damaged") as caught:
        cache.path(sha256)
    assert digest(b"baad") in caught.value.what
    assert "has been removed" in caught.value.next
    assert cache.find(sha256) is None


def test_file_of_another_size_is_no_hit_and_is_removed(cache: Cache) -> None:
    sha256 = cache.add(b"good")
    damage(cache.path(sha256), b"cut")
    assert cache.find(sha256, 4) is None
    assert cache.find(sha256) is None


def test_consumer_that_finds_damage_gets_the_error_and_the_file_is_gone(cache: Cache) -> None:
    sha256 = cache.add(b"good")
    error = cache.damaged(sha256, digest(b"baad"))
    assert "run the command again" in error.next
    with pytest.raises(MachineError, match="the cache has no file"):
        cache.open(sha256)
    with pytest.raises(MachineError, match="the cache has no file"):
        cache.path(sha256)


@pytest.mark.parametrize("text", ["", "abc", "A" * 64, "g" * 64, "../" + "a" * 61, "a" * 65])
def test_anything_but_a_digest_is_refused_before_it_becomes_a_path(cache: Cache, text: str) -> None:
    with pytest.raises(UsageError, match="not a SHA-256"):
        cache.find(text)


def test_size_counts_files_partial_and_http(cache: Cache) -> None:
    empty = cache.size()
    assert (empty.files, empty.bytes, empty.partial_bytes, empty.http_bytes) == (0, 0, 0, 0)
    cache.add(b"12345")
    cache.add(b"678")
    cache.http_dir.mkdir()
    (cache.http_dir / "page").write_bytes(b"12")
    cache.parts_dir.mkdir()
    (cache.parts_dir / "x.part").write_bytes(b"1" * 5000)
    size = cache.size()
    assert (size.files, size.bytes, size.http_bytes) == (2, 8, 2)
    assert size.partial_bytes >= 5000


def test_prune_removes_what_was_not_used_and_keeps_what_was_or_is_named(cache: Cache) -> None:
    old, named, used = cache.add(b"old"), cache.add(b"named"), cache.add(b"used")
    for sha256 in (old, named):
        path = cache.path(sha256)
        os.utime(path, (time.time() - 10 * 86400,) * 2)
    removed = cache.prune(unused_for=5 * 86400, keep={named})
    assert (removed.files, removed.bytes) == (1, 3)
    assert cache.find(old) is None
    assert cache.find(named) is not None
    assert cache.find(used) is not None


def test_a_hit_counts_as_use(cache: Cache) -> None:
    sha256 = cache.add(b"old")
    path = cache.path(sha256)
    os.utime(path, (time.time() - 10 * 86400,) * 2)
    assert cache.find(sha256) is not None
    assert cache.prune(unused_for=86400).files == 0


def test_what_a_clock_dated_to_the_future_ages_from_now_on(cache: Cache) -> None:
    hit, pruned = cache.add(b"hit"), cache.add(b"pruned")
    cache.parts_dir.mkdir()
    part = cache.parts_dir / "x.part"
    part.write_bytes(b"1")
    paths = [cache.path(hit), cache.path(pruned), part]
    for path in paths:
        os.utime(path, (time.time() + 10 * 365 * 86400,) * 2)
    assert cache.find(hit) is not None
    assert cache.prune(unused_for=86400).files == 0
    assert all(path.stat().st_mtime <= time.time() for path in paths)
    os.utime(paths[0], (time.time() + 86400,) * 2)
    assert cache.prune().files == 2
    assert part.exists()  # a process may write it


def test_prune_of_everything_spares_downloads_under_way(cache: Cache) -> None:
    cache.add(b"file")
    cache.parts_dir.mkdir()
    young, old = cache.parts_dir / "young.part", cache.parts_dir / "old.part"
    young.write_bytes(b"1")
    old.write_bytes(b"1")
    os.utime(old, (time.time() - 2 * 86400,) * 2)
    removed = cache.prune(unused_for=0)
    assert removed.files == 2
    assert young.exists()
    assert not old.exists()


def test_verify_returns_and_removes_the_damaged(cache: Cache) -> None:
    good, bad = cache.add(b"good"), cache.add(b"bad!")
    damage(cache.path(bad), b"bad?")
    told: list[tuple[int, int]] = []
    found = cache.verify(lambda done, total: told.append((done, total)))
    assert [(item.sha256, item.found, item.size) for item in found] == [(bad, digest(b"bad?"), 4)]
    assert told[-1] == (8, 8)
    assert cache.find(bad) is None
    assert cache.find(good) is not None
    assert cache.verify() == ()


def test_cache_that_cannot_be_written_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(MachineError, match="cannot be used") as caught:
        Cache(tmp_path / "file").add(b"x")
    assert "KPACK_CACHE" in caught.value.next


def test_temporary_folder_is_gone_at_the_end(cache: Cache) -> None:
    with cache.temporary() as folder:
        (folder / "x").write_bytes(b"x")
        assert folder.is_relative_to(cache.root)
    assert not folder.exists()


def test_many_threads_adopt_one_file_while_another_prunes(cache: Cache) -> None:
    failures: list[BaseException] = []
    stop = threading.Event()

    def guarded(work: object) -> None:
        try:
            work()  # type: ignore[operator]
        except BaseException as error:  # noqa: BLE001 - shown by the assert below
            failures.append(error)

    def add() -> None:
        for _ in range(50):
            cache.add(b"the same")

    def prune() -> None:
        while not stop.is_set():
            cache.prune(unused_for=0)

    pruner = threading.Thread(target=guarded, args=(prune,))
    pruner.start()
    adders = [threading.Thread(target=guarded, args=(add,)) for _ in range(4)]
    for thread in adders:
        thread.start()
    for thread in adders:
        thread.join()
    stop.set()
    pruner.join()
    assert not failures


def test_lock_waits_for_another_process_and_is_freed_by_its_death(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    code = (
        "import sys, time\nfrom kpack.claims import locked\n"
        "with open(sys.argv[1], 'ab') as stream, locked(stream):\n"
        "    print('have it', flush=True)\n    time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "have it\n"
        waits = []

        def on_wait() -> None:
            waits.append(1)
            if len(waits) == 3:
                other.kill()

        with path.open("ab") as stream, locked(stream, on_wait):
            assert len(waits) >= 3


@pytest.mark.parametrize("kind", ["pipe", "folder", "link to a device"])
def test_what_is_no_file_is_not_in_the_cache_and_gives_way(cache: Cache, kind: str) -> None:
    sha256 = cache.add(b"data")
    put(cache.root / "files" / sha256[:2] / sha256, kind)
    with cache.temporary() as folder:
        folder.joinpath("data").write_bytes(b"data")
        if kind != "pipe":  # without a look before
            assert cache.find(sha256, 4) is None
        cache.adopt(folder / "data", sha256)
    assert cache.path(sha256).read_bytes() == b"data"
    put(cache.path(sha256), "pipe")
    assert [(one.sha256, one.found) for one in cache.verify()] == [(sha256, "is not a regular file")]
    assert cache.find(sha256) is None


def lockless(*_: object) -> None:
    raise OSError(errno.EOPNOTSUPP, "Operation not supported")


def test_a_file_system_without_locks_holds_a_cache(cache: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fcntl.flock", lockless)
    with cache.temporary() as place:
        place.joinpath("w").write_bytes(b"w")
        with cache.temporary() as other:  # who comes next cannot tell that the first is alive: it stays
            assert other != place
            assert place.joinpath("w").exists()
        cache.adopt(place / "w", digest(b"w"))
    assert list((cache.root / "tmp").iterdir()) == []
    left = cache.root / "tmp/old.claim"
    left.touch()
    left.with_suffix("").mkdir()
    os.utime(left, (1, 1))
    with cache.temporary():
        assert not left.exists()


def test_downloads_without_locks_have_a_file_each(cache: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fcntl.flock", lockless)
    with opened(cache.parts_dir, "a" * 64, lambda: None) as part:
        assert [path.name for path in cache.parts_dir.iterdir()] == [part.path.name]
        assert str(os.getpid()) in part.path.name


@pytest.mark.parametrize("number", [errno.EPERM, errno.EOPNOTSUPP])
def test_a_file_system_without_permissions_and_times_holds_a_cache(
    cache: Cache, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(number, "no")

    monkeypatch.setattr(os, "chmod", refuse)
    monkeypatch.setattr(os, "utime", refuse)
    assert cache.find(cache.add(b"w")) is not None
    files.write_text(cache.root / "note", "x")
    monkeypatch.setattr(os, "utime", lambda *_: (_ for _ in ()).throw(OSError(errno.EIO, "broken")))
    with pytest.raises(MachineError, match="broken"):
        cache.add(b"v")
