"""Rows and files that cannot be read: they do not end a lock, and say why when they would have been the answer."""

from __future__ import annotations

import json
import threading
import zipfile
from typing import TYPE_CHECKING, Any

import pytest

from kpack.errors import IntegrityError, NetworkError, NoSolution
from kpack.resolve.assemble import moment
from kpack.resolve.worker import watch
from kpack.resolve.worker.requirements import readable
from tests.resolve.scenario import Scenario, known, packed
from tests.support.wheels import make_wheel

if TYPE_CHECKING:
    from collections.abc import Callable
    from http.server import BaseHTTPRequestHandler
    from pathlib import Path

ENDLESS = "9" * 5000
JSON = "application/vnd.pypi.simple.v1+json"


def serving(
    scenario: Scenario, change: Callable[[list[dict[str, Any]]], None]
) -> Callable[[BaseHTTPRequestHandler], bool]:
    """Return an interceptor that gives the page of ``top`` with its rows changed."""

    def intercept(handler: Any) -> bool:
        if handler.path != "/simple/top/":
            return False
        sent: dict[str, bytes] = {}
        handler.answer, original = lambda status, body, *_, **__: sent.update(body=body), handler.answer
        handler.page("top")
        handler.answer = original
        page = json.loads(sent["body"])
        change(page["files"])
        handler.answer(200, json.dumps(page).encode(), JSON)
        return True

    return intercept


ROWS: dict[str, dict[str, Any]] = {
    "sha256 is no text": {"hashes": {"sha256": 5}},
    "sha256 is none": {"hashes": {"sha256": "zz"}},
    "hashes are nested": {"hashes": {"sha256": ["a"]}},
    "URL is none": {"url": "http://[::1"},
    "URL of half a character": {"url": "http://host/\ud800"},
}
"""What makes a row of no use, whatever else is on the page."""

NAMES = {
    "version": f"top-{ENDLESS}-py3-none-any.whl",
    "build tag": f"top-3.0-{ENDLESS}-py3-none-any.whl",
    "tags": f"top-3.0-{'a' * 5000}.whl",
    "no name": "",
}


@pytest.mark.parametrize("kind", ROWS)
def test_row_that_cannot_be_read_gives_way_to_the_next_version(scenario: Scenario, kind: str) -> None:
    scenario.wheel("top", "1.0")
    scenario.wheel("top", "2.0")
    scenario.index.intercept = serving(scenario, lambda rows: rows[1].update(ROWS[kind]))
    answer = scenario.lock("top")
    assert packed(answer) == {"top": "1.0"}
    assert "2.0 has " in answer.held_back[0].because


@pytest.mark.parametrize("kind", ROWS)
def test_row_that_cannot_be_read_says_why_when_it_is_the_answer(scenario: Scenario, kind: str) -> None:
    scenario.wheel("top", "2.0")
    scenario.index.intercept = serving(scenario, lambda rows: rows[0].update(ROWS[kind]))
    with pytest.raises(IntegrityError, match=r"needs top, but top 2\.0 has (no valid sha256|a URL) .* its index"):
        scenario.lock("top")


@pytest.mark.parametrize("kind", NAMES)
def test_file_name_that_cannot_be_read_is_none(scenario: Scenario, kind: str) -> None:
    scenario.wheel("top", "1.0")
    scenario.index.intercept = serving(scenario, lambda rows: rows.append({**rows[0], "filename": NAMES[kind]}))
    assert packed(scenario.lock("top")) == {"top": "1.0"}


@pytest.mark.parametrize(
    "facts",
    [
        {"size": -5},
        {"size": True},
        {"size": 10**30},
        {"size": "7"},
        {"upload-time": "0001-01-01T00:00:00+23:59"},
        {"upload-time": "9999-12-31T23:59:59-23:59"},
        {"upload-time": "99999"},
        {"requires-python": f">={ENDLESS}"},
        {"requires-python": f">=3.{ENDLESS}"},
        {"core-metadata": {"sha256": 5}},
        {"yanked": {}},
    ],
)
def test_fact_that_cannot_be_read_counts_as_none(scenario: Scenario, facts: dict[str, Any]) -> None:
    scenario.wheel("top", "1.0")
    scenario.index.intercept = serving(scenario, lambda rows: rows[0].update(facts))
    wheel = scenario.lock("top").packed[0].wheel
    assert wheel is not None
    if "size" in facts:
        assert wheel.size is None
    if "upload-time" in facts:
        assert wheel.upload_time is None


