"""``kpack restore`` in its plain forms, begun before the libraries of the command line are loaded.

A restore happens once, in a fresh machine, where these libraries cost as much as a good part of it. What is not plain
(help, an abbreviation, a wrong word) is left to the command itself.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from kpack.restoring import EngineOptions

_COMMAND = "restore"
_FLAGS = {"--dry-run": "dry_run", "--compile": "compile_", "--allow-absolute": "allow_absolute", "--json": "as_json"}
_VALUES = {"--python": "python", "--target": "target", "--expect": "expect"}
"""Options of the command by their words; the names are those of its parameters."""

_ID = re.compile("[0-9a-f]{64}")


class Restoring(NamedTuple):
    """What the words ask for: the parameters of ``kpack restore``."""

    path: Path
    python: str | None = None
    target: Path | None = None
    expect: str | None = None
    dry_run: bool = False
    compile_: bool = False
    allow_absolute: bool = False
    as_json: bool = False

    @property
    def options(self) -> EngineOptions:
        """Where and how the pack is restored."""
        from kpack.restoring import EngineOptions  # every command imports this module

        return EngineOptions(
            python=self.python,
            target=self.target,
            dry_run=self.dry_run,
            compile=self.compile_,
            allow_absolute=self.allow_absolute,
        )


def plain_restore(arguments: list[str]) -> Restoring | None:
    """Return what the words of a command line ask for; None unless they are those of a plain ``kpack restore``."""
    if arguments[:1] != [_COMMAND]:
        return None
    found: dict[str, str | bool] = {}
    paths = []
    words = iter(arguments[1:])
    for word in words:
        name = _FLAGS.get(word) or _VALUES.get(word)
        if name is None:
            paths.append(word)
            continue
        value = True if word in _FLAGS else next(words, "")
        if name in found or value == "" or str(value).startswith("-"):
            return None
        if name == "expect" and not _ID.fullmatch(str(value)):
            return None
        found[name] = value
    if len(paths) != 1 or not paths[0] or paths[0].startswith("-"):
        return None
    target = found.pop("target", None)
    return Restoring(Path(paths[0]), target=None if target is None else Path(str(target)), **found)  # type: ignore[arg-type]
