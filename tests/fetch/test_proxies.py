"""A proxy that is in the way is named; the host behind it is not blamed, and no password is shown."""

from __future__ import annotations

import os
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest
import requests
from pip._vendor import requests as pips_requests

from kpack.errors import MachineError, NetworkError
from kpack.fetch import Download, Fetcher
from kpack.hosts import check_files, proxy_trouble
from kpack.resolve.worker.transport import Transport
from kpack.resolve.worker.web import Unreachable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import Any

    from kpack.cache import Cache

SECRET = "s3cret"


@pytest.fixture(autouse=True)
def _bare(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)


@contextmanager
def refusing() -> Iterator[str]:
    """Run a proxy that wants other credentials; give its address."""

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

        def do_GET(self) -> None:
            self.send_response(407)
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_CONNECT = do_GET  # noqa: N815 - its name in the standard library

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        yield f"127.0.0.1:{server.server_address[1]}"
        server.shutdown()


@pytest.mark.parametrize(
    ("proxy", "shown", "why"),
    [
        (f"http://bob:{SECRET}@127.0.0.1:1", "http://127.0.0.1:1", "refused the connection"),
        ("127.0.0.1:1", "http://127.0.0.1:1", "refused the connection"),
        (f"bob:{SECRET}@127.0.0.1:1", "http://127.0.0.1:1", "is no URL of a proxy"),
        ("http://proxy.invalid:3128", "http://proxy.invalid:3128", "its name is not known to DNS"),
        (f"http://[::1:{SECRET}", "(a URL that cannot be read)", "is no URL of a proxy"),
        ("::::", "(a URL that cannot be read)", "is no URL of a proxy"),
        (f"socks5://bob:{SECRET}@127.0.0.1:1", "socks5://127.0.0.1:1", "speaks SOCKS"),
    ],
)
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_both_clients_say_which_proxy_and_why(
    monkeypatch: pytest.MonkeyPatch, scheme: str, proxy: str, shown: str, why: str
) -> None:
    monkeypatch.setenv(f"{scheme}_proxy", proxy)
    client: Any
    for client in (requests, pips_requests):
        with pytest.raises(Exception) as caught:  # noqa: PT011 - of either library's own
            client.get(f"{scheme}://host.example/x", timeout=5)
        trouble = proxy_trouble(f"{scheme}://host.example/x", caught.value, client.utils)
        assert trouble is not None
        assert trouble.what.startswith(f"the proxy {shown} ({scheme}_proxy)")
        assert why in trouble.what
        assert f"correct {scheme}_proxy" in trouble.next
        assert SECRET not in str(trouble)


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_proxy_that_wants_credentials_is_told_by_fetch_and_lock(
    monkeypatch: pytest.MonkeyPatch, cache: Cache, scheme: str
) -> None:
    url = f"{scheme}://host.example/x"
    with refusing() as place:
        monkeypatch.setenv(f"{scheme.upper()}_PROXY", f"http://bob:{SECRET}@{place}")
        with pytest.raises(NetworkError, match=rf"the proxy http://{place} .* wants credentials") as caught:
            Fetcher(cache).fetch([Download(name="x", urls=(url,), sha256="0" * 64)])
        assert (caught.value.next or "").startswith(f"correct {scheme.upper()}_PROXY, or name the host in NO_PROXY")
        transport = Transport(pips_requests.Session(), lambda: None)
        with pytest.raises(Unreachable, match=rf"the proxy http://{place} .* wants credentials") as told:
            transport.get(url)
        assert told.value.failure().next == caught.value.next
    assert SECRET not in str(caught.value.to_dict())


def test_what_is_not_the_proxy_is_not_called_so(monkeypatch: pytest.MonkeyPatch) -> None:
    url = "http://host.example/x"
    assert proxy_trouble(url, requests.exceptions.ProxyError("no"), requests.utils) is None
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    assert proxy_trouble(url, requests.exceptions.ReadTimeout("timed out"), requests.utils) is None
    assert proxy_trouble(url, requests.exceptions.InvalidURL("label too long"), requests.utils) is None
    assert proxy_trouble(url, 403, requests.utils) is None
    monkeypatch.setenv("no_proxy", "host.example")
    assert proxy_trouble(url, requests.exceptions.ProxyError("no"), requests.utils) is None


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
@pytest.mark.parametrize("variable", ["NETRC", "REQUESTS_CA_BUNDLE", "PIP_CERT"])
def test_a_pipe_is_no_netrc_and_no_certificate(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, cache: Cache, variable: str
) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", "/dev/zero"):
        monkeypatch.setenv(variable, str(path))
        with pytest.raises(MachineError, match="it is a pipe or a device") as caught:
            Fetcher(cache).fetch([Download(name="x", urls=("http://127.0.0.1:1/x",), sha256="0" * 64)])
        assert (caught.value.where, f"let {variable} name a file" in (caught.value.next or "")) == (str(path), True)


def test_netrc_may_be_nothing_or_a_file_of_some_size(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    check_files()
    monkeypatch.setenv("NETRC", os.devnull)
    check_files()
    monkeypatch.delenv("NETRC")
    (tmp_path / ".netrc").write_text("machine h login a password b\n")
    check_files()
    (tmp_path / ".netrc").write_text("#" * (1 << 20) + "\n")
    with pytest.raises(MachineError, match="the netrc cannot be read: it has 1,048,577 bytes"):
        check_files()
