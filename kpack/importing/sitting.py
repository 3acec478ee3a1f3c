"""Where a notebook is while it is read: its folder in the kernel, what it has cloned, written and named so far."""

from __future__ import annotations

import os
import posixpath
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from kpack import urls
from kpack.errors import typed

if TYPE_CHECKING:
    from kpack.importing.harvest import Harvest, Line

HOME = "/kaggle/working"
"""The folder that a notebook starts in on Kaggle: the folder of its file, here."""

_LONGEST = 4096
"""Bytes of a path, at most."""


@dataclass(slots=True)
class Clone:
    """A repository that the notebook cloned."""

    url: str
    """Without ``git+``."""
    revision: str
    line: Line
    """Where it was cloned."""
    used: bool = False
    """Whether something was installed from it."""


@dataclass(slots=True)
class Sitting:
    """What the lines read so far have done; each line may change it."""

    harvest: Harvest
    folder: Path
    """The input's own folder, on this machine."""
    cwd: str = HOME
    """In the kernel."""
    clones: dict[str, Clone] = field(default_factory=dict)
    """By folder in the kernel."""
    files: dict[str, str] = field(default_factory=dict)
    """Texts that cells wrote, by path in the kernel."""
    written: set[str] = field(default_factory=set)
    """The names of the files that cells wrote, without their folders."""
    unused: dict[str, Line] = field(default_factory=dict)
    """Lists of requirements among them that nothing has used, and where they were written."""
    wheels: set[str] = field(default_factory=set)
    """Folders in the kernel that pip downloaded to, or built in."""
    texts: dict[str, str | list[str]] = field(default_factory=dict)
    """The last text (or list of texts) that each variable was given in plain words."""

    def enter(self, word: str) -> None:
        """Change the folder; one whose path is too long for Linux cannot be entered."""
        whole = self.path(word)
        self.cwd = whole if len(whole) < _LONGEST else self.cwd

    def path(self, word: str) -> str:
        """Return a path in the kernel, absolute; one in the home folder keeps its ``~``."""
        return word if word.startswith("~") else posixpath.normpath(posixpath.join(self.cwd, word))

    def lands(self, word: str) -> str:
        """Return a path in the kernel as a checkpoint has it: relative where it lies below the notebook's folder."""
        whole = self.path(word)
        return whole.removeprefix(f"{HOME}/")

    def local(self, word: str) -> Path | None:
        """Return the file or folder of this machine that a path of the kernel stands for, if it is there."""
        if "\0" in word:
            return None
        plain = os.path.expanduser(word)  # noqa: PTH111 - a home that is not there is no error here
        if not posixpath.isabs(plain):
            within = posixpath.relpath(self.cwd, HOME)
            candidate = self.folder / within / plain
        elif f"{posixpath.normpath(plain)}/".startswith(f"{HOME}/"):
            candidate = self.folder / posixpath.relpath(plain, HOME)
        else:
            candidate = Path(plain)
        return candidate if os.path.exists(candidate) else None  # noqa: PTH110 - nor is a name that no file can have

    def clone_of(self, word: str) -> tuple[Clone, str] | None:
        """Return the repository that a path of the kernel lies in, and the path within it."""
        whole = self.path(word)
        folder = whole
        while folder not in self.clones:
            above = posixpath.dirname(folder)
            if above == folder:
                return None
            folder = above
        return self.clones[folder], posixpath.relpath(whole, folder).removeprefix(".")

    def brings(self, module: str) -> bool:
        """Tell whether a module lies beside the input, or was written by a cell."""
        return (
            f"{module}.py" in self.written or self.local(f"{module}.py") is not None or self.local(module) is not None
        )

    def finish(self) -> None:
        """Say what became of the repositories and lists that the input made."""
        for clone in self.clones.values():
            shown = urls.shown(clone.url)
            if clone.used:
                self.harvest.understood(clone.line, "", "installed below, straight from its repository")
                continue
            self.harvest.left(
                clone.line,
                f"a clone of {shown}, from which nothing is installed: kpack carries packages",
                f"{typed('kpack', 'add', 'NAME @ git+' + shown)} if it is one; else attach its files as an input",
            )
        for path, line in self.unused.items():
            name = path.removeprefix(f"{HOME}/")
            self.harvest.left(
                line, f"{name} is written, and nothing here installs from it", f"kpack init --from … --from {name}"
            )
