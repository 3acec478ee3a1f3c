"""What a fetch hands out, from where, and what it tells."""

from __future__ import annotations

import base64
import json
import os
import ssl
import sys
import threading
from typing import TYPE_CHECKING

import pytest
from urllib3.util.ssl_ import create_urllib3_context

from kpack.errors import IntegrityError, MachineError, NetworkError, UsageError
from kpack.fetch import (
    Announced,
    Cached,
    Download,
    Event,
    Fetched,
    Fetcher,
    Finished,
    Making,
    PassedOver,
    Received,
    Started,
    trust,
)
from kpack.fetch.client import Client, failure_of
from kpack.fetch.content import HEAD
from kpack.urls import Credentials, shown
from tests.fetch.conftest import LASTING, PATIENCE, download, have, noise, sha
from tests.support.certificates import self_signed, served
from tests.support.origin import Fault, Origin

if TYPE_CHECKING:
    from pathlib import Path

    from kpack.cache import Cache


def test_file_is_fetched_once_and_then_a_hit(origin: Origin, cache: Cache) -> None:
    data = noise(5000)
    wanted = download(origin, "/a.whl", data)
    first = have(wanted, cache)
    assert first.path.read_bytes() == data
    assert (first.sha256, first.size, first.hashed) == (sha(data), 5000, True)
    second = have(wanted, cache)
    assert second.path == first.path
    assert not second.hashed
    assert len(origin.seen) == 1
    assert list(cache.parts_dir.iterdir()) == []


def test_unknown_digest_and_size_are_reported(origin: Origin, cache: Cache) -> None:
    data = noise(5000)
    got = have(download(origin, "/a.ckpt", data, sha256=None, size=None), cache)
    assert (got.sha256, got.size) == (sha(data), 5000)
    assert cache.find(sha(data), 5000) == got.path


def test_big_file_is_fetched_in_ranges_at_once(origin: Origin, cache: Cache, small_segments: int) -> None:
    data = noise(10 * small_segments + 17)
    for size in (len(data), None):
        origin.seen.clear()
        got = have(download(origin, "/big", data, sha256=None, size=size), cache)
        assert got.sha256 == sha(data)
        came = [seen for seen in origin.seen if seen.sent]
        ranges = sorted(seen.headers["range"] for seen in came)
        assert len(ranges) == 11
        assert f"bytes=0-{small_segments - 1}" in ranges
        assert all("if-range" in seen.headers for seen in came[1:])
        assert origin.sent == len(data)


@pytest.mark.parametrize("validator", ["etag", "weak", "modified", "none"])
def test_big_file_comes_whole_whatever_validator_the_server_has(
    origin: Origin, cache: Cache, small_segments: int, validator: str
) -> None:
    origin.validator = validator  # type: ignore[assignment]
    data = noise(3 * small_segments)
    assert have(download(origin, "/big", data, sha256=None, size=None), cache).sha256 == sha(data)


def test_without_digest_and_validator_ranges_are_not_put_together(
    origin: Origin, cache: Cache, small_segments: int
) -> None:
    origin.validator = "none"
    data = noise(3 * small_segments)
    have(download(origin, "/big", data, sha256=None, size=None), cache)
    assert [seen.range for seen in origin.seen if seen.sent][-1] is None


def test_server_without_ranges_is_read_in_one_stream(origin: Origin, cache: Cache, small_segments: int) -> None:
    origin.ranges = False
    data = noise(5 * small_segments)
    assert have(download(origin, "/big", data), cache).path.read_bytes() == data
    assert len(origin.seen) == 1


@pytest.mark.parametrize("size", [0, 1])
@pytest.mark.parametrize("known", [True, False])
def test_empty_and_tiny_files(origin: Origin, cache: Cache, size: int, known: bool) -> None:
    data = noise(size)
    changes: dict[str, object] = {} if known else {"size": None, "sha256": None}
    got = have(download(origin, "/tiny", data, **changes), cache)
    assert (got.sha256, got.size) == (sha(data), size)
    assert got.path.read_bytes() == data


def test_body_without_length_is_taken_when_it_is_whole(origin: Origin, cache: Cache) -> None:
    origin.lengths = origin.ranges = False
    data = noise(70000)
    assert have(download(origin, "/a", data, size=None), cache).size == 70000


