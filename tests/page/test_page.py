"""The page of a pack: what it shows, that nothing in a pack leaves its text, and that it asks nobody for anything."""

from __future__ import annotations

import base64
import hashlib
import os
import re
import shutil
import subprocess
from html.parser import HTMLParser
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from kpack import cli, pack
from kpack.page import page_of
from kpack.page.treemap import squarified
from tests.restore.kit import make_pack
from tests.support.wheels import make_wheel

if TYPE_CHECKING:
    from pathlib import Path

EVIL = "</script><script>document.title='taken'</script><img src=x onerror=alert(1)>\u202e\x1b[2J"
BROWSERS = ("chromium", "chromium-browser", "google-chrome")


class Outline(HTMLParser):
    """What a page is made of; every element that is opened is closed where it must be."""

    EMPTY = frozenset({"meta", "input", "link", "br"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, list[str]] = {}
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in self.EMPTY:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.setdefault(self.open[-1] if self.open else "", []).append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


@pytest.fixture(scope="module")
def html(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("page")
    wheels = [
        make_wheel(folder, "big", files={"big.bin": os.urandom(90_000)}),
        make_wheel(folder, "starts", files={"starts.py": "", "starts.pth": "import starts\n"}),
        make_wheel(folder, "evil", headers=[f"Summary: {EVIL}", "License-Expression: MIT"]),
        *(make_wheel(folder, f"small-{number}") for number in range(12)),
    ]
    checkpoints = {"checkpoints/<b>&'w.bin": os.urandom(60_000)}
    made = make_pack(
        folder / "dist",
        wheels,
        series=["3.12", "3.13"],
        checkpoints=checkpoints,
        leans={"torch": ("2.10", [("big", "torch>=2")])},
        env={"NOTE": EVIL[:60]},
    )
    place = folder / "pack.html"
    assert cli.run(["inspect", str(made.path), "--html", str(place)]) == 0
    return place


def test_everything_of_a_pack_stands_on_the_page_as_text(html: Path) -> None:
    text = html.read_text(encoding="utf-8")
    outline = Outline(text)
    assert outline.open == []
    shown = "".join(data for tag, found in outline.texts.items() if tag not in {"script", "style"} for data in found)
    for wanted in (
        "big", "python-3.13", "starts.pth", "MIT", "checkpoints/<b>&'w.bin", "torch", "onerror", "lock in the pack",
    ):  # fmt: skip
        assert wanted in shown
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert len(outline.all("script")) == 1
    assert not outline.all("img")
    assert outline.texts["title"] == ["tiny · kpack"]


def test_the_policy_lets_nothing_run_but_the_pages_own_code_and_nothing_leave(html: Path) -> None:
    text = html.read_text(encoding="utf-8")
    outline = Outline(text)
    (policy,) = (str(meta["content"]) for meta in outline.all("meta") if meta.get("http-equiv"))
    assert policy.startswith("default-src 'none';")
    assert "unsafe" not in policy
    for tag in ("style", "script"):
        for content in re.findall(rf"<{tag}>(.*?)</{tag}>", text, re.DOTALL):
            digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
            assert f"'sha256-{digest}'" in policy
    for _, attributes in outline.elements:
        assert not {"src", "style", "srcset"} & attributes.keys()
        assert not [name for name in attributes if name.startswith("on")]
        assert str(attributes.get("href", "#")).startswith("#")


def test_every_link_leads_somewhere_and_every_name_is_there_once(html: Path) -> None:
    outline = Outline(html.read_text(encoding="utf-8"))
    names = [str(attributes["id"]) for _, attributes in outline.elements if "id" in attributes]
    assert len(names) == len(set(names))
    assert {str(link["href"])[1:] for link in outline.all("a")} <= set(names)
    labelled = {str(value) for _, attributes in outline.elements if (value := attributes.get("aria-labelledby"))}
    assert labelled <= set(names)


def test_areas_of_the_map_are_as_the_sizes(html: Path) -> None:
    page = page_of(pack.read(html.parent / "dist" / "tiny.kpack.bin"))
    assert {tile.kind for tile in page.tiles} >= {"brought", "checkpoint"}
    per_byte = [tile.place.width * tile.place.height / tile.size for tile in page.tiles]
    assert max(per_byte) == pytest.approx(min(per_byte))
    assert sum(tile.place.width * tile.place.height for tile in page.tiles) == pytest.approx(100 * 100)


@pytest.mark.parametrize("sizes", [[1.0], [5, 3, 2, 1, 1], [1000, *[1] * 50], [7] * 30])
def test_rectangles_fill_the_map_and_lie_in_it(sizes: list[float]) -> None:
    places = squarified(sizes, aspect=2.2)
    assert all(-1e-9 <= place.left <= place.left + place.width <= 100 + 1e-6 for place in places)
    assert all(-1e-9 <= place.top <= place.top + place.height <= 100 + 1e-6 for place in places)
    areas = [place.width * place.height for place in places]
    assert sum(areas) == pytest.approx(10_000)
    assert all(one >= other - 1e-6 for one, other in pairwise(areas))


def test_a_browser_shows_it_and_complains_of_nothing(html: Path, tmp_path: Path) -> None:
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        pytest.skip(f"none of {', '.join(BROWSERS)} is installed here")
    command = [
        browser, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--window-size=500,900",
        f"--user-data-dir={tmp_path}", "--enable-logging=stderr", "--dump-dom", html.as_uri(),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert "CONSOLE" not in done.stderr, done.stderr
    assert '<button type="button">Size</button>' in done.stdout  # its script ran
    assert "<title>tiny · kpack</title>" in done.stdout  # nobody else's did
