"""A table as rich draws it: fitted to the terminal, its head in bold."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from kpack.cli.session import plain

if TYPE_CHECKING:
    from collections.abc import Sequence


def draw(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]], *, width: int | None) -> None:
    """Print a table on stdout below its title; ``width`` is in columns, None for that of the terminal."""
    console = Console(highlight=False, width=width)
    console.print(_text(title, "bold"))
    if not rows:
        return
    table = Table(box=None, pad_edge=False, padding=(0, 2), show_edge=False)
    for column in columns:
        table.add_column(
            column, justify="right" if column == "size" else "left", no_wrap=column == "size", overflow="fold"
        )
    for row in rows:
        table.add_row(*map(_text, row))
    if console.is_terminal:
        console.print(table)
        return
    with console.capture() as printed:
        console.print(table)
    # rich fills the last column with blanks, which a log keeps.
    console.file.write("".join(f"{row.rstrip(' ')}\n" for row in printed.get().splitlines()))


def _text(text: str, style: str = "") -> Text:
    return Text(plain(text), style=style)
