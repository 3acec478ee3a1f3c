"""Indexes: one per name, HTML or JSON, with credentials that never show."""

from __future__ import annotations

import base64
import hashlib
import json
import stat
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from packaging.utils import InvalidWheelFilename, parse_wheel_filename

from kpack.environment import Index
from kpack.errors import IntegrityError, NetworkError, NoSolution, UsageError
from kpack.resolve import ask, resolve
from kpack.target import targets
from tests.resolve.scenario import Scenario, base_image, packed
from tests.support.index import IndexServer, metadata_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from http.server import BaseHTTPRequestHandler
    from pathlib import Path

SECRET = "s3cret"


@pytest.fixture
def second(tmp_path: Path) -> Iterator[IndexServer]:
    with IndexServer() as index:
        yield index


def test_planted_higher_version_on_the_second_index_never_wins(scenario: Scenario, second: IndexServer) -> None:
    scenario.wheel("top", "1.0", "corp-lib")
    scenario.wheel("corp-lib", "9.0")
    scenario.wheel("corp-lib", "1.0", index=second)
    scenario.wheel("top", "99.0", index=second)
    corp = Index(name="corp", url=second.url, packages=("corp-*",))
    answer = scenario.lock("top", indexes=[corp])
    assert packed(answer) == {"corp-lib": "1.0", "top": "1.0"}
    assert {pin.name: pin.wheel.index for pin in answer.packed if pin.wheel} == {
        "corp-lib": second.url,
        "top": scenario.index.url,
    }
    assert not [path for path in second.requests if "top" in path]
    assert not [path for path in scenario.index.requests if "corp-lib" in path]


def test_name_that_its_index_does_not_have_is_not_looked_for_elsewhere(scenario: Scenario, second: IndexServer) -> None:
    scenario.wheel("corp-lib", "9.0")
    corp = Index(name="corp", url=second.url, packages=("corp-*",))
    with pytest.raises(NoSolution, match="there is no corp-lib on " + second.root):
        scenario.lock("corp-lib", indexes=[corp])


def test_html_only_index_gives_url_hash_and_requires_python(scenario: Scenario) -> None:
    scenario.index.html = True
    path = scenario.wheel("top", "1.0", "dep")
    scenario.wheel("top", "2.0", requires_python=">=3.13")
    scenario.wheel("dep", "1.0")
    answer = scenario.lock("top")
    assert packed(answer) == {"dep": "1.0", "top": "1.0"}
    wheel = {str(pin.name): pin.wheel for pin in answer.packed}["top"]
    assert wheel is not None
    assert wheel.url == f"{scenario.index.root}/files/{path.name}"
    assert wheel.size is None
    assert wheel.upload_time is None


def test_file_without_upload_time_is_hidden_by_exclude_newer_and_the_reason_is_said(scenario: Scenario) -> None:
    scenario.index.html = True
    scenario.wheel("top", "1.0")
    with pytest.raises(NoSolution, match="no upload time on its index, which exclude-newer needs"):
        scenario.lock("top", exclude_newer=datetime(2026, 5, 1, tzinfo=UTC))


def test_exclude_newer_is_the_first_moment_that_does_not_count(scenario: Scenario) -> None:
    scenario.wheel("top", "1.0", upload_time="2026-04-30T23:59:59.999999Z")
    scenario.wheel("top", "2.0", upload_time="2026-05-01T00:00:00.000001Z")
    scenario.wheel("top", "3.0", upload_time="2026-05-01T00:00:00Z")
    scenario.wheel("top", "4.0", upload_time="2026-04-30T23:30:00-01:00")
    scenario.wheel("top", "5.0", upload_time="yesterday")
    scenario.wheel("top", "0.9", upload_time="2026-05-01T00:30:00+01:00")
    assert packed(scenario.lock("top", exclude_newer=datetime(2026, 5, 1, tzinfo=UTC))) == {"top": "1.0"}
    assert packed(scenario.lock("top<1", exclude_newer=datetime(2026, 5, 1, tzinfo=UTC))) == {"top": "0.9"}