def test_many_files_share_few_connections(origin: Origin, cache: Cache) -> None:
    wanted = [download(origin, f"/{n}.whl", noise(2000, n)) for n in range(60)]
    got = Fetcher(cache, patience=PATIENCE).fetch(wanted, workers=6)
    assert list(got) == wanted
    assert all(got[item].sha256 == item.sha256 for item in wanted)
    assert origin.connections <= 6


def test_one_download_named_twice_is_fetched_once(origin: Origin, cache: Cache) -> None:
    wanted = download(origin, "/a", b"abc")
    other = download(origin, "/a", b"abc", name="another name for it")
    got = Fetcher(cache, patience=PATIENCE).fetch([wanted, wanted, other])
    assert got[wanted].path == got[other].path
    assert len(origin.seen) == 1


def test_nothing_to_do_is_no_work(cache: Cache) -> None:
    assert Fetcher(cache).fetch([]) == {}


def test_local_file_stays_where_it_is(tmp_path: Path, cache: Cache) -> None:
    path = tmp_path / "with space.ckpt"
    path.write_bytes(b"weights")
    got = have(Download(name="w", urls=(path.as_uri(),), sha256=sha(b"weights"), size=7), cache, offline=True)
    assert (got.path, got.hashed) == (path, True)


def test_missing_local_file_is_the_machines_fault(tmp_path: Path, cache: Cache) -> None:
    with pytest.raises(MachineError, match="No such file"):
        have(Download(name="w", urls=((tmp_path / "none").as_uri(),), sha256=None), cache)


def test_local_file_with_other_bytes_or_size_is_refused_with_both(tmp_path: Path, cache: Cache) -> None:
    (tmp_path / "w").write_bytes(b"weights")
    uri = (tmp_path / "w").as_uri()
    with pytest.raises(IntegrityError) as caught:
        have(Download(name="w", urls=(uri,), sha256=sha(b"other")), cache)
    assert sha(b"weights") in caught.value.what
    assert sha(b"other") in caught.value.what
    with pytest.raises(IntegrityError, match="size is 7 bytes, not 8"):
        have(Download(name="w", urls=(uri,), sha256=sha(b"weights"), size=8), cache)


def test_data_url_holds_its_bytes(cache: Cache) -> None:
    got = have(Download(name="ref", urls=("data:,a%20b",), sha256=sha(b"a b")), cache, offline=True)
    assert got.path.read_bytes() == b"a b"
    with pytest.raises(IntegrityError):
        have(Download(name="ref", urls=("data:,a",), sha256=sha(b"b")), cache)


@pytest.mark.parametrize("url", ["ftp://127.0.0.1/x", "file://elsewhere/x", "file:relative"])
def test_other_urls_are_refused(cache: Cache, url: str) -> None:
    with pytest.raises(UsageError):
        have(Download(name="x", urls=(url,), sha256=None), cache)


def test_weak_digest_is_refused(cache: Cache) -> None:
    with pytest.raises(UsageError, match="not a SHA-256"):
        have(Download(name="x", urls=("http://127.0.0.1:9/",), sha256="d41d8cd98f00b204e9800998ecf8427e"), cache)


def test_offline_takes_hits_and_names_what_is_absent(origin: Origin, cache: Cache) -> None:
    there, absent = download(origin, "/a", b"a"), download(origin, "/b", b"b")
    have(there, cache)
    assert have(there, cache, offline=True).size == 1
    with pytest.raises(NetworkError, match="offline") as caught:
        have(absent, cache, offline=True)
    assert "b (" in caught.value.where
    assert "without --offline" in caught.value.next
    assert len(origin.seen) == 1


def test_mirrors_are_tried_in_order(origin: Origin, cache: Cache) -> None:
    data = noise(100)
    origin.files["/good"] = data
    origin.files["/other"] = noise(100, 2)
    urls = tuple(origin.url + path for path in ("/gone", "/other", "/good", "/never"))
    told: list[Event] = []
    got = have(Download(name="w", urls=urls, sha256=sha(data), size=100), cache, listener=told.append)
    assert got.path.read_bytes() == data
    assert [seen.path for seen in origin.seen] == ["/gone", "/other", "/good"]
    assert [event.why[:12] for event in told if isinstance(event, PassedOver)] == [
        "cannot fetch",
        "sha256 is " + sha(noise(100, 2))[:2],
    ]


def test_when_every_mirror_fails_wrong_bytes_weigh_more_than_none(origin: Origin, cache: Cache) -> None:
    data = noise(100)
    origin.files["/other"] = noise(100, 2)
    urls = tuple(origin.url + path for path in ("/gone", "/other"))
    with pytest.raises(IntegrityError, match="404") as caught:
        have(Download(name="w", urls=urls, sha256=sha(data), size=100), cache)
    assert sha(data) in caught.value.what


