"""Servers that answer a Range oddly, or send something else than the file with status 200."""

from __future__ import annotations

import gzip
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import TYPE_CHECKING

import pytest

from kpack.errors import IntegrityError, NetworkError, UsageError
from kpack.fetch import Download, Fetcher, Patience
from kpack.fetch.content import Facts, instead
from tests.fetch.conftest import PATIENCE, download, have, noise, sha
from tests.support.origin import Fault

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from kpack.cache import Cache
    from tests.support.origin import Origin

Answer = tuple[int, dict[str, str], bytes]
DATA = noise(300_000)


class Odd:
    """A server whose answers are a function of the range asked for, None for a plain GET."""

    def __init__(self) -> None:
        self.answer: Callable[[tuple[int, int] | None], Answer] = lambda _span: (200, {}, DATA)
        self.asked: list[str | None] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: object) -> None:
                pass

            def do_GET(self) -> None:
                text = self.headers.get("Range")
                outer.asked.append(text)
                first, _, last = (text or "").removeprefix("bytes=").partition("-")
                span = None if text is None else (int(first), min(int(last or len(DATA) - 1), len(DATA) - 1))
                status, headers, body = outer.answer(span)
                self.send_response(status)
                for key, value in {"Content-Length": str(len(body)), **headers}.items():
                    if value:
                        self.send_header(key, value)
                self.end_headers()
                self.wfile.write(body)
                self.close_connection = not headers.get("Content-Length", "x")

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def odd() -> Iterator[Odd]:
    server = Odd()
    yield server
    server.close()


def wanted(odd: Odd, *, sha256: str | None, name: str = "model.bin") -> Download:
    return Download(name=name, urls=(f"{odd.url}/{name}",), sha256=sha256)


def part(span: tuple[int, int]) -> bytes:
    return DATA[span[0] : span[1] + 1]


ODD_RANGES: dict[str, Callable[[tuple[int, int]], Answer]] = {
    "unknown total": lambda span: (206, {"Content-Range": f"bytes {span[0]}-{span[1]}/*"}, part(span)),
    "no Content-Range": lambda span: (206, {}, part(span)),
    "parts": lambda span: (206, {"Content-Type": "multipart/byteranges; boundary=x"}, b"--x\r\n" + part(span)),
    "another start": lambda span: (206, {"Content-Range": f"bytes 7-{len(DATA) - 1}/{len(DATA)}"}, DATA[7:]),
    "a slice as 200": lambda span: (200, {}, part(span)),
    "a slice as 200 with Content-Range": lambda span: (
        200,
        {"Content-Range": f"bytes {span[0]}-{span[1]}/{len(DATA)}"},
        part(span)[:1000],
    ),
    "a slice as 200 without length": lambda span: (200, {"Content-Length": ""}, part(span)),
    "403": lambda span: (403, {}, b"no ranges"),
    "400": lambda span: (400, {}, b"no ranges"),
    "416": lambda span: (416, {}, b"no ranges"),
    "500": lambda span: (500, {}, b"no ranges"),
    "501": lambda span: (501, {}, b"no ranges"),
    "wrong bytes": lambda span: (206, {"Content-Range": f"bytes {span[0]}-{span[1]}/{len(DATA)}"}, part(span)[::-1]),
}


@pytest.mark.parametrize("given", [True, False])
@pytest.mark.parametrize("kind", ODD_RANGES)
def test_odd_answer_to_a_range_leads_to_the_whole_file(
    odd: Odd, cache: Cache, small_segments: int, kind: str, *, given: bool
) -> None:
    if kind == "wrong bytes" and not given:
        pytest.skip("nothing tells")
    odd.answer = lambda span: (200, {"ETag": '"1"'}, DATA) if span is None else ODD_RANGES[kind](span)
    got = have(wanted(odd, sha256=sha(DATA) if given else None), cache)
    assert got.path.read_bytes() == DATA
    assert got.delimited
    assert None in odd.asked