def test_file_without_sha256_is_hashed_and_that_is_said(scenario: Scenario) -> None:
    path = scenario.wheel("top", "1.0")
    md5 = hashlib.md5(path.read_bytes()).hexdigest()
    scenario.index.intercept = page_of(
        {"filename": path.name, "url": f"../../files/{path.name}", "hashes": {"md5": md5}}
    )
    answer = scenario.lock("top")
    wheel = answer.packed[0].wheel
    assert wheel is not None
    assert wheel.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert wheel.size == path.stat().st_size
    assert answer.notes == (f"the index gives no sha256 for {path.name}: it was computed from the download",)


@pytest.mark.parametrize("algorithm", ["md5", "sha1", "sha512"])
def test_the_digest_that_an_index_gives_in_place_of_a_sha256_holds(scenario: Scenario, algorithm: str) -> None:
    path = scenario.wheel("top", "1.0")
    other = hashlib.new(algorithm, b"another file").hexdigest()
    row = {"filename": path.name, "url": f"../../files/{path.name}", "hashes": {algorithm: other}}
    scenario.index.intercept = page_of(row)
    with pytest.raises(IntegrityError, match=f"{algorithm} of {path.name} is .*, its index says {other}"):
        scenario.lock("top")


def test_a_url_that_names_another_file_than_its_row_is_not_believed(scenario: Scenario) -> None:
    path = scenario.wheel("top", "1.0")
    good = {"filename": path.name, "url": f"../../files/{path.name}", "hashes": {}}
    wrong = {**good, "filename": path.name.replace("1.0", "9.0")}
    nameless = {**good, "filename": path.name.replace("1.0", "8.0"), "url": "../../files/8?name=" + path.name}
    no_wheel = {**good, "filename": path.name.replace("1.0", "1.0-1/../x")}
    scenario.index.intercept = page_of(good, wrong, nameless, no_wheel)
    assert packed(scenario.lock("top")) == {"top": "1.0"}
    with pytest.raises(IntegrityError, match="a URL on its index that names another file"):
        scenario.lock("top==9.0")


@pytest.mark.parametrize(
    "odd", ["to__p-2.0-py3-none-any.whl", "to_p-2.0-py3.10-none-any.whl", "to_p-2.0-py3-none.-any.whl"]
)
def test_a_wheel_with_a_file_name_that_no_lock_can_have_is_none(scenario: Scenario, odd: str) -> None:
    with pytest.raises(InvalidWheelFilename):
        parse_wheel_filename(odd)
    path = scenario.wheel("to_p", "1.0")
    good = {"filename": path.name, "url": f"../../files/{path.name}", "hashes": {}}
    rows = (good, {**good, "filename": odd, "url": f"../../files/{odd}"})
    scenario.index.intercept = page_of(*rows, name="to-p")
    assert packed(scenario.lock("to-p")) == {"to-p": "1.0"}
    with pytest.raises(IntegrityError, match=f"2.0 has a wheel whose file name is not valid .*: {odd}"):
        scenario.lock("to-p==2.0")


@pytest.mark.parametrize(("version", "taken"), [("1.9", True), ("2.0", False), ("10.0", False), (None, True)])
def test_a_later_simple_api_is_refused(scenario: Scenario, version: str | None, taken: bool) -> None:
    path = scenario.wheel("top", "1.0")
    page = {"meta": {"api-version": version}, "files": [{"filename": path.name, "url": f"/files/{path.name}"}]}
    anchor = f'<meta name="pypi:repository-version" content="{version}"><a href="/files/{path.name}">x</a>'
    simple = "application/vnd.pypi.simple.v1+json"
    for body, kind in ((json.dumps(page), simple), (anchor if version else anchor[50:], "text/html")):
        scenario.index.intercept = only("/simple/top/", answering(200, body.encode(), kind))
        if taken:
            assert packed(scenario.lock("top")) == {"top": "1.0"}
        else:
            with pytest.raises(NetworkError, match=f"speaks version {version} of the Simple API"):
                scenario.lock("top")


