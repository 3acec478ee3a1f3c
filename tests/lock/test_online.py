"""``kpack verify --online``: the index's JSON API, asked through hashin."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from kpack import pack
from kpack.cli import run
from kpack.errors import NetworkError
from kpack.files import sha256_of
from kpack.lock import Lock, from_resolution
from kpack.lock.online import check
from kpack.pack.layout import content_of
from kpack.resolve.model import Source
from tests.support.index import IndexServer
from tests.support.kernels import base, environment, pin, resolution, target, wheel
from tests.support.wheels import make_wheel

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from kpack.resolve.model import Pin


@pytest.fixture
def answers() -> dict[str, Any]:
    return {}


@pytest.fixture
def index(answers: dict[str, Any]) -> Iterator[IndexServer]:
    def json_api(handler: Any) -> bool:
        parts = handler.path.strip("/").split("/")
        if parts[0] != "pypi" or parts[-1] != "json":
            return False
        answer = answers.get(parts[1])
        if isinstance(answer, int):
            handler.answer(answer, b"no")
        elif answer is None:
            handler.answer(404, b"no such project")
        else:
            handler.answer(200, json.dumps(answer).encode(), "application/json")
        return True

    with IndexServer(intercept=json_api) as server:
        yield server


def project(name: str, **releases: list[str | None]) -> dict[str, Any]:
    """Return what a JSON API says: a version to the sha256 of its files; None for a file without one."""
    return {
        "info": {"name": name},
        "releases": {
            version.replace("_", ".").lstrip("v"): [
                {"url": f"http://127.0.0.1:9/{i}.whl", "digests": {"md5": "0"} | ({"sha256": d} if d else {})}
                for i, d in enumerate(digests)
            ]
            for version, digests in releases.items()
        },
    }


def locked(index: IndexServer, *pins: Pin) -> Lock:
    ours = [replace(p, wheel=replace(p.wheel, index=index.url)) if p.wheel and p.wheel.url else p for p in pins]
    return from_resolution(environment("x"), resolution((target(base({})), ours)), meaning="0" * 64)


def sha(one: Pin) -> str:
    assert one.wheel is not None
    return one.wheel.sha256


def test_a_digest_that_the_index_reports_is_confirmed(index: IndexServer, answers: dict[str, Any]) -> None:
    one, two = pin("x", "1.0"), pin("y", "2")
    answers["x"] = project("X", v1_0=["0" * 64, sha(one)])
    answers["y"] = project("y", v2_0=[sha(two)])
    opinion = check(locked(index, one, two))
    assert opinion.confirmed == ("x-1.0-py3-none-any.whl", "y-2-py3-none-any.whl")
    assert opinion.doubts == opinion.unasked == ()


def test_a_digest_that_the_index_does_not_report_is_a_doubt(index: IndexServer, answers: dict[str, Any]) -> None:
    answers["x"] = project("x", v1=["1" * 64, "2" * 64])
    (doubt,) = check(locked(index, pin("x", "1"))).doubts
    assert doubt.file == "x-1-py3-none-any.whl"
    assert sha(pin("x", "1")) in doubt.what
    assert "2 other digests" in doubt.what


def test_a_file_without_sha256_is_never_downloaded_to_be_hashed(index: IndexServer, answers: dict[str, Any]) -> None:
    answers["x"] = project("x", v1=[None, sha(pin("x", "1"))])
    assert check(locked(index, pin("x", "1"))).confirmed
    answers["x"] = project("x", v1=[None])
    assert [item.what for item in check(locked(index, pin("x", "1"))).unasked] == [
        "the index's JSON API has no files of x 1"
    ]


def test_an_index_without_the_api_leaves_the_file_unasked(index: IndexServer, answers: dict[str, Any]) -> None:
    answers["y"] = 503
    opinion = check(locked(index, pin("x", "1"), pin("y", "1")))
    assert [(item.file, item.what.split(",")[0]) for item in opinion.unasked] == [
        ("x-1-py3-none-any.whl", "the index has no JSON API"),
        ("y-1-py3-none-any.whl", "the index's JSON API refused (503)"),
    ]


@pytest.mark.parametrize(
    "nonsense", [[], {"releases": None}, {"releases": {"1": None}}, {"releases": {"1": ["x"]}}, "x"]
)
def test_nonsense_leaves_the_file_unasked(index: IndexServer, answers: dict[str, Any], nonsense: object) -> None:
    answers["x"] = nonsense
    assert len(check(locked(index, pin("x", "1"))).unasked) == 1


def test_an_index_that_is_down_is_an_error_without_its_password(index: IndexServer) -> None:
    lock = locked(index, pin("x", "1"))
    index.__exit__()
    with pytest.raises(NetworkError) as caught:
        check(lock, index_url=index.url.replace("//", "//user:hunter2@"))
    assert "hunter2" not in f"{caught.value}"
    index.__enter__()


def test_a_built_wheel_is_checked_by_its_sdist(index: IndexServer, answers: dict[str, Any]) -> None:
    sdist = Source(kind="sdist", url=f"{index.root}/files/b-1.tar.gz", sha256="3" * 64)
    folder = Source(kind="directory", url="./c", sha256="4" * 64)
    built = replace(pin("b", "1"), wheel=wheel("b-1-py3-none-any.whl", url=None, index=None), source=sdist)
    local = replace(pin("c", "1"), wheel=wheel("c-1-py3-none-any.whl", url=None, index=None), source=folder)
    answers["b"] = project("b", v1=["3" * 64])
    answers["x"] = project("x", v1=[sha(pin("x", "1"))])
    opinion = check(locked(index, built, local, pin("x", "1")))
    assert opinion.confirmed == ("b-1.tar.gz", "x-1-py3-none-any.whl")
    assert [item.what for item in opinion.unasked] == ["kpack built it from a directory"]


def test_a_private_name_is_not_asked_of_another_index(index: IndexServer, tmp_path: Path) -> None:
    sdist = Source(kind="sdist", url="http://127.0.0.1/secret-1.tar.gz", sha256="3" * 64)
    built = replace(pin("secret", "1"), wheel=wheel("secret-1-py3-none-any.whl", url=None, index=None), source=sdist)
    other = replace(pin("z", "1"), wheel=wheel("z-1-py3-none-any.whl", index=f"{index.root}/other/"))
    lock = from_resolution(
        environment("x"),
        resolution(
            (
                target(base({})),
                [built, other, replace(pin("x", "1"), wheel=wheel("x-1-py3-none-any.whl", index=index.url))],
            )
        ),
        meaning="0" * 64,
    )
    assert "secret-1.tar.gz" in {item.file for item in check(lock).unasked}
    assert not any("secret" in path for path in index.requests)


def test_verify_online_asks_for_every_file_of_a_pack(
    index: IndexServer, answers: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = make_wheel(tmp_path, "x", "1")
    found = pin("x", "1", wheel=wheel(path.name, sha256=sha256_of(path), size=path.stat().st_size, index=index.url))
    lock = from_resolution(environment("x"), resolution((target(base({})), [found])), meaning="0" * 64)
    out = tmp_path / "tiny.kpack.bin"
    pack.write(content_of(lock, "pylock.kaggle-env.toml", {sha(found): path}), out)
    answers["x"] = project("x", v1=[sha(found)])
    assert run(["verify", str(out), "--online"]) == 0
    assert "the index confirms 1 of 1 locked files" in capsys.readouterr().out
    answers["x"] = project("x", v1=["0" * 64])
    assert run(["verify", str(out), "--online", "--json"]) == 5
    said = json.loads(capsys.readouterr().out)
    assert said["ok"] is False
    assert said["problems"][0]["where"] == path.name
