"""Repositories that are cloned: of models, or of projects from which something may be installed."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from kpack import urls
from kpack.importing import models
from kpack.importing.sitting import Clone

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kpack.importing.harvest import Line
    from kpack.importing.sitting import Sitting

_WITH_VALUE = frozenset({"-b", "--branch", "--depth", "-o", "--origin", "-j", "--jobs", "-c", "--config", "--filter"})
_HUB = re.compile(r"https://huggingface\.co/((?:datasets/|spaces/)?[^/]+/[^/]+)")


def command(rest: Sequence[str], line: Line, sitting: Sitting) -> None:
    """Read the words after ``git``."""
    words = list(rest)
    folder = "."
    while words and words[0] in {"-C", "-c"}:
        folder = words[1] if words[0] == "-C" and len(words) > 1 else folder
        del words[:2]
    if words[:1] == ["lfs"]:
        words = words[1:]
    if words[:1] in (["checkout"], ["switch"]):
        _checkout(words[1:], folder, line, sitting)
    elif words[:1] == ["clone"]:
        _clone(words[1:], line, sitting)


def _checkout(words: Sequence[str], folder: str, line: Line, sitting: Sitting) -> None:
    clone = sitting.clone_of(folder)
    plain = [word for word in words if not word.startswith("-")]
    if clone and plain:
        clone[0].revision = plain[0]
        sitting.harvest.understood(line, "", f"the revision of {urls.shown(clone[0].url)}")


def _clone(words: Sequence[str], line: Line, sitting: Sitting) -> None:
    """Remember where a repository lies; one of the Hub is a checkpoint."""
    plain: list[str] = []
    revision, option = "", ""
    for word in words:
        if option:
            revision = word if option in {"-b", "--branch"} else revision
            option = ""
        elif word in _WITH_VALUE:
            option = word
        elif word.startswith("--branch="):
            revision = word.partition("=")[2]
        elif not word.startswith("-"):
            plain.append(word)
    if not plain:
        return
    url = re.sub(r"^git@([^:]+):", r"https://\1/", plain[0]).rstrip("/")
    folder = plain[1] if len(plain) > 1 else re.sub(r"\.git$", "", url.rpartition("/")[2])
    hub = _HUB.fullmatch(url)
    if hub:
        models.repository(hub[1], line, sitting, revision=revision, path=sitting.lands(folder))
    else:
        sitting.clones[sitting.path(folder)] = Clone(url, revision, line)