@pytest.mark.parametrize("body", [b"<html>who are you?</html>", b"", b"PK\x03\x04"])
def test_a_url_of_a_wheel_that_gives_none_is_told_as_that(scenario: Scenario, body: bytes) -> None:
    scenario.index.intercept = answering(200, body)
    with pytest.raises(IntegrityError, match=r"top: top-1\.0-py3-none-any\.whl is no wheel") as caught:
        scenario.lock(f"top @ {scenario.index.root}/files/top-1.0-py3-none-any.whl")
    assert "its URL" in caught.value.next


@pytest.mark.parametrize(
    ("url", "what"),
    [
        ("not a url", "not the URL of an index"),
        ("--extra-index-url=http://h/", "not the URL of an index"),
        (f"http://u:{SECRET}@[::1", "cannot be read"),
        (f"https://h/simple?token={SECRET}", "a '\\?' or '#' part"),
        ("https:///simple", "no host"),
    ],
)
def test_kpack_index_url_is_the_url_of_an_index(
    scenario: Scenario, monkeypatch: pytest.MonkeyPatch, url: str, what: str
) -> None:
    monkeypatch.setenv("KPACK_INDEX_URL", url)
    with pytest.raises(UsageError, match=what) as caught:
        ask.address(scenario.environment("top"), None)
    assert caught.value.where == "KPACK_INDEX_URL"
    assert SECRET not in str(caught.value.to_dict())


def test_exclude_newer_may_be_any_day_of_the_calendar(scenario: Scenario) -> None:
    scenario.wheel("top", "1.0")
    with pytest.raises(NoSolution, match="exclude-newer"):
        scenario.lock("top", exclude_newer=datetime(1, 1, 2, tzinfo=UTC))


def test_sha256_that_is_none_is_refused(scenario: Scenario) -> None:
    scenario.wheel("top", "1.0", sha256="x" * 64)
    with pytest.raises(IntegrityError, match="no valid sha256"):
        scenario.lock("top")


def test_one_file_name_with_two_digests_is_refused(scenario: Scenario) -> None:
    scenario.wheel("top", "1.0")
    path = scenario.wheel("top", "2.0")
    scenario.index.add(path)  # a row that is listed twice is no contradiction
    assert packed(scenario.lock("top")) == {"top": "2.0"}
    scenario.index.add(path, sha256="1" * 64)
    assert packed(scenario.lock("top")) == {"top": "1.0"}
    with pytest.raises(IntegrityError, match=r"top 2\.0 is listed twice on its index, with different digests"):
        scenario.lock("top==2.0")


def test_credentials_in_the_url_reach_the_index_and_nothing_else(scenario: Scenario, second: IndexServer) -> None:
    second.auth = "Basic " + base64.b64encode(f"user:{SECRET}".encode()).decode()
    scenario.wheel("corp-lib", "1.0", "corp-dep", index=second)
    scenario.wheel("corp-dep", "1.0", index=second)
    url = second.url.replace("http://", f"http://user:{SECRET}@")
    answer = scenario.lock("corp-lib", indexes=[Index(name="corp", url=url, packages=("corp-*",))])
    assert packed(answer) == {"corp-dep": "1.0", "corp-lib": "1.0"}
    assert SECRET not in repr(answer.packed)


