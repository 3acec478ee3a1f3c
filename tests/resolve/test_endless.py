"""Answers of which nobody says how long they are: told where they end at a closed connection, refused where they break.

RFC 9112, sections 6.3 and 8: a body without length ends where the connection does; one in chunks ends with the last.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from kpack.errors import NetworkError
from tests.resolve.scenario import packed

if TYPE_CHECKING:
    from collections.abc import Callable
    from http.server import BaseHTTPRequestHandler

    from tests.resolve.scenario import Scenario


def until_closed(handler: Any, body: bytes) -> None:
    handler.end_headers()
    handler.wfile.write(body)
    handler.close_connection = True


def without_last_chunk(handler: Any, body: bytes) -> None:
    handler.send_header("Transfer-Encoding", "chunked")
    handler.end_headers()
    handler.wfile.write(b"%x\r\n" % len(body) + body + b"\r\n")
    handler.close_connection = True


def in_chunks(handler: Any, body: bytes) -> None:
    without_last_chunk(handler, body)
    handler.wfile.write(b"0\r\n\r\n")


def speaks(scenario: Scenario, how: Callable[[Any, bytes], None], *, ending: str = "/") -> None:
    """Have the index answer what ends in ``ending`` without Content-Length, as ``how`` does."""

    def intercept(handler: BaseHTTPRequestHandler) -> bool:
        if not handler.path.endswith(ending):
            return False
        send = handler.send_header

        def sent(keyword: str, value: str) -> None:
            if keyword != "Content-Length":
                send(keyword, value)

        handler.send_header = sent  # type: ignore[method-assign]
        write, ended = handler.wfile.write, handler.end_headers
        parts: list[bytes] = []
        handler.end_headers = lambda: None  # type: ignore[method-assign]
        handler.wfile.write = parts.append  # type: ignore[method-assign,assignment]
        scenario.index.intercept = None
        try:
            handler.do_GET()  # type: ignore[attr-defined]
        finally:
            scenario.index.intercept = intercept
            handler.wfile.write = write  # type: ignore[method-assign]
            handler.end_headers = ended  # type: ignore[method-assign]
        how(handler, b"".join(parts))
        return True

    scenario.index.intercept = intercept


def test_page_that_ends_with_its_connection_is_told_each_time(scenario: Scenario) -> None:
    scenario.wheel("top", "1.0")
    scenario.index.page_headers = {"Cache-Control": "max-age=600"}
    speaks(scenario, until_closed)
    for _ in range(2):
        found = scenario.lock("top")
        assert packed(found) == {"top": "1.0"}
        (note,) = (note for note in found.notes if "how long" in note)
        assert "does not say how long its answers are" in note
        assert "top" in note


def test_page_in_chunks_is_whole(scenario: Scenario) -> None:
    scenario.wheel("top", "1.0")
    speaks(scenario, in_chunks)
    assert not [note for note in scenario.lock("top").notes if "how long" in note]


def test_page_without_its_last_chunk_is_refused(scenario: Scenario, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kpack.resolve.worker.transport.time.sleep", lambda _: None)
    scenario.wheel("top", "1.0")
    speaks(scenario, without_last_chunk)
    with pytest.raises(NetworkError):
        scenario.lock("top")


def test_metadata_that_may_be_cut_and_has_no_digest_is_read_from_the_wheel(scenario: Scenario) -> None:
    scenario.index.announce_metadata = False
    scenario.wheel("top", "1.0", "below")
    scenario.wheel("below", "1.0")
    speaks(
        scenario, lambda handler, body: until_closed(handler, body.partition(b"Requires-Dist")[0]), ending=".metadata"
    )
    found = scenario.lock("top")
    assert packed(found) == {"top": "1.0", "below": "1.0"}
    assert not [note for note in found.notes if "how long" in note]
