"""A server that wants a signature which the lock left out: the page of the index has a fresh one."""

from __future__ import annotations

import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import TYPE_CHECKING

import pytest

from kpack.errors import NetworkError
from kpack.fetch import Download
from tests.fetch.conftest import have, noise, sha

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kpack.cache import Cache

DATA = noise(1000)
FILE = "/files/thing-1.0-py3-none-any.whl"
SIGNED = f"{FILE}?X-Amz-Signature=now&amp;Expires=1"


class Signing:
    """A server whose file wants the signature that its page tells."""

    def __init__(self) -> None:
        self.page = ""
        self.status = 403
        self.asked: list[str] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: object) -> None:
                pass

            def do_GET(self) -> None:
                outer.asked.append(self.path)
                body, status = outer.page.encode(), 200
                if self.path.startswith(FILE):
                    body, status = (DATA, 200) if self.path.endswith("Signature=now&Expires=1") else (b"", outer.status)
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def wanted(self) -> Download:
        return Download(
            name="thing", urls=(self.url + FILE,), sha256=sha(DATA), size=len(DATA), page=f"{self.url}/simple/thing/"
        )


@pytest.fixture
def signing() -> Iterator[Signing]:
    server = Signing()
    yield server
    server.close()


PAGES = {
    "json": json.dumps({"files": [3, {"url": 4}, {"url": "http://[::1"}, {"url": SIGNED.replace("&amp;", "&")}]}),
    "html": f'<a href="/x">x</a><a class=y href="../..{SIGNED}#sha256=0">y</a>',
    "base": f"<base href='/files/here/'><a href='../{SIGNED.removeprefix('/files/')}'>y</a>",
}


@pytest.mark.parametrize("status", [401, 403])
@pytest.mark.parametrize("page", PAGES)
def test_a_refused_file_is_asked_for_with_the_signature_of_the_page(
    signing: Signing, cache: Cache, page: str, status: int
) -> None:
    signing.page, signing.status = PAGES[page], status
    assert have(signing.wanted(), cache).path.read_bytes() == DATA
    assert signing.asked.count("/simple/thing/") == 1


@pytest.mark.parametrize(
    "page",
    [
        "",
        "{",
        "[" * 100_000,
        '{"files": 3}',
        '{"files": ' + "[" * 100_000,
        f'<a href="{FILE}">unsigned</a>',
        f'<a href="http://elsewhere.example{SIGNED}">another host</a>',
        f'<a href="{FILE}?X-Amz-Signature=stale">as little use as none</a>',
    ],
)
def test_a_page_without_one_leaves_the_refusal_as_it_is(signing: Signing, cache: Cache, page: str) -> None:
    signing.page = page
    with pytest.raises(NetworkError, match="status 403") as raised:
        have(signing.wanted(), cache)
    assert "check the credentials" in str(raised.value.next)
    assert "stale" not in str(raised.value)
    assert signing.asked.count("/simple/thing/") == 1
