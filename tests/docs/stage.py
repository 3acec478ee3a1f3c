"""Where the commands of a page are run: a folder of its own, and an index on loopback with look-alikes.

The look-alikes bear the names, versions and requirements of the packages that the pages speak of, and hold one module.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.cli.run import ROOT, Done, terminal
from tests.support.wheels import make_wheel

if TYPE_CHECKING:
    from pathlib import Path

    from tests.docs.blocks import Block, Command
    from tests.support.index import IndexServer

_PLATFORM = "manylinux_2_17_x86_64"
BASE = 'base = "kaggle-cpu-py312-2026-08"'
LOOKALIKES: tuple[tuple[str, str, tuple[str, ...], str], ...] = (
    ("rank-bm25", "0.2.2", ("numpy",), "py3-none-any"),
    ("jiwer", "4.0.0", ("click>=8.1.8", "rapidfuzz>=3.9.7"), "py3-none-any"),
    ("rapidfuzz", "3.14.6", (), f"cp312-cp312-{_PLATFORM}"),
    ("rapidfuzz", "3.14.6", (), f"cp313-cp313-{_PLATFORM}"),
    ("rapidfuzz", "3.14.6", (), f"cp311-cp311-{_PLATFORM}"),
    ("tokenizers", "0.22.9", (), f"cp39-abi3-{_PLATFORM}"),
    ("numpy", "2.0.2", (), "py3-none-any"),
    ("click", "8.3.3", (), "py3-none-any"),
)
"""Name, version, requirements, tag."""

_FIGURE = re.compile(r"[0-9a-f]{8,}…?|[0-9][0-9.,:]*")
_UNIT = re.compile(r"# (?:B|kB|MB|GB|s|ms)\b")


def serve(index: IndexServer, folder: Path) -> None:
    """Make the look-alikes and serve them."""
    for name, version, requires, tag in LOOKALIKES:
        index.add(make_wheel(folder, name, version, requires=requires, tag=tag))


def _shape(row: str) -> str:
    """Return a printed line without its figures: they differ from the real packages' ones."""
    return " ".join(_UNIT.sub("# U", _FIGURE.sub("#", row)).split())


@dataclass
class Stage:
    """A project folder, and what its commands see."""

    folder: Path
    environ: dict[str, str]
    slow: bool
    """Whether commands that take many seconds are run, too."""
    passed_over: list[str] = field(default_factory=list)

    def run(self, block: Block) -> None:
        """Run the commands of a block and compare what they print."""
        for command in block.commands():
            words, _, comment = command.words.partition("  #")
            wanted = re.search(r"exit code ([0-9])", comment)
            if not self.slow and words.startswith(("kpack rehearse", "python ")):
                self.passed_over.append(words)
                continue
            done = self._run(words.strip())
            assert done.code == (int(wanted[1]) if wanted else 0), f"{block}: {words}\n{done.out}{done.err}"
            self._compare(block, command, done)

    def _run(self, words: str) -> Done:
        if words.startswith("pip install "):
            return _installs(words)
        if words.startswith("kpack ") and not re.search(r"[|<>;&$]", words):
            return terminal().run(shlex.split(words)[1:], self.folder, self.environ)
        script = self.folder.parent / "bin"
        if not script.exists():
            script.mkdir()
            (script / "kpack").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m kpack "$@"\n')
            (script / "kpack").chmod(0o755)
        environ = {**self.environ, "PATH": os.pathsep.join([str(script), self.environ["PATH"]])}
        done = subprocess.run(
            ["bash", "-c", words], cwd=self.folder, env=environ, capture_output=True, text=True, check=False
        )
        return Done(done.returncode, done.stdout, done.stderr)

    def _compare(self, block: Block, command: Command, done: Done) -> None:
        """Each line of the page is printed, in this order on each stream; ``…`` stands for anything."""
        there = [_shape(row) for row in (done.out + "\n" + done.err).splitlines()]
        for row in command.printed:
            if row.strip() == "…":
                continue
            pattern = ".*".join(re.escape(part.strip()) for part in _shape(row).split("…"))
            found = any(re.fullmatch(pattern.replace(".*", " ?.* ?"), one) for one in there)
            assert found, f"{block}: {command.words} does not print {row!r}\n{done.out}{done.err}"


def _installs(words: str) -> Done:
    """Hold ``pip install kaggle-kpack[extra]`` against the project's extras: kpack itself is what is tested."""
    import tomllib

    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    for name in shlex.split(words)[2:]:
        match = re.fullmatch(r"kaggle-kpack(?:\[([a-z,]+)\])?", name)
        assert match or name in {"-q", "-U", "--upgrade"}, f"{words}: what is not kpack has to be marked"
        asked = match[1].split(",") if match and match[1] else []
        assert set(asked) <= extras.keys(), words
    return Done(0, "", "")


def prepare(stage: Stage, project: str) -> None:
    """Put into the folder what the reader of a page has."""
    wheels = stage.folder.parent / "wheels"
    wheels.mkdir()
    make_wheel(wheels, "our-metrics", "1.2")
    if project == "notebook":
        shutil.copy(ROOT / "docs" / "tutorial" / "search.ipynb", stage.folder)
    elif project in {"built", "locked", "bare"}:
        kernel = f'python = "{sys.version_info[0]}.{sys.version_info[1]}"' if project == "bare" else BASE
        packages = '["rank-bm25", "jiwer>=3"]'
        (stage.folder / "kaggle-env.toml").write_text(f'name = "search"\n{kernel}\npackages = {packages}\n')
        for words in (["lock"], ["build"])[: 1 if project == "locked" else 2]:
            done = terminal().run(words, stage.folder, stage.environ)
            assert done.code == 0, done.err
    else:
        assert project == "empty", f"there is no project {project}"
