"""What every command shares: the words of the group, JSON or text, and safe text for a terminal."""

from __future__ import annotations

import json
import math
import os
import re
import shutil
import sys
import textwrap
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any, TypeVar

import click

from kpack.errors import typed
from kpack.files import is_sha256

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from kpack.ledger import Pushed, Rehearsed
    from kpack.project import Project

_F = TypeVar("_F", bound="Callable[..., Any]")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


@dataclass(slots=True)
class Session:
    """The options of the group."""

    config: Path | None = None
    debug: bool = False
    json: bool = False


class Screen:
    """How much is said: -1 with ``--quiet``, 1 with ``--verbose``. One for the process: threads say things, too."""

    volume = 0


SCREEN = Screen()
_NAME = "kpack:"
"""What an error begins with."""
_NOTE = 300
"""Characters of a note that are shown without ``--verbose``."""


def live() -> bool:
    """Tell whether stderr is a screen on which a line can be drawn anew.

    A notebook's ``!kpack`` has a terminal, too, but its page does not move a cursor (Jupyter sets the variable for
    what its kernels start).
    """
    return SCREEN.volume >= 0 and sys.stderr.isatty() and not _is_page()


def colours(stream: IO[str]) -> bool:
    """Tell whether ``stream`` takes colours: https://no-color.org and https://force-color.org come first."""
    if os.environ.get("NO_COLOR"):
        return False
    return bool(os.environ.get("FORCE_COLOR")) or (stream.isatty() and os.environ.get("TERM") != "dumb")


def _is_page() -> bool:
    return "JPY_PARENT_PID" in os.environ or os.environ.get("TERM") == "dumb"


def _fitted(text: str, stream: IO[str]) -> str:
    """Return ``text`` with lines that are too long for a terminal broken at words; for a file it stays as it is."""
    if not stream.isatty() or _is_page():
        return text
    width = shutil.get_terminal_size().columns
    return "\n".join(row if len(row) <= width else _broken(row, width) for row in text.split("\n"))


def _broken(row: str, width: int) -> str:
    indent = row[: len(row) - len(row.lstrip())]
    return textwrap.fill(
        row,
        width,
        subsequent_indent=f"{indent}  ",
        break_long_words=False,
        break_on_hyphens=False,
        expand_tabs=False,
        replace_whitespace=False,
    )


def plain(text: str) -> str:
    """Return ``text`` with controls, directions and halves of surrogate pairs escaped: no name drives the terminal."""
    return _CONTROL.sub(lambda found: found[0].encode("unicode_escape").decode("ascii"), text)


def say(text: str = "") -> None:
    """Write one line for a person on stderr, where ``--quiet`` keeps it; stdout is for what a machine may read."""
    if SCREEN.volume >= 0:
        warn(text)


def warn(text: str) -> None:
    """Write one line on stderr that is said in any case: what went wrong, or what a check found."""
    shown, coloured = _fitted(plain(text), sys.stderr), colours(sys.stderr)
    if coloured and shown.startswith(_NAME):
        shown = click.style(_NAME, fg="red", bold=True) + shown.removeprefix(_NAME)
    click.echo(shown, err=True, color=coloured)


def note(text: str) -> None:
    """Say a note; a long list in it is cut unless ``--verbose`` wants all, but never what it says to write."""
    said, arrow, advice = text.partition(" → ")
    if SCREEN.volume <= 0 and len(said) > _NOTE:
        said = f"{said[:_NOTE].rpartition(' ')[0]} … (kpack -v shows all)"
    say(f"note: {said}{arrow}{advice}")


def tell(text: str, *, wrap: bool = True) -> None:
    """Write the answer itself on stdout; what is to be copied (a line of code, a difference) must not ``wrap``."""
    click.echo(_fitted(plain(text), sys.stdout) if wrap else plain(text))


def describe(text: str) -> None:
    """Write on stdout what a person reads beside the answer, and ``--quiet`` keeps."""
    if SCREEN.volume >= 0:
        tell(text)


def answer(value: object) -> None:
    """Write one JSON object on stdout."""
    click.echo(json.dumps(value, indent=2, default=str))


def remember(pack: Path, done: Rehearsed | Pushed) -> None:
    """Write down what was done with a pack, for ``kpack status``; where that cannot be, say so and go on."""
    from kpack import ledger
    from kpack.errors import MachineError

    try:
        ledger.remember(pack, done)
    except MachineError as error:
        say(f"note: kpack status will not know of this: {error}")


def say_next(project: Project) -> None:
    """Say the one next command, from what lies on this machine."""
    from kpack.status import status

    say(f"next: {typed(*status(project, offline=True).next)}")


class Amount(click.FloatRange):
    """A number from a range; one that is none (``nan``) compares with nothing and would be in every range."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the number, or refuse the word."""
        found = super().convert(value, param, ctx)
        if math.isnan(found):
            self.fail(f"{value} is not a number.", param, ctx)
        return found


MINUTES = Amount(min=0, max=31 * 24 * 60)
"""What ``--wait`` takes: no run on Kaggle lasts a month."""


def expect_option(text: str) -> Callable[[_F], _F]:
    """Add ``--expect``: the whole id of a pack; one that is cut short, as messages show it, is refused."""

    def whole(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
        if value is None:
            return None
        found = value.strip().lower()
        if is_sha256(found):
            return found
        message = (
            f"{value!r:.80} has {len(found)} characters; the id of a pack has 64 hexadecimal digits: kpack build "
            "prints it, kpack inspect shows it"
        )
        raise click.BadParameter(message, ctx, param)

    return click.option("--expect", metavar="ID", callback=whole, help=text)


def json_option(function: _F) -> _F:
    """Add ``--json``."""
    return click.option("--json", "as_json", is_flag=True, help="Print one JSON object on stdout.")(function)


def human_size(size: int) -> str:
    """Return a number of bytes for people: ``1.2 GB`` (powers of 1000)."""
    value = float(size)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} TB"
