"""Servers, networks and processes that fail: nothing wrong is accepted, nothing complete is fetched again."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from kpack.errors import IntegrityError, KpackError, MachineError, NetworkError
from kpack.fetch import Download, Event, Fetcher, Patience, Resumed, Retrying, Waiting, transfer
from kpack.fetch.model import Stopped
from tests.fetch.conftest import LASTING, PATIENCE, download, have, noise, sha
from tests.support.odd_files import put
from tests.support.origin import Fault

if TYPE_CHECKING:
    from pathlib import Path

    from kpack.cache import Cache
    from tests.support.origin import Origin, Seen


def interrupted(wanted: Download, origin: Origin, cache: Cache, after: int) -> None:
    """Fetch until ``after`` bytes of each answer came, and fail."""
    origin.fault_of = lambda seen: Fault(stop_after=after)
    with pytest.raises(NetworkError):
        have(wanted, cache, patience=Patience(connect=1, stall=0.3, attempts=1))
    origin.fault_of = None
    origin.seen.clear()


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_passing_server_errors_are_tried_again(origin: Origin, cache: Cache, status: int) -> None:
    origin.faults = [Fault(status=status), Fault(status=status)]
    told: list[Event] = []
    assert have(download(origin, "/a", b"a"), cache, listener=told.append).size == 1
    assert len(origin.seen) == 3
    assert next(event.why for event in told if isinstance(event, Retrying)).startswith(f"status {status}")


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 451])
def test_lasting_refusals_are_not_tried_again(origin: Origin, cache: Cache, status: int) -> None:
    origin.faults = [Fault(status=status)]
    with pytest.raises(NetworkError, match=str(status)):
        have(download(origin, "/a", b"a"), cache)
    assert len(origin.seen) == 1


def test_server_that_keeps_failing_is_given_up_with_exit_code_4(origin: Origin, cache: Cache) -> None:
    origin.fault_of = lambda seen: Fault(status=503)
    with pytest.raises(NetworkError, match=r"status 503.*tried 3 times") as caught:
        have(download(origin, "/a", b"a"), cache)
    assert caught.value.to_dict()["code"] == 4
    assert len(origin.seen) == 3


def test_retry_after_is_waited_for(origin: Origin, cache: Cache) -> None:
    origin.faults = [Fault(status=503, headers=(("Retry-After", "1"),))]
    began = time.monotonic()
    have(download(origin, "/a", b"a"), cache)
    assert time.monotonic() - began >= 1


def test_unreachable_server_is_said_without_internals(cache: Cache) -> None:
    wanted = Download(name="a", urls=("http://127.0.0.1:9/a",), sha256="0" * 64)
    with pytest.raises(NetworkError, match="connection refused") as caught:
        have(wanted, cache)
    assert "urllib3" not in caught.value.what


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("fault", [Fault(stop_after=30_000), Fault(stall_after=30_000)])
def test_broken_or_stalled_answer_is_resumed_where_it_ended(
    origin: Origin, cache: Cache, fault: Fault, known: bool
) -> None:
    data = noise(100_000)
    changes: dict[str, object] = {} if known else {"sha256": None, "size": None}
    origin.faults = [fault]
    assert have(download(origin, "/a", data, **changes), cache).sha256 == sha(data)
    assert len([seen for seen in origin.seen if seen.sent]) == 2
    assert (origin.seen[1].range or "").startswith("bytes=")
    assert "if-range" in origin.seen[1].headers
    assert origin.seen[1].sent < len(data)


def test_many_breaks_are_survived_as_long_as_bytes_come(origin: Origin, cache: Cache) -> None:
    data = noise(200_000)
    origin.fault_of = lambda seen: Fault(stop_after=20_000)
    assert have(download(origin, "/a", data), cache).path.read_bytes() == data
    assert origin.sent < 2 * len(data)


def test_broken_ranges_are_resumed_each(origin: Origin, cache: Cache, small_segments: int) -> None:
    data = noise(6 * small_segments)
    origin.fault_of = lambda seen: Fault(stop_after=20_000)
    assert have(download(origin, "/a", data), cache).path.read_bytes() == data
    assert origin.sent < 2 * len(data)


def test_next_run_asks_only_for_what_is_missing(origin: Origin, cache: Cache, small_segments: int) -> None:
    data = noise(4 * small_segments)
    wanted = download(origin, "/a", data)
    interrupted(wanted, origin, cache, 50_000)
    told: list[Event] = []
    assert have(wanted, cache, listener=told.append).path.read_bytes() == data
    resumed = next(event for event in told if isinstance(event, Resumed))
    assert resumed.received > 0
    assert origin.sent == len(data) - resumed.received


@pytest.mark.parametrize("kind", ["pipe", "folder"])
def test_what_is_no_file_in_the_place_of_a_download_or_its_note_gives_way(
    origin: Origin, cache: Cache, small_segments: int, kind: str
) -> None:
    data = noise(4 * small_segments)
    wanted = download(origin, "/a", data)
    interrupted(wanted, origin, cache, 50_000)
    left = next(cache.parts_dir.glob("*.part"))
    for suffix in (".part", ".json", ".note"):
        put(left.with_suffix(suffix), kind)
    interrupted(wanted, origin, cache, 50_000)  # which writes a note
    assert have(wanted, cache).path.read_bytes() == data


@pytest.mark.parametrize("validator", ["etag", "modified", "none"])
@pytest.mark.parametrize("known", [True, False])
def test_file_that_changed_between_two_runs_is_never_mixed(
    origin: Origin, cache: Cache, small_segments: int, validator: str, known: bool
) -> None:
    origin.validator = validator  # type: ignore[assignment]
    old, new = noise(4 * small_segments, 1), noise(4 * small_segments, 2)
    origin.files["/a"] = old
    unknown = Download(name="a", urls=(origin.url + "/a",), sha256=None)
    wanted = Download(name="a", urls=(origin.url + "/a",), sha256=sha(new), size=len(new))
    interrupted(wanted if known else unknown, origin, cache, 50_000)
    origin.files["/a"] = new
    assert have(wanted if known else unknown, cache).sha256 == sha(new)


def test_file_that_changes_while_its_ranges_come_is_read_anew(
    origin: Origin, cache: Cache, small_segments: int
) -> None:
    old, new = noise(6 * small_segments, 1), noise(6 * small_segments, 2)
    origin.files["/a"] = old

    def change(seen: Seen) -> None:
        if len(origin.seen) == 3:
            origin.files["/a"] = new

    origin.on_request = change
    wanted = Download(name="a", urls=(origin.url + "/a",), sha256=None)
    assert have(wanted, cache).sha256 == sha(new)


def test_file_that_shrank_or_grew_is_read_anew(origin: Origin, cache: Cache, small_segments: int) -> None:
    for length in (2 * small_segments, 7 * small_segments):
        origin.files["/a"] = noise(4 * small_segments, 1)
        unknown = Download(name="a", urls=(origin.url + "/a",), sha256=None)
        interrupted(unknown, origin, cache, 50_000)
        origin.files["/a"] = noise(length, 2)
        assert have(unknown, cache).sha256 == sha(noise(length, 2))


def test_file_that_always_changes_is_given_up(origin: Origin, cache: Cache, small_segments: int) -> None:
    def change(seen: Seen) -> None:
        origin.files["/a"] = noise(4 * small_segments, len(origin.seen))

    origin.files["/a"] = noise(4 * small_segments, 0)
    origin.on_request = change
    origin.fault_of = lambda seen: Fault(stop_after=1000)
    with pytest.raises(NetworkError):
        have(Download(name="a", urls=(origin.url + "/a",), sha256=None), cache)
    assert cache.size().files == 0


def test_server_that_forgets_ranges_when_resumed_is_read_from_the_start(origin: Origin, cache: Cache) -> None:
    data = noise(100_000)
    wanted = download(origin, "/a", data)
    origin.faults = [Fault(stop_after=40_000)]
    origin.on_request = lambda seen: setattr(origin, "ranges", False)
    assert have(wanted, cache).path.read_bytes() == data
    assert origin.seen[1].sent == len(data)


@pytest.mark.parametrize("claim", [(1, 65535, 262144), (0, 65535, 999999), (5, 4, 262144), (70000, 80000, 75000)])
def test_answer_for_another_range_is_not_taken(
    origin: Origin, cache: Cache, small_segments: int, claim: tuple[int, int, int]
) -> None:
    data = noise(4 * small_segments)
    wanted = download(origin, "/a", data)
    origin.fault_of = lambda seen: Fault(wrong_range=claim) if seen.range else None
    try:
        got = have(wanted, cache)
    except KpackError:
        assert cache.size().files == 0
    else:
        assert got.path.read_bytes() == data


@pytest.mark.parametrize("big", [True, False])
def test_wrong_bytes_are_exit_5_with_both_digests_and_nothing_is_kept(
    origin: Origin, cache: Cache, small_segments: int, big: bool
) -> None:
    data = noise(4 * small_segments if big else 1000)
    origin.fault_of = lambda seen: Fault(damage_at=500)
    with pytest.raises(IntegrityError) as caught:
        have(download(origin, "/a", data), cache)
    assert caught.value.to_dict()["code"] == 5
    assert sha(data) in caught.value.what
    assert len(caught.value.what.replace(sha(data), "").split("sha256 is ")[1].split(",")[0]) == 64
    assert cache.size().files == 0
    assert cache.size().partial_bytes == 0
    origin.fault_of = None
    assert have(download(origin, "/a", data), cache).path.read_bytes() == data


@pytest.mark.parametrize("change", [-1, 1])
def test_wrong_size_is_refused_before_the_body_is_read(origin: Origin, cache: Cache, change: int) -> None:
    data = noise(50_000)
    with pytest.raises(IntegrityError, match=f"size is 50000 bytes, not {50_000 + change}"):
        have(download(origin, "/a", data, size=len(data) + change), cache)
    assert cache.size().files == 0


def test_endless_body_stops_at_the_known_size(origin: Origin, cache: Cache) -> None:
    origin.lengths = False
    data = noise(300_000)
    with pytest.raises(IntegrityError, match="not 1000"):
        have(download(origin, "/a", data, sha256=sha(data[:1000]), size=1000), cache)
    assert cache.size().files == 0


def test_truncation_without_length_is_noticed_by_the_size(origin: Origin, cache: Cache) -> None:
    origin.lengths = False
    data = noise(50_000)
    origin.faults = [Fault(stop_after=20_000)]
    assert have(download(origin, "/a", data), cache).path.read_bytes() == data


def test_damage_on_disk_between_two_runs_is_noticed(origin: Origin, cache: Cache, small_segments: int) -> None:
    data = noise(4 * small_segments)
    wanted = download(origin, "/a", data)
    interrupted(wanted, origin, cache, 50_000)
    part = next(cache.parts_dir.glob("*.part"))
    with part.open("r+b") as stream:
        stream.write(b"garbage")
    assert have(wanted, cache).path.read_bytes() == data


@pytest.mark.parametrize(
    "note", ["", "{", "[]", '{"url": 1}', '{"url": "x", "validator": null, "total": 9, "segments": [[0, 9, 9]]}']
)
def test_damaged_note_on_disk_means_starting_anew(origin: Origin, cache: Cache, small_segments: int, note: str) -> None:
    data = noise(4 * small_segments)
    wanted = download(origin, "/a", data)
    interrupted(wanted, origin, cache, 50_000)
    next(cache.parts_dir.glob("*.json")).write_text(note)
    assert have(wanted, cache).path.read_bytes() == data


def test_note_that_claims_more_than_is_on_disk_means_starting_anew(
    origin: Origin, cache: Cache, small_segments: int
) -> None:
    data = noise(4 * small_segments)
    wanted = download(origin, "/a", data)
    interrupted(wanted, origin, cache, 50_000)
    part = next(cache.parts_dir.glob("*.part"))
    os.truncate(part, 10)
    assert have(wanted, cache).path.read_bytes() == data


def test_hit_that_was_cut_is_fetched_again(origin: Origin, cache: Cache) -> None:
    data = noise(1000)
    wanted = download(origin, "/a", data)
    path = have(wanted, cache).path
    path.chmod(0o644)
    os.truncate(path, 10)
    assert have(wanted, cache).path.read_bytes() == data


def test_cache_that_cannot_be_written_is_exit_7(origin: Origin, tmp_path: Path) -> None:
    from kpack.cache import Cache

    (tmp_path / "cache").write_bytes(b"")
    with pytest.raises(MachineError) as caught:
        have(download(origin, "/a", b"a"), Cache(tmp_path / "cache"))
    assert caught.value.to_dict()["code"] == 7


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")  # noqa: PTH110
def test_full_disk_is_exit_7_and_leaves_nothing(origin: Origin, cache: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    from kpack.fetch import part

    class Full(part._Writer):
        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments)
            self.file.close()
            self.file = io.FileIO("/dev/full", "r+")

        def rewind(self) -> None:
            self.segment.position = 0

    monkeypatch.setattr(part, "_Writer", Full)
    with pytest.raises(MachineError, match="No space left") as caught:
        have(download(origin, "/a", b"a"), cache)
    assert "KPACK_CACHE" in caught.value.next
    assert cache.size().files == 0


CHILD = """
import json, sys
from pathlib import Path
from kpack.cache import Cache
from kpack.fetch import Download, Fetcher, Patience, part, transfer
root, facts, segment = json.loads(sys.argv[1])
if segment:
    part.SEGMENT = transfer.SEGMENT = segment
    part._NOTE_EVERY = 0
