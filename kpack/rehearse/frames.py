"""Stacks that a rehearsal wrote down, in the words of its report: which package asked, and from which line."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

_PLUMBING = frozenset({
    "aiohappyeyeballs", "aiohttp", "anyio", "backoff", "h11", "h2", "httpcore", "httpcore2", "httplib2", "httpx",
    "httpx2", "requests", "retrying", "sniffio", "tenacity", "trio", "urllib3", "websocket", "websockets",
})  # fmt: skip
"""Packages that carry other packages' requests."""

_KERNEL = frozenset({"IPython", "ipykernel", "ipykernel_launcher", "tornado", "traitlets", "zmq"})


class Frame(NamedTuple):
    """One frame of a stack."""

    file: str
    line: int
    module: str

    @property
    def package(self) -> str:
        """The top-level package of a frame in site-packages; empty for the standard library and the user's code."""
        return self.module.partition(".")[0] if "-packages/" in self.file else ""

    @property
    def short(self) -> str:
        """``wandb/apis/public.py:40``."""
        return f"{self.file.rpartition('-packages/')[2]}:{self.line}"


def frames_of(stack: Iterable[Any], own: Path) -> Iterator[Frame]:
    """Yield the frames of a row, innermost first, without those of the rehearsal's own code in ``own``."""
    for file, line, module in stack:
        if not str(file).startswith(f"{own}/"):
            yield Frame(str(file), int(line), str(module))


def chain_of(frames: Sequence[Frame]) -> tuple[str, ...]:
    """Return the packages of a stack from the outermost on, each once, without those that only carry requests."""
    named = [frame.package for frame in reversed(frames) if frame.package and frame.package not in _KERNEL]
    asking = [name for name in dict.fromkeys(named) if name not in _PLUMBING]
    return tuple(asking or dict.fromkeys(named))


def asker(chain: Sequence[str], frames: Sequence[Frame], thread: str | None) -> str:
    """Return who asked: the packages with the place in the innermost, or what else it was."""
    if not chain:
        return f"a thread of its own, {thread}" if thread and not frames else "your code"
    place = next(frame for frame in frames if frame.package == chain[-1])
    return f"{' → '.join(chain)} ({place.short})"


def line_of(frames: Sequence[Frame], cells: Mapping[str, int], script: str) -> str:
    """Return the cell, the import or the line of ``script`` that it came from; empty when that is not known."""
    for frame in reversed(frames):
        if frame.file.startswith("<import "):
            return frame.file[1:-1]
        if frame.file == "<the line>":
            return "the line"
        if frame.file in cells:
            return f"cell [{cells[frame.file]}], line {frame.line}"
        if script and Path(frame.file).name == script:
            return f"{script}, line {frame.line}"
    return ""