def test_credentials_come_from_the_environment(
    scenario: Scenario, second: IndexServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    second.auth = "Basic " + base64.b64encode(f"user:{SECRET}".encode()).decode()
    scenario.wheel("corp-lib", "1.0", index=second)
    url = second.url.replace("http://", "http://user:${CORP_TOKEN}@")
    corp = Index(name="corp", url=url, packages=("corp-*",))
    with pytest.raises(UsageError, match="CORP_TOKEN"):
        scenario.lock("corp-lib", indexes=[corp])
    monkeypatch.setenv("CORP_TOKEN", SECRET)
    assert packed(scenario.lock("corp-lib", indexes=[corp])) == {"corp-lib": "1.0"}


def test_credentials_come_from_netrc(
    scenario: Scenario, second: IndexServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    second.auth = "Basic " + base64.b64encode(f"user:{SECRET}".encode()).decode()
    scenario.wheel("corp-lib", "1.0", index=second)
    netrc = tmp_path / "netrc"
    netrc.write_text(f"machine 127.0.0.1 login user password {SECRET}\n")
    netrc.chmod(stat.S_IRUSR)
    monkeypatch.setenv("NETRC", str(netrc))
    corp = Index(name="corp", url=second.url, packages=("corp-*",))
    assert packed(scenario.lock("corp-lib", indexes=[corp])) == {"corp-lib": "1.0"}


def test_wrong_credentials_are_a_network_error_that_does_not_show_them(scenario: Scenario, second: IndexServer) -> None:
    second.auth = "Basic something-else"
    url = second.url.replace("http://", f"http://user:{SECRET}@")
    corp = Index(name="corp", url=url, packages=("corp-*",))
    with pytest.raises(NetworkError, match="credentials") as caught:
        scenario.lock("corp-lib", indexes=[corp])
    assert SECRET not in str(caught.value.to_dict())


def test_environment_variable_names_the_default_index(scenario: Scenario, monkeypatch: pytest.MonkeyPatch) -> None:
    scenario.wheel("top", "1.0")
    environment = scenario.environment("top")
    monkeypatch.setenv("KPACK_INDEX_URL", scenario.index.url)
    answer = resolve(environment, targets(environment, [base_image({})]), cache_dir=None)
    assert packed(answer.targets[0]) == {"top": "1.0"}


def test_pip_settings_of_the_host_have_no_say(scenario: Scenario, monkeypatch: pytest.MonkeyPatch) -> None:
    scenario.wheel("top", "1.0")
    scenario.wheel("top", "2.0rc1")
    for name, value in {
        "PIP_INDEX_URL": "http://127.0.0.1:9/simple/",
        "PIP_PRE": "1",
        "PIP_NO_INDEX": "1",
        "PIP_CONSTRAINT": "/nonexistent",
        "PIP_PLATFORM": "win_amd64",
    }.items():
        monkeypatch.setenv(name, value)
    assert packed(scenario.lock("top")) == {"top": "1.0"}


def answering(status: int, body: bytes = b"", kind: str = "text/plain") -> Callable[[BaseHTTPRequestHandler], bool]:
    def intercept(handler: BaseHTTPRequestHandler) -> bool:
        handler.send_response(status)
        handler.send_header("Content-Type", kind)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)
        return True

    return intercept


def only(path: str, answer: Callable[[BaseHTTPRequestHandler], bool]) -> Callable[[BaseHTTPRequestHandler], bool]:
    return lambda handler: handler.path == path and answer(handler)


def page_of(*rows: object, name: str = "top") -> Callable[[BaseHTTPRequestHandler], bool]:
    """Answer with a page of a project."""
    body = json.dumps({"files": rows}).encode()
    return only(f"/simple/{name}/", answering(200, body, "application/vnd.pypi.simple.v1+json"))


@pytest.mark.parametrize(
    ("status", "body", "kind", "words"),
    [
        (403, b"", "text/plain", "refuses access"),
        (418, b"", "text/plain", "HTTP 418"),
        (503, b"", "text/plain", "HTTP 503"),
        (200, b"{", "application/vnd.pypi.simple.v1+json", "no valid JSON"),
        (200, b'{"files": 3}', "application/vnd.pypi.simple.v1+json", "no list of files"),
        (200, b"hello", "text/plain", "no Simple page"),
    ],
)
def test_index_that_answers_nonsense_is_a_network_error(
    scenario: Scenario, status: int, body: bytes, kind: str, words: str
) -> None:
    scenario.index.intercept = answering(status, body, kind)
    with pytest.raises(NetworkError, match=words):
        scenario.lock("top")


def test_rows_that_are_no_files_are_passed_over(scenario: Scenario) -> None:
    rows = b'{"files": [1, null, {"filename": 3, "url": "x"}, {"filename": "top-1.0.exe", "url": "../x"}]}'
    scenario.index.intercept = answering(200, rows, "application/vnd.pypi.simple.v1+json")
    with pytest.raises(NoSolution, match="there is no top"):
        scenario.lock("top")


def test_folder_of_pages_is_an_index_too(scenario: Scenario) -> None:
    path = scenario.wheel("top", "1.0", "dep")
    other = scenario.wheel("dep", "1.0")
    for name, wheel in (("top", path), ("dep", other)):
        digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
        page = scenario.folder / "simple" / name / "index.html"
        page.parent.mkdir(parents=True)
        page.write_text(f'<a href="{wheel.as_uri()}#sha256={digest}">{wheel.name}</a>')
    environment = scenario.environment("top")
    url = (scenario.folder / "simple").as_uri()
    answer = resolve(environment, targets(environment, [base_image({})]), cache_dir=None, index_url=url)
    assert packed(answer.targets[0]) == {"dep": "1.0", "top": "1.0"}


def test_metadata_with_another_digest_than_announced_is_not_believed(scenario: Scenario) -> None:
    scenario.wheel("top", "1.0")
    scenario.wheel("top", "2.0", "evil")

    def forged(handler: BaseHTTPRequestHandler) -> bool:
        body = b"Metadata-Version: 2.1\nName: top\nVersion: 2.0\nRequires-Dist: other\n"
        return handler.path.endswith("top-2.0-py3-none-any.whl.metadata") and answering(200, body)(handler)

    scenario.index.intercept = forged
    assert packed(scenario.lock("top")) == {"top": "1.0"}


@pytest.mark.parametrize(("algorithm", "right"), [("SHA256", True), ("sha512", True), ("sha512", False)])
def test_the_digest_of_metadata_counts_in_any_case_and_by_any_algorithm(
    scenario: Scenario, algorithm: str, *, right: bool
) -> None:
    scenario.wheel("top", "1.0")
    path = scenario.wheel("top", "2.0")
    digest = hashlib.new(algorithm, metadata_of(path)).hexdigest().upper() if right else "0" * 128

    def page(handler: BaseHTTPRequestHandler) -> bool:
        if handler.path != "/simple/top/":
            return False
        files = [
            {
                "filename": file.path.name,
                "url": f"/files/{file.path.name}",
                "hashes": {"sha256": hashlib.sha256(file.path.read_bytes()).hexdigest().upper()},
                "core-metadata": {algorithm: digest} if file.path == path else False,
            }
            for file in scenario.index.files["top"]
        ]
        body = json.dumps({"meta": {"api-version": "1.0"}, "name": "top", "files": files}).encode()
        return answering(200, body, "application/vnd.pypi.simple.v1+json")(handler)

    scenario.index.intercept = page
    assert packed(scenario.lock("top")) == {"top": "2.0" if right else "1.0"}


def test_wheel_that_cannot_be_read_is_passed_over(scenario: Scenario) -> None:
    scenario.index.announce_metadata = False
    scenario.wheel("top", "1.0")
    path = scenario.wheel("top", "2.0")
    path.write_bytes(path.read_bytes()[:-30])

    def no_metadata_file(handler: BaseHTTPRequestHandler) -> bool:
        return handler.path.endswith(".metadata") and answering(404)(handler)

    scenario.index.intercept = no_metadata_file
    answer = scenario.lock("top")
    assert packed(answer) == {"top": "1.0"}
    assert "2.0 has a file top-2.0-py3-none-any.whl that is no zip archive" in answer.held_back[0].because