@pytest.mark.parametrize("kind", ["403", "501"])
def test_range_refused_and_file_too_is_exit_4_with_the_answer(
    odd: Odd, cache: Cache, small_segments: int, kind: str
) -> None:
    odd.answer = lambda _span: (int(kind), {}, b"no")
    with pytest.raises(NetworkError, match=f"status {kind}"):
        have(wanted(odd, sha256=None), cache)


def test_ranges_that_always_break_end_in_exit_4_with_what_broke(
    origin: Origin, cache: Cache, small_segments: int
) -> None:
    data = noise(8 * small_segments)
    file = download(origin, "/a", data)
    origin.fault_of = lambda seen: Fault(stop_after=0) if seen.range and not seen.range.startswith("bytes=0-") else None
    with pytest.raises(NetworkError, match=r"tried 3 times"):
        have(file, cache)
    origin.fault_of = lambda seen: Fault(status=503) if seen.range and not seen.range.startswith("bytes=0-") else None
    with pytest.raises(NetworkError, match=r"status 503"):
        have(file, cache)


PAGE = b"<!DOCTYPE html><html><head><title>Quota exceeded</title></head></html>"
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 5\n"
INSTEAD: dict[str, Answer] = {
    "a web page": (200, {"Content-Type": "text/html; charset=utf-8"}, PAGE),
    "web page": (200, {"Content-Type": "application/octet-stream"}, b"\n<html>" + PAGE),
    "answer in JSON": (200, {"Content-Type": "application/json"}, b'{"error": "quota exceeded"}'),
    "error message in XML": (
        200,
        {"Content-Type": "application/xml"},
        b"<?xml version='1.0'?>\n<Error><Code>AccessDenied",
    ),
    "git-lfs pointer": (200, {"Content-Type": "text/plain"}, POINTER),
    "Content-Encoding gzip": (200, {"Content-Encoding": "gzip"}, gzip.compress(b"{}" * 900)),
}


@pytest.mark.parametrize("kind", INSTEAD)
def test_what_is_no_file_is_named_and_not_taken(odd: Odd, cache: Cache, kind: str) -> None:
    odd.answer = lambda _span: INSTEAD[kind]
    with pytest.raises(NetworkError, match=kind):
        have(wanted(odd, sha256=None), cache)
    with pytest.raises(IntegrityError, match=f"sha256 is .*{kind}"):
        have(wanted(odd, sha256="0" * 64), cache)
    assert cache.size().files == 0


@pytest.mark.parametrize("kind", INSTEAD)
def test_size_of_what_is_no_file_is_not_believed(odd: Odd, cache: Cache, kind: str) -> None:
    odd.answer = lambda _span: INSTEAD[kind]
    assert Fetcher(cache, patience=PATIENCE).size_of(wanted(odd, sha256="0" * 64)) is None


@pytest.mark.parametrize("total", ["1", "299999", "*"])
def test_size_is_not_believed_when_the_answers_disagree(odd: Odd, cache: Cache, total: str) -> None:
    odd.answer = lambda span: (
        (200, {}, DATA) if span is None else (206, {"Content-Range": f"bytes 0-511/{total}"}, DATA[:512])
    )
    assert Fetcher(cache, patience=PATIENCE).size_of(wanted(odd, sha256=None)) in {None, len(DATA)}


@pytest.mark.parametrize("claimed", [len(DATA) - 1000, len(DATA) + 1000, 1])
def test_length_that_is_claimed_throughout_and_wrong_is_not_believed(odd: Odd, cache: Cache, claimed: int) -> None:
    def answer(span: tuple[int, int] | None) -> Answer:
        if span is None:
            return 200, {"Content-Length": str(claimed), "Connection": "close"}, DATA
        return 206, {"Content-Range": f"bytes {span[0]}-{span[1]}/{claimed}", "Connection": "close"}, part(span)

    odd.answer = answer
    assert Fetcher(cache, patience=PATIENCE).size_of(wanted(odd, sha256=sha(DATA))) is None
    for given in (None, sha(DATA)):
        with pytest.raises((IntegrityError, NetworkError)):
            have(wanted(odd, sha256=given), cache)
    assert cache.size().files == 0


