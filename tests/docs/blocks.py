"""The fenced blocks of a page, and the words around them that say how they are tested."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
EXAMPLES = tuple(sorted((ROOT / "examples").rglob("README.md")))
"""Pages whose commands are not run here: the environments that they speak of have tests of their own."""
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")))

_FENCE = re.compile(r"^```(?P<language>[a-z]*|\{eval-rst\})\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
_REASON = re.compile(r"\*Not run by the tests: (?P<why>[^*]+)\*\n*\Z")
_PROJECT = re.compile(r"^<!-- project: (?P<name>[a-z-]+) -->$", re.MULTILINE)

COMMANDS = "console"
"""The language of a block whose lines that begin with ``$`` are commands, followed by what they print."""
LANGUAGES = frozenset({COMMANDS, "toml", "python", "yaml", "text", "{eval-rst}"})
"""``text`` is what is neither run nor read by a program: output, cells of IPython, options."""


@dataclass(frozen=True)
class Command:
    """One command and the lines that it is said to print."""

    words: str
    printed: tuple[str, ...]


@dataclass(frozen=True)
class Block:
    """A fenced block."""

    page: Path
    line: int
    language: str
    text: str
    why_not: str | None
    """Why the tests do not run it: the sentence that stands above it on the page."""

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"

    def commands(self) -> list[Command]:
        """Return the commands of a ``console`` block; one that ends with a backslash goes on in the next line."""
        found: list[Command] = []
        for row in self.text.replace("\\\n", " ").splitlines():
            if row.startswith("$ "):
                found.append(Command(row.removeprefix("$ "), ()))
            elif row.strip():
                assert found, f"{self}: begins without a command"
                found[-1] = Command(found[-1].words, (*found[-1].printed, row))
        return found


def blocks(page: Path) -> list[Block]:
    """Return the blocks of a page in their order."""
    text = page.read_text(encoding="utf-8")
    found = []
    for match in _FENCE.finditer(text):
        reason = _REASON.search(text, 0, match.start())
        why = " ".join(reason["why"].split()) if reason else None
        line = text.count("\n", 0, match.start()) + 1
        found.append(Block(page, line, match["language"], match["text"], why))
    return found


def project(page: Path) -> str:
    """Return the name of the project that a page's commands are run in."""
    match = _PROJECT.search(page.read_text(encoding="utf-8"))
    return match["name"] if match else "empty"
