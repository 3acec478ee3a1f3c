"""What a word was meant for that names no command."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


def guessed(
    error: click.UsageError, ctx: click.Context, word: str, commands: Iterable[str], elsewhere: Mapping[str, str]
) -> click.UsageError:
    """Return the error with the nearest command of ``ctx``; ``elsewhere`` has words of other tools, and ours."""
    import difflib

    near = difflib.get_close_matches(word, [*commands, *elsewhere], 1)
    if not near:
        return error
    meant = f"{ctx.command_path} {elsewhere.get(near[0], near[0])}"
    return click.UsageError(f"{error.message} Did you mean {meant!r}?", ctx)