def test_local_mirror_helps_when_offline(origin: Origin, cache: Cache, tmp_path: Path) -> None:
    (tmp_path / "w").write_bytes(b"weights")
    urls = (origin.url + "/w", (tmp_path / "w").as_uri())
    assert have(Download(name="w", urls=urls, sha256=sha(b"weights")), cache, offline=True).size == 7
    assert origin.seen == []


def test_first_failure_calls_off_the_rest_and_keeps_what_is_done(origin: Origin, cache: Cache) -> None:
    good = [download(origin, f"/{n}", noise(1000, n)) for n in range(3)]
    Fetcher(cache, patience=PATIENCE).fetch(good)
    bad = Download(name="bad", urls=(origin.url + "/missing",), sha256="0" * 64)
    slow = download(origin, "/slow", noise(1000, 9))
    origin.fault_of = lambda seen: Fault(stall_after=10) if seen.path == "/slow" else None
    with pytest.raises(NetworkError, match="404"):
        Fetcher(cache, patience=PATIENCE).fetch([*good, slow, bad])
    assert all(cache.find(item.sha256 or "") for item in good)


def test_events_come_one_at_a_time_and_end_with_finished(origin: Origin, cache: Cache, small_segments: int) -> None:
    told: list[Event] = []
    inside = threading.Lock()

    def listener(event: Event) -> None:
        assert inside.acquire(blocking=False)
        told.append(event)
        inside.release()

    wanted = [download(origin, f"/{n}", noise(3 * small_segments, n)) for n in range(4)]
    Fetcher(cache, patience=PATIENCE, listener=listener).fetch(wanted)
    Fetcher(cache, patience=PATIENCE, listener=listener).fetch(wanted)
    for item in wanted:
        mine = [event for event in told if not isinstance(event, Announced | Making) and event.download == item]
        size = item.size
        assert size is not None
        assert mine[0] == Started(download=item)
        assert mine[-2:] == [Finished(download=item, size=size), Cached(download=item, size=size)]
        assert {event.total for event in mine if isinstance(event, Received)} == {size}


def test_each_file_is_handed_on_while_others_are_on_their_way(origin: Origin, cache: Cache) -> None:
    small, big = download(origin, "/small", b"s"), download(origin, "/big", noise(1000))
    seen = threading.Event()
    origin.on_request = lambda request: seen.wait(5) if request.path == "/big" else None  # type: ignore[assignment]
    handed: list[str] = []

    def on_file(item: Download, found: Fetched) -> None:
        assert found.path.read_bytes() == origin.files[f"/{item.name}"]
        handed.append(item.name)
        seen.set()

    Fetcher(cache, patience=PATIENCE).fetch([big, small], on_file=on_file)
    assert handed == ["small", "big"]
    handed.clear()
    Fetcher(cache, patience=PATIENCE).fetch([big, small], on_file=on_file)
    assert sorted(handed) == ["big", "small"]


def test_what_the_receiver_of_a_file_raises_ends_the_fetch(origin: Origin, cache: Cache) -> None:
    def on_file(item: Download, found: Fetched) -> None:
        raise IntegrityError("not this one", where=item.name)

    with pytest.raises(IntegrityError, match="not this one"):
        Fetcher(cache).fetch([download(origin, f"/{n}", noise(100, n)) for n in range(5)], on_file=on_file)


def test_credentials_of_a_url_are_sent_and_never_shown(origin: Origin, cache: Cache) -> None:
    origin.auth = "Basic " + base64.b64encode(b"me:s3cret").decode()
    url = origin.url.replace("http://", "http://me:s3cret@")
    origin.files["/a"] = b"a"
    wanted = Download(name="a", urls=(f"{url}/a?token=t0ken",), sha256=sha(b"a"))
    assert "s3cret" not in repr(wanted)
    assert have(wanted, cache).size == 1
    with pytest.raises(NetworkError) as caught:
        have(Download(name="b", urls=(f"{url}/b?token=t0ken",), sha256=sha(b"b")), cache)
    said = json.dumps(caught.value.to_dict()) + str(caught.value)
    assert "s3cret" not in said
    assert "t0ken" not in said
    assert "/b" in said
    notes = [path.read_bytes() for path in cache.root.rglob("*") if path.is_file()]
    assert not any(b"s3cret" in note for note in notes)


