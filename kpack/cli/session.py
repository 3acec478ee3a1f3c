"""What every command shares: the words of the group, JSON or text, and safe text for a terminal."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import click

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


def plain(text: str) -> str:
    """Return ``text`` with controls, directions and halves of surrogate pairs escaped: no name drives the terminal."""
    return _CONTROL.sub(lambda found: found[0].encode("unicode_escape").decode("ascii"), text)


def say(text: str = "") -> None:
    """Write one line for a person on stderr; stdout is for what a machine may read."""
    click.echo(plain(text), err=True)


def tell(text: str) -> None:
    """Write the answer itself on stdout."""
    click.echo(plain(text))


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
    import shlex

    from kpack.status import status

    say(f"next: {shlex.join(status(project, offline=True).next)}")


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