def test_name_may_promise_what_comes() -> None:
    assert instead("/a.json.gz", b"\x1f\x8b", Facts("application/gzip", "gzip")) is None
    assert instead("/a.json", b"\x1f\x8b", Facts("application/gzip", "gzip")) is not None
    for coding in ("utf-8", "aws-chunked", "identity", "UTF-8, aws-chunked"):
        assert instead("/model.bin", b"weights", Facts("application/octet-stream", coding)) is None
    for coding in ("aws-chunked, gzip", "rot13", "gzip, br"):
        assert instead("/model.bin", b"weights", Facts("application/octet-stream", coding)) is not None
    assert instead("/a.json.gz", b"\x1f\x8b", Facts("application/gzip", "aws-chunked,gzip")) is None
    assert instead("/page.html", PAGE, Facts("text/html")) is None
    assert instead("/config.json", b"{}", Facts("application/json")) is None
    assert instead("/vocabulary", b"{}", Facts("application/json")) is None
    assert instead("/model.pmml", b"<?xml version='1.0'?><PMML>", Facts("application/xml")) is None
    assert instead("/w.bin", b"\x80\x02\x00weights", Facts("text/html")) is None


def test_end_without_any_length_is_reported(odd: Odd, cache: Cache) -> None:
    odd.answer = lambda _span: (200, {"Content-Length": ""}, DATA[:1000])
    assert not have(wanted(odd, sha256=None), cache).delimited
    assert have(wanted(odd, sha256=sha(DATA[:1000])), cache).delimited


def test_chunks_without_the_last_one_are_no_file(odd: Odd, cache: Cache) -> None:
    odd.answer = lambda _span: (200, {"Content-Length": "", "Transfer-Encoding": "chunked"}, b"5\r\nhello\r\n")
    with pytest.raises(NetworkError):
        have(wanted(odd, sha256=None), cache)
    odd.answer = lambda _span: (
        200,
        {"Content-Length": "", "Transfer-Encoding": "chunked"},
        b"5\r\nhello\r\n0\r\n\r\n",
    )
    assert have(wanted(odd, sha256=None), cache).delimited


def test_bytes_that_drip_do_not_renew_patience(origin: Origin, cache: Cache) -> None:
    origin.rate = 100_000
    patience = Patience(connect=2, stall=0.2, slowest=1e9, attempts=3, backoff=0.01)
    with pytest.raises(NetworkError, match=r"only \d+ bytes in .*tried 3 times"):
        have(download(origin, "/a", noise(1_000_000)), cache, patience=patience)
    assert len(origin.seen) <= 6


def test_one_file_has_a_total_patience(origin: Origin, cache: Cache) -> None:
    origin.rate = 100_000
    patience = Patience(connect=2, stall=5, slowest=0, total=0.3)
    with pytest.raises(NetworkError, match=r"did not end within 0.3 s"):
        have(download(origin, "/a", noise(1_000_000)), cache, patience=patience)


def test_patience_is_set_by_variables_that_are_checked() -> None:
    assert Patience.of_environment({}) == Patience()
    set_ = Patience.of_environment({"KPACK_FETCH_SLOWEST": "0", "KPACK_FETCH_SECONDS": "60"})
    assert (set_.slowest, set_.total) == (0, 60)
    for name, text in (("SLOWEST", "fast"), ("SECONDS", "0"), ("SECONDS", "-1"), ("SLOWEST", "nan")):
        with pytest.raises(UsageError, match=f"KPACK_FETCH_{name}"):
            Patience.of_environment({f"KPACK_FETCH_{name}": text})
