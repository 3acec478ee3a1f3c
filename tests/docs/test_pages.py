"""Every block of the README and of docs/ is run, read, or says on the page why not.

By default the README and the tutorial are run, without what takes many seconds; ``KPACK_INDEX_TESTS=all`` runs all.
"""

from __future__ import annotations

import importlib.util
import os
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import pytest
import yaml

from docs import generate
from kpack import cli
from kpack.environment import parse
from tests.docs import stage as stages
from tests.docs.blocks import COMMANDS, EXAMPLES, LANGUAGES, PAGES, ROOT, Block, blocks, project
from tests.support.index import IndexServer
from tests.support.long import ALL, listed, long_list

if TYPE_CHECKING:
    from collections.abc import Iterator

DEFAULT = {"README.md", "docs/tutorial/first-submission.md"}
BLOCKS = [block for page in PAGES for block in blocks(page)]
RUN = [page for page in PAGES if any(block.language == COMMANDS and not block.why_not for block in blocks(page))]
REASONS = {"it needs an account on Kaggle.": 14, "it needs podman or docker.": 2, "it needs the real index.": 4}
"""How many blocks at most say so: a reason is no way to be rid of a test."""


def name(page: object) -> str:
    assert isinstance(page, Path)
    return str(page.relative_to(ROOT))


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Iterator[IndexServer]:
    with IndexServer() as server:
        stages.serve(server, tmp_path_factory.mktemp("wheels"))
        yield server


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def stage(tmp_path: Path, index: IndexServer, cache: Path) -> stages.Stage:
    folder = tmp_path / "search"
    folder.mkdir()
    environ = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "PYTHONDONTWRITEBYTECODE": "1",
        "NO_COLOR": "1",
        "COLUMNS": "100",
        "KPACK_INDEX_URL": index.url,
        "KPACK_CACHE": str(cache),
        "HOME": str(tmp_path),
        "NO_PROXY": "127.0.0.1",
    }
    return stages.Stage(folder, environ, slow=ALL)


@pytest.mark.parametrize("page", listed(RUN, lambda page: name(page) in DEFAULT), ids=name)
def test_the_commands_of_a_page_do_what_it_says(page: Path, stage: stages.Stage) -> None:
    stages.prepare(stage, project(page))
    for block in blocks(page):
        if block.why_not:
            continue
        if block.language == "toml" and block.text.startswith("# kaggle-env.toml\n"):
            (stage.folder / "kaggle-env.toml").write_text(block.text, encoding="utf-8")
        elif block.language == COMMANDS:
            stage.run(block)
        elif block.language == "python" and stage.slow:
            done = subprocess.run(
                [sys.executable, "-c", block.text],
                cwd=stage.folder,
                env=stage.environ,
                capture_output=True,
                check=False,
            )
            assert done.returncode == 0, f"{block}: {done.stderr.decode()}"


def test_the_cells_of_the_page_without_a_terminal_build_a_pack(stage: stages.Stage, tmp_path: Path) -> None:
    cells = [each.text for each in blocks(ROOT / "docs/how-to/without-a-terminal.md") if each.language == "text"]
    rows = [row.replace("/kaggle/tmp", str(tmp_path)) for text in cells for row in text.splitlines()]
    ran = 0
    for row in rows:
        words = re.sub(r"^%run |(?:^!|(?<=&& ))python ", f"{shlex.quote(sys.executable)} ", row)
        if row.startswith("%run "):
            words += " > kaggle-base.json"  # out of a kernel a probe prints what it writes in one
        if words != row:
            done = subprocess.run(
                words, shell=True, cwd=stage.folder, env=stage.environ, capture_output=True, check=False
            )
            assert done.returncode == 0, f"{row}\n{done.stderr.decode()}"
            ran += 1
        elif row.startswith("%%writefile "):
            text = next(text for text in cells if text.startswith(row))
            (stage.folder / row.removeprefix("%%writefile ")).write_text(text.partition("\n")[2], encoding="utf-8")
    assert ran == 3
    assert (stage.folder / "dist" / "search.kpack.bin").is_file()


@long_list
@pytest.mark.index
@pytest.mark.parametrize("page", [page for page in RUN if name(page) in DEFAULT], ids=name)
def test_the_commands_of_a_page_do_what_it_says_with_the_real_packages(page: Path, stage: stages.Stage) -> None:
    del stage.environ["KPACK_INDEX_URL"]
    stages.prepare(stage, project(page))
    for block in blocks(page):
        if block.language == COMMANDS and not block.why_not:
            stage.run(block)


