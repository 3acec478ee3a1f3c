"""Indexes of other shapes: a flat page of links, and a folder of wheels."""

from __future__ import annotations

import urllib.parse
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from kpack.environment import Index
from kpack.errors import IntegrityError, NetworkError, NoSolution
from kpack.files import sha256_of
from kpack.resolve.model import Source
from tests.resolve.scenario import packed
from tests.support.index import ServedFile
from tests.support.wheels import make_wheel

if TYPE_CHECKING:
    from http.server import BaseHTTPRequestHandler
    from pathlib import Path

    from tests.resolve.scenario import Scenario
    from tests.support.index import IndexServer


def serve_page(index: IndexServer, page: str, *, at: str = "/whl/torch-2.10.0+cu128.html") -> str:
    """Have the server answer ``at`` with a page in HTML and return its URL."""

    def intercept(handler: BaseHTTPRequestHandler) -> bool:
        if urllib.parse.unquote(handler.path) != at:
            return False
        handler.answer(200, page.encode(), "text/html")  # type: ignore[attr-defined]
        return True

    index.intercept = intercept
    return index.root + at


def apart(scenario: Scenario, name: str, version: str, *requires: str) -> Path:
    """Serve a wheel that no project's page lists."""
    wheel = make_wheel(scenario.folder / "wheels", name, version, requires=requires)
    scenario.index.files.setdefault("of no project", []).append(ServedFile(wheel))
    return wheel


def links(*names: str) -> str:
    """Return a page as hosts of prebuilt wheels have it: relative links, ``+`` as %2B, no digest."""
    anchors = "".join(f'<a href="../files/{urllib.parse.quote(name)}">{name}</a><br/>' for name in names)
    return f"<!DOCTYPE html><html><body>{anchors}</body></html>"


def test_a_flat_page_serves_the_names_that_belong_to_it_and_no_others(scenario: Scenario) -> None:
    wheel, other = apart(scenario, "torch-scatter", "2.1.2+pt210cu128", "dep"), apart(scenario, "dep", "9.0")
    scenario.wheel("dep", "1.0")
    url = serve_page(scenario.index, links(wheel.name, other.name))
    answer = scenario.lock("torch-scatter", indexes=[Index(name="pyg", url=url, packages=("torch-scatter",))])
    assert packed(answer) == {"dep": "1.0", "torch-scatter": "2.1.2+pt210cu128"}
    found = {str(pin.name): pin.wheel for pin in answer.packed}["torch-scatter"]
    assert found is not None
    assert found.sha256 == sha256_of(wheel)
    assert found.size == wheel.stat().st_size
    assert found.index is None  # PEP 751 has the URL of a Simple index there
    assert found.url == f"{scenario.index.root}/files/{urllib.parse.quote(wheel.name)}"
    assert any("computed from the download" in note for note in answer.notes)
    assert not [path for path in scenario.index.requests if path.startswith("/simple/torch-scatter")]


def test_a_flat_page_behind_a_url_that_does_not_say_so_is_named_with_the_word_to_write(scenario: Scenario) -> None:
    wheel = apart(scenario, "mmcv", "2.1")
    url = serve_page(scenario.index, links(wheel.name), at="/whl/")
    index = Index(name="mm", url=url, packages=("mmcv",))
    with pytest.raises(NoSolution) as caught:
        scenario.lock("mmcv", indexes=[index])
    assert caught.value.next == f'write format = "links" beside {url} in [[indexes]]: it is a page of links'


def test_a_page_that_is_no_page_of_links_is_named(scenario: Scenario) -> None:
    url = serve_page(scenario.index, '<html><a href="torch/">torch</a></html>', at="/simple/index.html")
    with pytest.raises(NetworkError, match=r'links to no wheel and no sdist.*write format = "simple"'):
        scenario.lock("torch", indexes=[Index(name="t", url=url, packages=("torch",))])


@pytest.mark.parametrize("page", ["links", "simple"])
def test_a_page_of_another_machine_does_not_speak_of_files_of_this_one(scenario: Scenario, page: str) -> None:
    wheel = make_wheel(scenario.folder / "here", "planted")
    at = "/whl/page.html" if page == "links" else "/simple/planted/"
    url = serve_page(scenario.index, f'<html><a href="{wheel.as_uri()}">x</a></html>', at=at)
    indexes = [Index(name="t", url=url, packages=("planted",))] if page == "links" else []
    with pytest.raises(IntegrityError, match=r"planted 1.0 has a URL on its index that cannot be read"):
        scenario.lock("planted", indexes=indexes)


def test_a_folder_owns_what_lies_in_it_and_its_files_are_locked_by_their_path(scenario: Scenario) -> None:
    house = scenario.folder / "house"
    wheel = make_wheel(house, "Housy", "1.0", requires=["dep"])
    make_wheel(house, "housy", "2.0", requires_python=">=3.13")
    scenario.wheel("housy", "9.0")
    scenario.wheel("dep", "1.0")
    answer = scenario.lock("housy", indexes=[Index(name="house", url="./house")])
    assert packed(answer) == {"dep": "1.0", "housy": "1.0"}
    pin = {str(pin.name): pin for pin in answer.packed}["housy"]
    assert pin.source == Source(kind="wheel", url=f"house/{wheel.name}", sha256=sha256_of(wheel))
    assert pin.wheel is not None
    assert (pin.wheel.url, pin.wheel.index) == (None, None)
    assert not [path for path in scenario.index.requests if "housy" in path]
    assert not answer.notes


@pytest.mark.parametrize("spelling", ["house", "file", "absolute"])
def test_a_folder_is_found_however_its_path_is_spelled(scenario: Scenario, spelling: str) -> None:
    house = scenario.folder / "a house"
    make_wheel(house, "housy", "1.0")
    url = {"house": "./a house/", "file": house.as_uri(), "absolute": str(house)}[spelling]
    answer = scenario.lock("housy", indexes=[Index(name="house", url=url, packages=("housy", "other"))])
    source = answer.packed[0].source
    assert source is not None
    assert source.url == "a house/housy-1.0-py3-none-any.whl"


def test_exclude_newer_hides_no_file_of_a_folder(scenario: Scenario) -> None:
    make_wheel(scenario.folder / "house", "housy", "1.0")
    index = Index(name="house", url="./house")
    answer = scenario.lock("housy", indexes=[index], exclude_newer=datetime(2020, 1, 1, tzinfo=UTC))
    assert packed(answer) == {"housy": "1.0"}


def test_a_name_that_its_folder_lacks_is_not_looked_for_elsewhere(scenario: Scenario) -> None:
    make_wheel(scenario.folder / "house", "housy", "1.0")
    scenario.wheel("other", "1.0")
    index = Index(name="house", url="./house", packages=("housy", "other"))
    with pytest.raises(NoSolution, match="there is no other on file:"):
        scenario.lock("other", indexes=[index])


def test_a_simple_mirror_on_this_machine_is_one_when_it_is_said(scenario: Scenario) -> None:
    wheel = make_wheel(scenario.folder / "mirror" / "housy", "housy", "1.0")
    page = f'<html><a href="{wheel.name}#egg=housy&sha256={sha256_of(wheel)}">{wheel.name}</a></html>'
    (wheel.parent / "index.html").write_text(page)
    index = Index(name="mirror", url="./mirror", packages=("housy",), format="simple")
    found = scenario.lock("housy", indexes=[index]).packed[0].wheel
    assert found is not None
    assert found.url == wheel.as_uri()
    assert found.sha256 == sha256_of(wheel)