wanted = [Download(name=n, urls=tuple(u), sha256=s, size=z) for n, u, s, z in facts]
print("begin", flush=True)
Fetcher(Cache(Path(root)), patience=Patience(connect=60, stall=600)).fetch(wanted)
print("done", flush=True)
"""


def child(cache: Cache, *wanted: Download, segment: int = 0) -> subprocess.Popen[str]:
    """Fetch in another process, which waits ten minutes for a byte; with ``segment`` it notes each chunk."""
    facts = [str(cache.root), [[item.name, item.urls, item.sha256, item.size] for item in wanted], segment]
    return subprocess.Popen(
        [sys.executable, "-c", CHILD, json.dumps(facts)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def noted(cache: Cache) -> int:
    """Return how many bytes the note of the one partial file claims."""
    for note in cache.parts_dir.glob("*.json"):
        return sum(position - start for start, position, _ in json.loads(note.read_text())["segments"])
    return 0


def test_killed_in_the_middle_of_a_big_download_the_next_run_goes_on(
    origin: Origin, cache: Cache, small_segments: int
) -> None:
    data = noise(64 * small_segments)
    wanted = download(origin, "/big", data)
    origin.fault_of = lambda seen: Fault(stall_after=40_000)
    there = (transfer._LANES + 1) * 40_000  # the lanes, and the thread that asked first
    with child(cache, wanted, segment=small_segments) as process:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and noted(cache) < there:
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert process.returncode == -signal.SIGKILL
    assert cache.size().files == 0
    origin.fault_of = None
    origin.seen.clear()
    told: list[Event] = []
    assert have(wanted, cache, listener=told.append, patience=LASTING).path.read_bytes() == data
    resumed = next(event for event in told if isinstance(event, Resumed))
    assert resumed.received == there
    assert origin.sent == len(data) - there


def test_killed_run_keeps_the_files_that_were_complete(origin: Origin, cache: Cache) -> None:
    small = [download(origin, f"/{n}", noise(1000, n)) for n in range(5)]
    big = download(origin, "/big", noise(1 << 20) * 10)
    origin.fault_of = lambda seen: Fault(stall_after=1000) if seen.path == "/big" else None
    with child(cache, *small, big) as process:
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline and cache.size().files < 5:
            time.sleep(0.02)
        process.kill()
    origin.fault_of = None
    origin.seen.clear()
    Fetcher(cache, patience=PATIENCE).fetch([*small, big])
    assert {seen.path for seen in origin.seen} == {"/big"}


def test_two_processes_want_the_same_files_and_each_is_fetched_once(origin: Origin, cache: Cache) -> None:
    wanted = [download(origin, f"/{n}", noise(100_000, n)) for n in range(8)]
    origin.rate = 400_000
    with child(cache, *wanted) as one, child(cache, *reversed(wanted)) as other:
        outs = [process.communicate(timeout=60) for process in (one, other)]
    assert [process.returncode for process in (one, other)] == [0, 0], outs
    assert sorted(seen.path for seen in origin.seen) == sorted(f"/{n}" for n in range(8))
    assert cache.verify() == ()


def test_waiting_for_another_process_is_told_and_its_death_hands_the_work_over(origin: Origin, cache: Cache) -> None:
    data = noise(500_000)
    wanted = download(origin, "/a", data)
    origin.faults = [Fault(stall_after=100_000)]
    told: list[Event] = []
    with child(cache, wanted) as process:
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline and not origin.seen:
            time.sleep(0.02)

        def listener(event: Event) -> None:
            told.append(event)
            if isinstance(event, Waiting):
                process.kill()

        assert have(wanted, cache, listener=listener).path.read_bytes() == data
    assert isinstance(told[0], Waiting)


def test_ctrl_c_while_files_are_handed_out_does_not_wait_for_a_stall(
    origin: Origin, cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Pressed(ThreadPoolExecutor):
        def submit(self, *args: Any, **options: Any) -> Future[Any]:
            if submitted:
                assert asked.wait(60)
                raise KeyboardInterrupt
            submitted.append(super().submit(*args, **options))
            return submitted[0]

    submitted: list[Future[Any]] = []
    asked = threading.Event()

    def fault_of(_: Seen) -> Fault:
        asked.set()
        return Fault(stall_after=20_000)

    origin.fault_of = fault_of
    monkeypatch.setattr("kpack.fetch.fetcher.ThreadPoolExecutor", Pressed)
    with pytest.raises(KeyboardInterrupt):
        Fetcher(cache).fetch([download(origin, f"/{n}", noise(100_000, n)) for n in range(2)])
    assert isinstance(submitted[0].exception(), Stopped)


@pytest.mark.parametrize("how", ["interrupt", "failure"])
def test_stalled_connections_do_not_hold_up_the_end(origin: Origin, cache: Cache, how: str) -> None:
    stalled = [download(origin, f"/{n}", noise(100_000, n)) for n in range(3)]
    bad = Download(name="bad", urls=(origin.url + "/none",), sha256="0" * 64)
    all_asked = threading.Event()

    def fault_of(seen: Seen) -> Fault | None:
        if len({item.path for item in origin.seen}) >= 3:
            all_asked.set()
        return Fault(stall_after=20_000)

    origin.fault_of = fault_of
    with child(cache, *stalled, *([bad] if how == "failure" else [])) as process:
        assert all_asked.wait(20)
        if how == "interrupt":
            process.send_signal(signal.SIGINT)
        process.wait(60)  # much less than the child's patience with a stall
        assert process.returncode != 0
