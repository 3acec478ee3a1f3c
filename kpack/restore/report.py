"""What a restore has done, as a value, as one line, and as progress while it runs."""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING, Any, Dict, List, Optional, TextIO, Tuple

from .errors import FEW, few, number_of

if TYPE_CHECKING:
    from .drift import Drift


class Report:
    """The outcome of a restore, or of its dry run."""

    def __init__(self, pack: str, name: str, id: str, target: str, *, dry_run: bool) -> None:  # noqa: A002 - the design's word
        self.pack = pack
        self.name = name
        self.id = id
        self.target = target
        """Name of the base, or ``python-3.12``."""
        self.installed: List[Tuple[str, str]] = []
        """(name, version) of everything the pack brings for this target and that is now there."""
        self.checkpoints: List[Tuple[str, str, int]] = []
        """(path, sha256, bytes)."""
        self.links: List[Tuple[str, str]] = []
        """(link in the working folder, where it leads)."""
        self.seconds = 0.0
        self.bytes = 0
        """Written, unpacked."""
        self.drift: Tuple[Drift, ...] = ()
        self.changed = False
        self.replaced: List[Tuple[str, str, str]] = []
        """(name, version before, version now)."""
        self.notes: List[str] = []
        self.dry_run = dry_run
        self.system: List[Tuple[str, str]] = []
        """(name, version) of the system packages that the pack brings for this target."""
        self.road = ""
        """``dpkg`` or ``prefix``: how they are installed; empty without any."""
        self.planned: List[Tuple[str, str, str]] = []
        """(name, version, folder) of what is not there yet."""

    def to_dict(self) -> Dict[str, Any]:
        """Return the object of ``kpack restore --json``."""
        return {
            "pack": self.pack,
            "name": self.name,
            "id": self.id,
            "target": self.target,
            "installed": [{"name": name, "version": version} for name, version in self.installed],
            "checkpoints": [{"path": path, "sha256": digest, "size": size} for path, digest, size in self.checkpoints],
            "links": [{"path": path, "to": to} for path, to in self.links],
            "system": [{"name": name, "version": version, "by": self.road} for name, version in self.system],
            "seconds": round(self.seconds, 3),
            "bytes": self.bytes,
            "drift": [item.to_dict() for item in self.drift],
            "changed": self.changed,
            "replaced": [{"name": name, "from": old, "to": new} for name, old, new in self.replaced],
            "notes": self.notes,
            "dry_run": self.dry_run,
        }

    def summary(self) -> str:
        """Return the one line that the restore prints."""
        what = number_of(len(self.installed), "package")
        if self.checkpoints:
            what += ", " + number_of(len(self.checkpoints), "checkpoint")
        if self.system:
            what += ", " + number_of(len(self.system), "system package")
        head = "kpack: {} {}".format(self.name, self.id[:12])
        if self.dry_run:
            return "{} would restore {} ({})".format(head, what, _size(self.bytes))
        if not self.changed:
            return "{} is restored already: {}".format(head, what)
        return "{} restored: {} ({}) in {:.1f} s".format(head, what, _size(self.bytes), self.seconds)

    def lines(self) -> List[str]:
        """Return what there is to say beside the summary, one sentence each; notes before lists of files."""
        verb = "would replace" if self.dry_run else "replaced"
        said = ["{} {} {} with {}".format(verb, name, old, new) for name, old, new in self.replaced]
        said += self.notes
        if self.dry_run:
            said += ["install {} {} to {}".format(*item) for item in self.planned]
            if self.system:
                names = ", ".join("{} {}".format(*item) for item in self.system)
                said.append("install system packages ({}): {}".format(self.road, names))
            said += ["copy a checkpoint of {} to {}".format(_size(size), path) for path, _, size in self.checkpoints]
        else:
            said += _landed([path for path, _, _ in self.checkpoints])
        if self.links:
            verb = "would be linked" if self.dry_run else "linked"
            said += few(["{} as {}".format(verb, path) for path, _ in self.links])
        said += few([_drifted(item) for item in sorted(self.drift, key=lambda item: not item.breaks)])
        return ["  " + printable(line) for line in said]


def _drifted(item: Drift) -> str:
    found = "has {}".format(item.found) if item.found else "is missing"
    return "drift: {} {}, locked against {} ({})".format(item.name, found, item.locked, item.why)


def _landed(paths: List[str]) -> List[str]:
    """Return where checkpoints are: each by its path when they are few, else how many there are in which folder."""
    if len(paths) <= FEW:
        return ["checkpoint: " + path for path in paths]
    folders: Dict[str, int] = {}
    for path in paths:
        folder = os.path.dirname(path)
        folders[folder] = folders.get(folder, 0) + 1
    shown = ["checkpoints: {} in {}".format(count, folder) for folder, count in sorted(folders.items())]
    left = len(paths) - sum(folders[folder] for folder in sorted(folders)[:FEW])
    return shown[:FEW] + (["checkpoints: {} in other folders".format(left)] if left else [])


class Progress:
    """A line that grows while a restore runs longer than `DELAY` seconds: in the notebook's cell, or on stderr."""

    DELAY = 2.0
    """Seconds before anything is shown."""
    LOG = 15.0
    """Seconds between the lines of a plain log."""

    def __init__(self) -> None:
        self._begin = self._last = time.monotonic()
        self._display: Any = None
        self._plain = sys.stderr is not None and sys.stderr.isatty()
        """Whether stderr is a terminal, where one line can be written over."""

    def __call__(self, done: int, total: int) -> None:
        """Show that ``done`` of ``total`` bytes are worked through."""
        now = time.monotonic()
        cell = sys.modules.get("IPython") is not None and sys.modules["IPython"].get_ipython() is not None
        often = 0.5 if cell or self._plain else self.LOG
        if now - self._begin < self.DELAY or now - self._last < often or not total:
            return
        self._last = now
        text = "kpack: {} of {} ({:.0f} %)".format(_size(done), _size(total), 100 * done / total)
        if cell:
            self._in_cell(text)
        else:
            show("\r" + text if self._plain else text + "\n", sys.stderr)

    def _in_cell(self, text: str) -> None:
        display: Any = sys.modules["IPython"].display.display

        data = {"text/plain": text}
        if self._display is None:
            self._display = display(data, raw=True, display_id=True)
        else:
            self._display.update(data, raw=True)

    def close(self) -> None:
        """End the line on a terminal."""
        if self._plain and self._last != self._begin:
            show("\r\x1b[K", sys.stderr)


def show(text: str, stream: Optional[TextIO]) -> Optional[OSError]:
    """Write text to a stream of the process at once; a process may have none, or have closed it.

    What is said is never a reason to fail: the error of a stream that cannot be written, but for one whose reader is
    gone, is returned.
    """
    if stream is not None and not getattr(stream, "closed", False):
        try:
            stream.write(text)
            stream.flush()
        except BrokenPipeError:
            pass
        except OSError as error:
            return error
    return None


def printable(text: str) -> str:
    """Return text whose control characters are escaped."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode("ascii") for char in text)


def _size(size: int) -> str:
    if size >= 10**9:
        return "{:.2f} GB".format(size / 1e9)
    return "{:.1f} MB".format(size / 1e6) if size >= 10**5 else "{:.1f} kB".format(size / 1e3)