def test_refused_credentials_are_said_with_what_to_check(origin: Origin, cache: Cache) -> None:
    origin.auth = "Basic x"
    with pytest.raises(NetworkError, match="401") as caught:
        have(download(origin, "/a", b"a"), cache)
    assert "credentials" in caught.value.next
    assert len(origin.seen) == 1


def test_netrc_is_respected(origin: Origin, cache: Cache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login me password pw\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    origin.auth = "Basic " + base64.b64encode(b"me:pw").decode()
    assert have(download(origin, "/a", b"a"), cache).size == 1


def test_headers_go_to_their_own_url_and_not_along_a_redirect_to_another_host(origin: Origin, cache: Cache) -> None:
    elsewhere = origin.url.replace("127.0.0.1", "localhost")
    origin.redirects["/a"] = f"{elsewhere}/b"
    origin.files["/b"] = b"b"
    url = f"{origin.url}/a"
    wanted = Download(
        name="a", urls=(origin.url + "/gone", url), sha256=sha(b"b"), headers=((url, "Authorization", "Bearer t0ken"),)
    )
    assert "t0ken" not in repr(wanted)
    assert have(wanted, cache).size == 1
    sent = {seen.path: seen.headers.get("authorization") for seen in origin.seen}
    assert sent == {"/gone": None, "/a": "Bearer t0ken", "/b": None}


def test_proxy_of_the_environment_is_used(origin: Origin, cache: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", origin.url)
    origin.files["http://files.invalid/a"] = b"a"
    wanted = Download(name="a", urls=("http://files.invalid/a",), sha256=sha(b"a"))
    assert have(wanted, cache).size == 1


def test_certificates_that_are_not_there_are_said_by_their_variable(
    cache: Cache, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PIP_CERT", str(tmp_path / "none.pem"))
    with pytest.raises(MachineError, match="PIP_CERT"):
        have(Download(name="a", urls=("https://127.0.0.1:9/",), sha256=None), cache)


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    return self_signed(tmp_path / "certificate.pem")


@pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "PIP_CERT", "SSL_CERT_FILE"])
def test_certificates_of_the_environment_are_trusted_and_others_are_not(
    cache: Cache, certificate: Path, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    with Origin(tls=served(certificate)) as origin:
        wanted = download(origin, "/a", b"a")
        with pytest.raises(NetworkError, match="certificate is not trusted") as caught:
            have(wanted, cache)
        assert "REQUESTS_CA_BUNDLE" in caught.value.next
        monkeypatch.setenv(variable, str(certificate))
        assert have(wanted, cache).size == 1


@pytest.mark.parametrize(
    ("code", "words", "advice"),
    [
        (9, "is not valid yet by this machine's clock", "set the date and time"),
        (10, "has expired by this machine's clock", "set the date and time"),
        (62, "is for another host: of b", "check the host"),
        (64, "is for another host: of b", "check the host"),
        (18, "is not trusted: of b.", "let REQUESTS_CA_BUNDLE name"),
    ],
)
def test_a_certificate_is_refused_in_words_of_its_own(code: int, words: str, advice: str) -> None:
    error = ssl.SSLCertVerificationError(1, "certificate verify failed")
    error.verify_code, error.verify_message = code, "of b."
    said = failure_of(error, 1)
    assert str(said) == f"the server's certificate {words}"
    assert said.advice.startswith(advice)


def test_certificates_are_trusted_beside_the_system_s(
    cache: Cache, certificate: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(self_signed(tmp_path / "other.pem")))
    with Origin(tls=served(certificate)) as origin:
        assert have(download(origin, "/a", b"a"), cache).size == 1


@pytest.mark.parametrize("by", ["variable", "file"])
def test_a_certificate_of_one_s_own_is_shown_to_who_wants_it(
    cache: Cache, certificate: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, by: str
) -> None:
    mine = self_signed(tmp_path / "mine.pem")
    (tmp_path / "pip.conf").write_text(f"[global]\ncert = {certificate}\nclient-cert = {mine}\n")
    with Origin(tls=served(certificate, clients=mine)) as origin:
        monkeypatch.setenv("PIP_CERT", str(certificate))
        with pytest.raises(NetworkError) as caught:
            have(download(origin, "/a", b"a"), cache)
        assert "eof" in caught.value.what or "PIP_CLIENT_CERT" in caught.value.next
        if by == "variable":
            monkeypatch.setenv("PIP_CLIENT_CERT", str(mine))
        else:
            monkeypatch.delenv("PIP_CERT")
            monkeypatch.setenv("PIP_CONFIG_FILE", str(tmp_path / "pip.conf"))
        assert have(download(origin, "/a", b"a"), cache).size == 1


def test_certificates_are_read_once_for_all_connections(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[ssl.SSLContext] = []

    def make() -> ssl.SSLContext:
        made.append(create_urllib3_context())
        return made[-1]

    monkeypatch.setattr(trust, "create_urllib3_context", make)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with Origin(tls=served(certificate)) as origin, Client() as client:
        origin.files["/a"] = b"a"
        assert not made  # nothing is read before it is needed
        with client.open(f"{origin.url}/a"), client.open(f"{origin.url}/a"):
            assert origin.connections == 2
    assert len(made) == 1


def test_a_proxy_that_speaks_tls_is_verified_alike() -> None:
    adapter = trust.TrustingAdapter(None, connections=1)
    assert adapter.proxy_manager_for("http://127.0.0.1:9").proxy_config.ssl_context is None
    assert adapter.proxy_manager_for("HTTPS://127.0.0.1:9").proxy_config.ssl_context is not None


def test_certificates_that_cannot_be_read_are_said_by_their_variable(
    cache: Cache, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = tmp_path / "odd.pem"
    path.write_text("no certificate")
    monkeypatch.setenv("CURL_CA_BUNDLE", str(path))
    with pytest.raises(MachineError, match="CURL_CA_BUNDLE names cannot be read: no certificate or crl found"):
        have(Download(name="a", urls=("https://127.0.0.1:9/",), sha256=None), cache)


def test_asks_for_the_bytes_as_they_are(origin: Origin, cache: Cache) -> None:
    have(download(origin, "/a", b"a"), cache)
    assert origin.seen[0].headers["accept-encoding"] == "identity"
    assert origin.seen[0].headers["user-agent"].startswith("kpack/")


def test_size_can_be_asked_without_fetching(origin: Origin, cache: Cache) -> None:
    fetcher = Fetcher(cache, patience=PATIENCE)
    data = noise(100_000)
    wanted = download(origin, "/a", data, size=None)
    # More than the head would never come: whoever waited for it would find no size.
    origin.fault_of = lambda seen: None if seen.range and seen.range[6] != "0" else Fault(stall_after=HEAD)
    assert fetcher.size_of(wanted) == 100_000
    assert origin.sent <= 3 * HEAD
    origin.ranges = False
    assert fetcher.size_of(wanted) is None
    with pytest.raises(NetworkError, match="404"):
        fetcher.size_of(Download(name="x", urls=(origin.url + "/none",), sha256=None))


@pytest.mark.parametrize(
    ("url", "safe"),
    [
        ("https://me:pw@host:8080/a/b.whl?sig=1#x", "https://host:8080/a/b.whl"),
        ("https://host/a\x1b[31m", "https://host/a\\x1b[31m"),
        ("data:,secret", "data:…"),
        ("hf://org/repo@main/a.bin", "hf://org/repo@main/a.bin"),
        ("http://[bad", "(a URL that cannot be read)"),
        ("file:///tmp/a", "file:///tmp/a"),
        ("models/a.whl", "models/a.whl"),
    ],
)
def test_shown_url_has_no_secrets_and_no_control_characters(url: str, safe: str) -> None:
    assert shown(url) == safe


def test_credentials_are_put_back_only_for_the_same_server() -> None:
    known = ("https://me:pw@host/simple/", "https://other/simple")
    assert Credentials(tuple(known)).on("https://host/files/a.whl") == "https://me:pw@host/files/a.whl"
    assert Credentials(tuple(known)).on("http://host/files/a.whl") == "http://host/files/a.whl"
    assert Credentials(tuple(known)).on("https://host:8443/a") == "https://host:8443/a"
    assert Credentials(tuple(known)).on("https://other/a") == "https://other/a"
    assert Credentials(tuple(known)).on("https://you:x@host/a") == "https://you:x@host/a"


@pytest.mark.skipif(os.name != "posix" or not sys.platform.startswith("linux"), reason="reads /proc")
def test_memory_does_not_grow_with_the_file(origin: Origin, cache: Cache) -> None:
    import resource

    data = bytes(96 << 20)
    wanted = download(origin, "/big", data)
    have(download(origin, "/warm", b"x"), cache)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    have(wanted, cache, patience=LASTING)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 64 << 10  # KiB