@pytest.mark.parametrize("block", [block for block in BLOCKS if block.language == "toml"], ids=str)
def test_a_block_of_toml_is_a_kaggle_env_toml_or_a_piece_of_one(block: Block, tmp_path: Path) -> None:
    """The reference's own pieces are held against the schema where that is tested."""
    given = tomllib.loads(block.text)
    if block.page.parent != generate.FOLDER:
        head = "" if "name" in given else 'name = "x"\n'
        head += "" if given.keys() & {"base", "python"} else 'base = "kaggle-gpu-py312-2026-08"\n'
        parse(head + block.text, tmp_path / "kaggle-env.toml")


def test_every_block_says_what_it_is_and_few_are_not_run() -> None:
    assert {block.language for block in BLOCKS} <= LANGUAGES
    reasons = [block.why_not for block in BLOCKS if block.why_not]
    assert set(reasons) <= REASONS.keys()
    assert {why: reasons.count(why) for why in set(reasons) if reasons.count(why) > REASONS[why]} == {}


LINKS = re.compile(r"\]\((?!https?:)([^)#\s]+)(?:#[^)\s]*)?\)")


@pytest.mark.parametrize("page", [*PAGES, *EXAMPLES, ROOT / "ARCHITECTURE.md", ROOT / "CONTRIBUTING.md"], ids=name)
def test_a_link_of_a_page_leads_to_a_file(page: Path) -> None:
    links = LINKS.findall(page.read_text(encoding="utf-8"))
    assert [link for link in links if not (page.parent / link).exists()] == []


@pytest.mark.parametrize("command", re.findall(r"`([^`]*python -m [^`]+)`", (ROOT / "docs" / "trust.md").read_text()))
def test_what_gives_a_figure_is_there(command: str) -> None:
    module, *words = command.partition("python -m ")[2].split()
    assert importlib.util.find_spec(module) is not None
    assert [word for word in words if word.startswith("tests/") and not (ROOT / word).exists()] == []


@long_list
def test_the_built_pages_have_no_broken_link_and_fetch_nothing(tmp_path: Path) -> None:
    pytest.importorskip("sphinx", reason="Sphinx is not installed: make docs")
    command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-b", "html", "docs", str(tmp_path / "html")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    made = [path for path in (tmp_path / "html").rglob("*") if path.suffix in {".html", ".css"}]
    assert len(made) > 30
    fetched = re.compile(
        r"<(?:script|img|iframe|source)[^>]*src=\"(?:https?:)?//|<link[^>]*href=\"(?:https?:)?//|url\(['\"]?https?:|@import"
    )
    assert [path.name for path in made if fetched.search(path.read_text(encoding="utf-8"))] == []


def takes(words: list[str]) -> None:
    """Fail when ``kpack`` does not take these words; nothing is run."""
    words = ["0f" * 32 if word == "$PACK_ID" else word for word in words]  # as the shell does
    with cli.group.make_context("kpack", cli._group_first(words)) as context:
        _, command, rest = cli.group.resolve_command(context, [*context._protected_args, *context.args])
        assert isinstance(command, click.Command)
        command.make_context(words[0], rest, parent=context)


def unrun() -> list[str]:
    held = [block for block in BLOCKS if block.language == COMMANDS and block.why_not]
    held += [block for page in EXAMPLES for block in blocks(page) if block.language == COMMANDS]
    shown = [command.words.partition("  #")[0] for block in held for command in block.commands()]
    return [part for words in shown for part in words.split(" && ")]


@pytest.mark.parametrize(
    "words", [*unrun(), *(one for held in generate.commands().values() for one in generate.examples(held))]
)
def test_kpack_takes_the_words_of_what_is_not_run(words: str) -> None:
    words = words.partition("   ")[0].partition(" > ")[0]
    if words.startswith("kpack "):
        takes(shlex.split(words)[1:])


@pytest.mark.parametrize("block", [block for block in BLOCKS if block.language == "yaml"], ids=str)
def test_a_block_of_yaml_names_hooks_and_commands_that_there_are(block: Block) -> None:
    held: Any = yaml.safe_load(block.text)
    offered = {hook["id"] for hook in yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())}
    steps = held if isinstance(held, list) else []
    for repo in held.get("repos", []) if isinstance(held, dict) else []:
        assert {hook["id"] for hook in repo["hooks"]} <= offered
    for step in steps:
        words = shlex.split(step["run"])
        if words[0] == "kpack":
            takes(words[1:])


@pytest.mark.parametrize("block", [block for block in BLOCKS if block.language == "python"], ids=str)
def test_a_block_of_python_is_python(block: Block) -> None:
    compile(block.text, str(block), "exec")
