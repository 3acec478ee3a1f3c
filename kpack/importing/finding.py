"""What one line of an input came to: one typed value, whatever kind of file it stood in."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from packaging.utils import NormalizedName


class Outcome(StrEnum):
    """Who has to do with a line now."""

    UNDERSTOOD = "understood"
    """It became an entry of kaggle-env.toml, or needs none."""
    LEFT = "left"
    """A person has to decide or to write something."""
    IN_IMAGE = "in_image"
    """The image has what it asks for."""


class Lines(NamedTuple):
    """Lines of a file, or of a notebook's cell; counted from 1."""

    file: str
    cell: int
    """0 where the file has no cells."""
    line: int
    last: int

    def __str__(self) -> str:
        return f"{self.file}: cell {self.cell}, line {self.line}" if self.cell else f"{self.file}:{self.line}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that one line asks for."""

    verdict: Outcome
    place: Lines
    said: str
    """What stands there, on one line, without credentials."""
    entry: str = ""
    """What kaggle-env.toml has for it, like ``packages "x>=1"``; empty when nothing is to be written."""
    why: str = ""
    """Why it is left, or what there is to know."""
    write: str = ""
    """What a person may write or run instead."""
    package: NormalizedName | None = None
    """The distribution that the line asks for, when it asks for one: an image may have it."""
    upgrade: bool = False
    """Whether it asks for the newest, whatever is installed."""

    def to_dict(self) -> dict[str, str]:
        """Return the finding for ``kpack init --json``."""
        held = {"where": str(self.place), "line": self.said, "entry": self.entry, "why": self.why, "write": self.write}
        return {key: value for key, value in held.items() if value}
