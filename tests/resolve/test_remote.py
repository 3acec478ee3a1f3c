"""A wheel behind HTTP: what a server may do with a Range ends in the file, or in an error that names the answer."""

from __future__ import annotations

import gzip
import json
import threading
import urllib.parse
import zipfile
from typing import TYPE_CHECKING, Any

import pytest

from kpack.errors import IntegrityError, NetworkError
from kpack.resolve.wire import IndexAddress
from kpack.resolve.worker.connection import connect
from kpack.resolve.worker.remote import ENOUGH, TAIL, RemoteFile
from kpack.resolve.worker.web import Unreachable
from tests.resolve.scenario import packed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from http.server import BaseHTTPRequestHandler
    from pathlib import Path

    from kpack.resolve.worker.web import Web
    from tests.resolve.scenario import Scenario
    from tests.support.index import IndexServer


@pytest.fixture
def web(scenario: Scenario) -> Iterator[Web]:
    found = connect((IndexAddress(url=scenario.index.url),), "", lambda _count: None).web
    yield found
    found.close()


@pytest.fixture
def wheel(tmp_path: Path) -> bytes:
    """The bytes of an archive whose first entry is far from its end."""
    path = tmp_path / "x.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("first.txt", "hello")
        archive.writestr("large.bin", bytes(ENOUGH + TAIL))
    return path.read_bytes()


def asked(handler: Any, size: int) -> tuple[int, int] | None:
    """Return first and last offset of the Range that was asked for, None for the whole file."""
    wanted = handler.headers.get("Range")
    if wanted is None:
        return None
    first, _, last = wanted.removeprefix("bytes=").partition("-")
    return (int(first), int(last)) if first else (size - int(last), size - 1)


def serve(index: IndexServer, content: bytes, odd: Callable[[Any, int, int], None]) -> list[str]:
    """Serve ``content`` at any URL; ``odd`` answers each Range. Return the list of what was asked for."""
    spans: list[str] = []

    def intercept(handler: BaseHTTPRequestHandler) -> bool:
        span = asked(handler, len(content))
        spans.append(handler.headers.get("Range") or "whole")
        if span is None:
            handler.answer(200, content, "application/octet-stream")  # type: ignore[attr-defined]
        else:
            odd(handler, *span)
        return True

    index.intercept = intercept
    return spans


def good(content: bytes) -> Callable[[Any, int, int], None]:
    def answer(handler: Any, first: int, last: int) -> None:
        said = f"bytes {first}-{last}/{len(content)}"
        handler.answer(206, content[first : last + 1], "application/zip", Content_Range=said)

    return answer


def test_one_entry_of_a_wheel_is_read_without_the_rest(scenario: Scenario, web: Web, wheel: bytes) -> None:
    spans = serve(scenario.index, wheel, good(wheel))
    with RemoteFile(web, scenario.index.root + "/x") as file, zipfile.ZipFile(file) as archive:
        assert archive.read("first.txt") == b"hello"
    assert len(spans) == 2
    assert "whole" not in spans


def compressed(handler: Any, first: int, last: int) -> None:
    body = gzip.compress(bytes(last + 1 - first))
    handler.answer(206, body[5:], Content_Encoding="gzip", Content_Range=f"bytes {first}-{last}/9999999")


ODD: dict[str, Callable[[bytes], Callable[[Any, int, int], None]]] = {
    "ignored": lambda body: lambda handler, _first, _last: handler.answer(200, body),
    "length unknown": lambda body: (
        lambda handler, first, last: handler.answer(
            206, body[first : last + 1], Content_Range=f"bytes {first}-{last}/*"
        )
    ),
    "no Content-Range": lambda body: lambda handler, first, last: handler.answer(206, body[first : last + 1]),
    "a slice with 200": lambda body: (
        lambda handler, first, last: handler.answer(
            200, body[first : last + 1], Content_Range=f"bytes {first}-{last}/{len(body)}"
        )
    ),
    "a slice with 200 and no word": lambda body: (
        lambda handler, first, last: handler.answer(200, body[first : last + 1])
    ),
    "another range": lambda body: (
        lambda handler, _first, _last: handler.answer(206, body[:10], Content_Range=f"bytes 0-9/{len(body)}")
    ),
    "no numbers": lambda body: (
        lambda handler, first, last: handler.answer(206, body[first : last + 1], Content_Range="bytes x-9/10")
    ),
    "forbidden": lambda _body: lambda handler, _first, _last: handler.answer(403, b"no"),
    "not implemented": lambda _body: lambda handler, _first, _last: handler.answer(501, b"no"),
    "not satisfiable": lambda _body: lambda handler, _first, _last: handler.answer(416, b""),
    "compressed": lambda _body: compressed,
}


