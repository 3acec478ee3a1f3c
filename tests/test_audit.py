"""``kpack audit`` with the real pip-audit, and OSV's protocol on loopback."""

from __future__ import annotations

import json
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest

from kpack import project as projects
from kpack.cli import run
from kpack.lock import from_resolution
from tests.support.answers import checked
from tests.support.kernels import base, environment, pin, resolution, target

if TYPE_CHECKING:
    from collections.abc import Iterator

ADVISORY = {
    "id": "PYSEC-2026-1",
    "aliases": ["CVE-2026-1"],
    "summary": "Runs what it reads.",
    "details": "Runs what it reads.",
    "modified": "2026-01-01T00:00:00Z",
    "published": "2026-01-01T00:00:00Z",
    "affected": [
        {
            "package": {"name": "risky", "ecosystem": "PyPI"},
            "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "1.1"}]}],
            "versions": ["1.0"],
        }
    ],
}


class _Osv(BaseHTTPRequestHandler):
    asked: list[tuple[str, str]]

    def log_message(self, *_: object) -> None:
        pass

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        name, version = asked["package"]["name"], asked["version"]
        self.asked.append((name, version))
        body = json.dumps({"vulns": [ADVISORY]} if (name, version) == ("risky", "1.0") else {}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def osv() -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """The address of a service that knows one advisory, and what it was asked."""
    asked: list[tuple[str, str]] = []
    handler = type("Handler", (_Osv,), {"asked": asked})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/v1/query", asked
        server.shutdown()


@pytest.fixture
def locked(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    """A lock of three packages."""
    monkeypatch.setenv("KPACK_CACHE", str(tmp_path / "cache"))
    pins = [pin("risky", "1.0"), pin("torch", "2.10.0+cu128"), pin("fine", "3")]
    lock = from_resolution(environment("risky"), resolution((target(base({})), pins)), meaning="0" * 64)
    monkeypatch.setattr(projects.Project, "find", lambda _path: _Project(lock))


class _Project:
    def __init__(self, lock: Any) -> None:
        self.lock = lock

    def current_lock(self) -> Any:
        return self.lock


@pytest.mark.usefixtures("locked")
def test_a_known_vulnerability_is_exit_1_with_its_names_and_the_version_that_has_it_no_more(
    osv: tuple[str, list[tuple[str, str]]], capsys: pytest.CaptureFixture[str]
) -> None:
    url, asked = osv
    assert run(["audit", "--osv-url", url]) == 1
    out = capsys.readouterr().out
    assert "risky 1.0: PYSEC-2026-1, CVE-2026-1; fixed in 1.1\n  Runs what it reads." in out
    assert "3 distributions asked about, known vulnerabilities: 1" in out
    assert ("torch", "2.10.0") in asked, "a local version is the public one to the service"
    assert run(["audit", "--osv-url", url, "--ignore", "PYSEC-2026-1", "--json"]) == 0
    assert checked(["audit"], capsys.readouterr().out) == {"asked": 3, "found": [], "unknown": []}


@pytest.mark.usefixtures("locked")
def test_a_service_that_does_not_answer_is_exit_4_and_not_a_clean_report(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as server:
        url = f"http://127.0.0.1:{server.server_address[1]}/v1/query"
    assert run(["audit", "--osv-url", url]) == 4
    said = capsys.readouterr().err
    assert "pip-audit gave no answer: requests.exceptions.ConnectionError: " in said, "the reason is told"


@pytest.mark.usefixtures("locked")
def test_a_service_whose_answer_never_ends_is_given_up(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def endless(command: Any, *, timeout: float) -> None:
        raise subprocess.TimeoutExpired(command, timeout)

    monkeypatch.setattr("kpack.tether.run", endless)
    assert run(["audit"]) == 4
    assert "has not answered for 3 distributions in 135 s" in capsys.readouterr().err


@pytest.mark.usefixtures("locked")
@pytest.mark.parametrize("url", ["", "-x", "osv.example", "file:///etc/passwd", "http://[::1", "https://"])
def test_what_is_no_address_of_a_service_is_a_usage_error(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["audit", "--osv-url", url]) == 2
    assert "is no address of an OSV service" in capsys.readouterr().err


def test_without_pip_audit_the_way_to_it_is_told(
    monkeypatch: pytest.MonkeyPatch, locked: None, capsys: pytest.CaptureFixture[str]
) -> None:
    del locked
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    assert run(["audit"]) == 7
    assert 'pip install "kaggle-kpack[audit]"' in capsys.readouterr().err