def test_upload_time_out_of_range_is_none() -> None:
    assert moment("0001-01-01T00:00:00+23:59") is None


@pytest.mark.parametrize(
    "line",
    [
        f"dep>={ENDLESS}",
        f"dep; python_version > '{ENDLESS}'",
        "dep; python_version ~= 'x'",
        "dep; 'x' in extras",
        "dep; os_name === 'posix'",
        "dep; " + "(" * 5000 + "os_name == 'x'" + ")" * 5000,
        "dep" + " " * 100_000 + ">=1",
        "dep (>=1.0 <99)",
    ],
)
def test_requirement_that_cannot_be_read_is_quoted(scenario: Scenario, line: str) -> None:
    assert not readable(line)
    scenario.wheel("dep")
    scenario.wheel("top", "1.0")
    scenario.wheel("top", "2.0", line)
    assert packed(scenario.lock("top"))["top"] == "1.0"
    with pytest.raises(NoSolution, match=r"top 2\.0 asks for .dep.* no valid requirement"):
        scenario.lock("top==2.0")


def test_requirement_of_a_given_wheel_is_read_as_of_any_and_quoted_when_it_cannot_be(scenario: Scenario) -> None:
    scenario.wheel("dep", "2.0")
    given = make_wheel(scenario.folder, "given", metadata="Name: given\nVersion: 1.0\nRequires-Dist: dep\n (>=1)\n")
    assert packed(scenario.lock(f"given @ {given.as_uri()}")) == {"given": "1.0", "dep": "2.0"}
    given = make_wheel(scenario.folder, "given", requires=["dep>="])
    with pytest.raises(
        IntegrityError, match=r"given 1\.0 asks for 'dep>=' in its METADATA, which is no valid"
    ) as error:
        scenario.lock(f"given @ {given.as_uri()}")
    assert error.value.next


def test_metadata_that_is_not_utf8_gives_way_to_the_next_version(scenario: Scenario) -> None:
    scenario.wheel("top", "1.0")
    scenario.wheel("top", "2.0", metadata=b"Metadata-Version: 2.1\nName: top\nVersion: 2.0\n\ngr\xf6\xdfe\n")
    assert packed(scenario.lock("top")) == {"top": "1.0"}
    with pytest.raises(NoSolution, match=r"top 2\.0 has a METADATA that is not UTF-8"):
        scenario.lock("top==2.0")


def test_requirement_of_a_base_package_that_cannot_be_read_is_passed_over(scenario: Scenario) -> None:
    scenario.wheel("top", "1.0", "torch")
    base = {"torch": known("torch", "2.0", ["dep >= 1 or so", "dep; python_version ~= 'x'"])}
    assert packed(scenario.lock("top", base=base, replace=["dep"])) == {"top": "1.0"}