@pytest.mark.parametrize("kind", ODD)
def test_any_other_answer_to_a_range_leads_to_the_whole_file(
    scenario: Scenario, web: Web, wheel: bytes, kind: str
) -> None:
    spans = serve(scenario.index, wheel, ODD[kind](wheel))
    with RemoteFile(web, scenario.index.root + "/x?sig=1") as file, zipfile.ZipFile(file) as archive:
        assert archive.read("first.txt") == b"hello"
        assert file.size == len(wheel)
    assert spans == [f"bytes=-{TAIL}", "whole"]


def test_a_range_that_fails_only_later_leads_to_the_whole_file(scenario: Scenario, web: Web, wheel: bytes) -> None:
    answers = iter([good(wheel), ODD["forbidden"](wheel)])
    spans = serve(scenario.index, wheel, lambda handler, first, last: next(answers)(handler, first, last))
    with RemoteFile(web, scenario.index.root + "/x") as file, zipfile.ZipFile(file) as archive:
        assert archive.read("first.txt") == b"hello"
    assert spans[-1] == "whole"


@pytest.mark.parametrize("status", [401, 403, 404, 410])
def test_a_file_that_is_refused_with_and_without_range_is_named(scenario: Scenario, web: Web, status: int) -> None:
    def intercept(handler: BaseHTTPRequestHandler) -> bool:
        handler.answer(status, b"no")  # type: ignore[attr-defined]
        return True

    scenario.index.intercept = intercept
    with pytest.raises(Unreachable, match=f"it answered HTTP {status} for a file that its index lists"):
        RemoteFile(web, scenario.index.root + "/x")


def test_an_answer_without_end_is_read_no_further_than_wanted(scenario: Scenario, web: Web) -> None:
    closed = threading.Event()

    def intercept(handler: BaseHTTPRequestHandler) -> bool:
        handler.close_connection = True
        handler.send_response(200)
        handler.end_headers()
        try:
            while True:
                handler.wfile.write(bytes(TAIL))
        except OSError:
            closed.set()
        return True

    scenario.index.intercept = intercept
    answer = web.get(scenario.index.root + "/x", stop=ENOUGH)
    assert answer.cut
    assert len(answer.body) <= ENOUGH + TAIL
    assert closed.wait(60)


def test_a_server_that_gives_the_wheel_in_place_of_its_metadata_is_read_by_range(scenario: Scenario) -> None:
    """As those do that look at the path alone and take a signed query for the name of another file."""
    scenario.index.announce_metadata = False
    path = scenario.wheel("top", "1.0", "dep", files={"top.bin": bytes(ENOUGH * 2)}, stored=True)
    scenario.wheel("dep", "1.0")
    whole: list[str] = []

    def intercept(handler: BaseHTTPRequestHandler) -> bool:
        parts = urllib.parse.urlsplit(handler.path)
        if parts.path == f"/files/{path.name}.metadata":
            whole.append(parts.query)
            handler.answer(200, path.read_bytes())  # type: ignore[attr-defined]
            return True
        return False

    scenario.index.intercept = intercept
    assert packed(scenario.lock("top")) == {"dep": "1.0", "top": "1.0"}
    assert whole == [""]


def test_metadata_is_asked_for_before_the_query_of_a_signed_url(scenario: Scenario) -> None:
    wheel = scenario.wheel("top", "1.0")
    asked_for: list[str] = []

    def intercept(handler: BaseHTTPRequestHandler) -> bool:
        asked_for.append(handler.path)
        if handler.path != "/simple/top/":
            return False
        row = {"filename": wheel.name, "url": f"../../files/{wheel.name}?sig=abc", "hashes": {"sha256": "0" * 64}}
        handler.answer(200, json.dumps({"files": [row]}).encode(), "application/json")  # type: ignore[attr-defined]
        return True

    scenario.index.intercept = intercept
    scenario.lock("top")
    assert f"/files/{wheel.name}.metadata?sig=abc" in asked_for


@pytest.mark.parametrize("body", [b"<!doctype html><html>log in</html>", b"", b"PK\3\4 not much"])
def test_what_is_no_wheel_is_told_by_what_came(scenario: Scenario, body: bytes) -> None:
    scenario.index.announce_metadata = False
    wheel = scenario.wheel("top", "1.0")

    def intercept(handler: BaseHTTPRequestHandler) -> bool:
        if not handler.path.startswith(f"/files/{wheel.name}"):
            return False
        handler.answer(200, body, "text/html")  # type: ignore[attr-defined]
        return True

    scenario.index.intercept = intercept
    with pytest.raises((IntegrityError, NetworkError), match=f"no zip archive, or a cut one .{len(body)} bytes"):
        scenario.lock("top")
