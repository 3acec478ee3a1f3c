"""What is wrong in a kaggle-env.toml: collected one by one, raised together."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from kpack import urls
from kpack.environment.positions import KeyPath, dotted, lines
from kpack.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

_QUERY = re.compile(r"(?<=\?)[^\s#\"']+")
_LONGEST = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Mistake:
    """One thing that is wrong, and what to write instead."""

    key: KeyPath
    what: str
    next: str = ""


MOST = 100
"""Mistakes that are told at once; reading stops there."""


class EnoughMistakesError(Exception):
    """There are `MOST` mistakes, and one more."""


class Mistakes(list[Mistake]):
    """What is wrong in a file, as far as it is told."""

    def append(self, mistake: Mistake) -> None:
        """Add a mistake; raises EnoughMistakesError when there are `MOST` already."""
        if len(self) == MOST:
            raise EnoughMistakesError
        super().append(mistake)


class EnvironmentFileError(UsageError):
    """A kaggle-env.toml that cannot be used; ``mistakes`` holds one ``(where, key, what, next)`` each."""

    def __init__(self, mistakes: Sequence[tuple[str, str, str, str]], *, file: str) -> None:
        self.mistakes = tuple(mistakes)
        where, key, what, advice = self.mistakes[0]
        if len(self.mistakes) == 1:
            super().__init__(f"{key}: {what}" if key else what, where=where, next=advice)
            return
        listed = [f"{len(self.mistakes)} mistakes" + (" or more" if len(self.mistakes) >= MOST else "")]
        for where, key, what, advice in self.mistakes:
            listed.append(f"  {where}: {key}: {what}" if key else f"  {where}: {what}")
            if advice:
                listed.append(f"    {advice}")
        super().__init__("\n".join(listed), where=file, next="correct each of them, and run the command again")

    def to_dict(self) -> dict[str, object]:
        """Return the ``error`` object with ``mistakes`` beside the common keys."""
        names = ("where", "key", "what", "next")
        return {**super().to_dict(), "mistakes": [dict(zip(names, each, strict=True)) for each in self.mistakes]}


def shown_path(path: Path) -> str:
    """Return ``path`` as messages spell it: relative when it stands below the current folder."""
    absolute = path.absolute()
    here = Path.cwd()
    return str(absolute.relative_to(here)) if absolute.is_relative_to(here) else str(absolute)


def error(mistakes: Sequence[Mistake], *, path: Path, text: str) -> EnvironmentFileError:
    """Return the one error for all ``mistakes`` of the TOML document ``text``, in the order of its lines."""
    found = lines(text)
    file = shown_path(path)

    def line(key: KeyPath) -> int:
        for end in range(len(key), 0, -1):
            if key[:end] in found:
                return found[key[:end]]
        return 1

    placed = sorted(((line(mistake.key), mistake) for mistake in mistakes), key=lambda pair: pair[0])
    return EnvironmentFileError(
        [(f"{file}:{number}", dotted(mistake.key), mistake.what, mistake.next) for number, mistake in placed],
        file=file,
    )


def unprintable(text: str) -> str | None:
    """Return the first character of ``text`` that has no place in a file for people, as ``U+202E``, or None.

    Refused are control and format characters (terminal escapes, bidirectional overrides), surrogates and
    line separators.
    """
    for character in text:
        if unicodedata.category(character) in {"Cc", "Cf", "Cs", "Zl", "Zp"}:
            return f"U+{ord(character):04X}"
    return None


def quoted(value: object) -> str:
    """Return ``value`` as a message shows it: quoted, escaped, shortened, URLs without credentials and queries."""
    if not isinstance(value, str):
        return {True: "true", False: "false"}[value] if isinstance(value, bool) else str(value)[:_LONGEST]
    text = _QUERY.sub("…", urls.redacted(value, "***@"))
    if len(text) > _LONGEST:
        text = f"{text[:_LONGEST]}…"
    escaped = "".join(
        character if character.isprintable() else f"\\u{ord(character):04x}"
        for character in text.replace("\\", "\\\\").replace('"', '\\"')
    )
    return f'"{escaped}"'