def spoil(path: Any, how: str) -> None:
    """Make the wheel at ``path`` one that cannot be read."""
    data = path.read_bytes()
    if how == "empty":
        path.write_bytes(b"")
    elif how == "tiny":
        path.write_bytes(b"Not found")
    elif how == "page":
        path.write_bytes(b"<html><body>" + b"x" * 90_000)
    elif how == "cut":
        path.write_bytes(data[: len(data) // 2])
    elif how == "encrypted":
        central = data.index(b"PK\x01\x02")
        spots = [6, *(at + 8 for at in _all(data, b"PK\x01\x02", central))]
        for at in spots:
            data = data[:at] + bytes([data[at] | 1]) + data[at + 1 :]
        path.write_bytes(data)
    elif how == "deflate":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("top-2.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: top\nVersion: 2.0\n" * 99)
        data = path.read_bytes()
        start = 30 + len("top-2.0.dist-info/METADATA")
        path.write_bytes(data[:start] + b"\xff" * 12 + data[start + 12 :])
    else:
        method = {"bz2": zipfile.ZIP_BZIP2, "lzma": zipfile.ZIP_LZMA}[how]
        with zipfile.ZipFile(path, "w", method) as archive:
            archive.writestr("top-2.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: top\nVersion: 2.0\n" * 99)


def _all(data: bytes, word: bytes, at: int) -> list[int]:
    found = []
    while at != -1:
        found.append(at)
        at = data.find(word, at + 1)
    return found


@pytest.mark.parametrize("how", ["empty", "tiny", "page", "cut", "encrypted", "deflate", "bz2", "lzma"])
@pytest.mark.parametrize("ranges", [True, False])
def test_wheel_that_cannot_be_read_gives_way_or_is_named(scenario: Scenario, how: str, *, ranges: bool) -> None:
    scenario.index.announce_metadata = False

    def intercept(handler: Any) -> bool:
        if handler.path.endswith(".metadata"):
            handler.answer(404, b"")
            return True
        if not ranges:
            del handler.headers["Range"]
        return False

    path = scenario.wheel("top", "2.0")
    spoil(path, how)
    scenario.index.intercept = intercept
    before = len(scenario.index.requests)
    with pytest.raises((IntegrityError, NoSolution), match=r"top 2\.0 has a.*top-2\.0-py3-none-any\.whl"):
        scenario.lock("top")
    assert len(scenario.index.requests) - before < 20
    scenario.wheel("top", "1.0")
    assert packed(scenario.lock("top")) == {"top": "1.0"}


def test_page_with_odd_declarations_is_read(scenario: Scenario) -> None:
    scenario.wheel("top", "1.0")
    scenario.index.html = True

    def intercept(handler: Any) -> bool:
        original = handler.answer
        handler.answer = lambda status, body, *more, **headers: original(
            status,
            body.replace(b"<body>", b'<body><![ x ><![if !IE]><a href="http://[::1/top-3.0.tar.gz">x</a>'),
            *more,
        )
        return False

    scenario.index.intercept = intercept
    assert packed(scenario.lock("top")) == {"top": "1.0"}


def test_deep_json_is_a_network_error(scenario: Scenario) -> None:
    def intercept(handler: Any) -> bool:
        handler.answer(200, b'{"files": ' + b"[" * 200_000 + b"]" * 200_000 + b"}", JSON)
        return True

    scenario.index.intercept = intercept
    with pytest.raises(NetworkError, match="no valid JSON"):
        scenario.lock("top")


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_page_that_is_refused_for_a_while_is_asked_for_again(scenario: Scenario, status: int) -> None:
    scenario.wheel("top", "1.0")
    answered: list[str] = []

    def intercept(handler: Any) -> bool:
        if handler.path != "/simple/top/" or len(answered) >= 2:
            return False
        answered.append(handler.path)
        handler.answer(status, b"", Retry_After="0")
        return True

    scenario.index.intercept = intercept
    assert packed(scenario.lock("top")) == {"top": "1.0"}


def test_page_that_is_cut_is_asked_for_again(scenario: Scenario) -> None:
    scenario.wheel("top", "1.0")
    answered: list[str] = []

    def intercept(handler: Any) -> bool:
        if handler.path != "/simple/top/" or answered:
            return False
        answered.append(handler.path)
        handler.send_response(200)
        handler.send_header("Content-Type", JSON)
        handler.send_header("Content-Length", "5000")
        handler.end_headers()
        handler.wfile.write(b'{"files": [], "name": "top"}')
        handler.close_connection = True
        return True

    scenario.index.intercept = intercept
    assert packed(scenario.lock("top")) == {"top": "1.0"}
    assert len(answered) == 1


@pytest.mark.parametrize("where", ["headers", "body"])
def test_page_that_drips_is_given_up(scenario: Scenario, monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    monkeypatch.setattr(watch, "SECONDS", 0.5)
    over = threading.Event()

    def intercept(handler: Any) -> bool:
        if where == "body":
            handler.send_response(200)
            handler.send_header("Content-Type", JSON)
            handler.send_header("Content-Length", "500000")
            handler.end_headers()
        else:
            handler.wfile.write(b"HTTP/1.1 200 OK\r\nX-Long: ")
        try:
            while not over.wait(0.05):
                handler.wfile.write(b"x")
                handler.wfile.flush()
        except OSError:
            pass
        handler.close_connection = True
        return True

    scenario.index.intercept = intercept
    try:
        with pytest.raises(NetworkError):
            scenario.lock("top")
    finally:
        over.set()


@pytest.mark.parametrize("version", ["abc", "9" * 5000])
def test_a_wheel_that_is_given_without_a_version_is_no_fault_of_the_resolver(
    scenario: Scenario, tmp_path: Path, version: str
) -> None:
    path = tmp_path / "given-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("given-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        archive.writestr("given-1.0.dist-info/METADATA", f"Metadata-Version: 2.1\nName: given\nVersion: {version}\n")
    with pytest.raises(IntegrityError, match="given: its METADATA says version '"):
        scenario.lock(f"given @ {path.as_uri()}")
