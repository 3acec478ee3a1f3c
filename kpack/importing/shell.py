"""Lines of a shell, taken apart into commands: variables, quotes, redirections, chains, here-documents."""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_REDIRECT = re.compile(r"(?:\d?>{1,2}|&>{1,2}|<(?!<))(\S*)")
_OPERATOR = re.compile(r"(?:>=|<=|==|~=|!=)\S|[<>]\d")
_CHAIN = frozenset({"|", "||", "&&", "&", ";", ";;", "(", ")"})
_BEFORE = frozenset(
    {"do", "then", "else", "if", "elif", "while", "!", "{", "time", "sudo", "nice", "nohup", "exec", "command", "env"}
    | {"yes", "timeout", "stdbuf", "ionice", "unbuffer"}
)
_WITH_OPTIONS = {
    "sudo": frozenset({"-u", "-g", "-h", "-p", "-C"}),
    "nice": frozenset({"-n"}),
    "env": frozenset({"-u", "-C"}),
    "timeout": frozenset({"-k", "-s"}),
    "stdbuf": frozenset({"-i", "-o", "-e"}),
    "ionice": frozenset({"-c", "-n"}),
    "time": frozenset({"-f", "-o"}),
    "command": frozenset[str](),
    "exec": frozenset({"-a"}),
}
"""What goes before a command with options of its own: those that take the next word."""

_ASSIGNMENT = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)=(.*)", re.DOTALL)
_HERE = re.compile(r"<<-?\s*(['\"]?)([A-Za-z_][A-Za-z0-9_]*)\1")
_QUOTED = re.compile(r"([\"'])(?:\{([A-Za-z_][A-Za-z0-9_.]*)\}|\$\{?([A-Za-z_][A-Za-z0-9_]*)\}?)\1")
_VARIABLE = re.compile(r"\{([A-Za-z_][A-Za-z0-9_.]*)\}|\$\{?([A-Za-z_][A-Za-z0-9_]*)\}?")


_LONGEST = 1 << 16
"""Characters that variables may add to a line."""


class Command(NamedTuple):
    """One command of a shell line."""

    words: tuple[str, ...]
    """The program first; what only goes before one (``sudo``, ``then``) and variables for it are off."""
    into: str = ""
    """The file that its output goes to."""
    more: bool = False
    """Whether that is added to what the file has."""
    piped: bool = False
    """Whether its output goes to another command."""
    given: tuple[tuple[str, str], ...] = ()
    """Variables that it alone is given, with their values."""


class ShellLine(NamedTuple):
    """One logical line: continuations joined, the document behind ``<<`` taken off."""

    first: int
    """Counted from 0."""
    last: int
    text: str
    here: str | None = None


def logical_lines(rows: Sequence[str]) -> Iterator[ShellLine]:
    """Yield the lines of a shell script that are more than a comment."""
    number = 0
    while number < len(rows):
        first = number
        parts = [rows[number]]
        while parts[-1].endswith("\\") and number + 1 < len(rows):
            number += 1
            parts[-1] = parts[-1][:-1]
            parts.append(rows[number])
        text = " ".join(part.strip() for part in parts)
        number += 1
        bare = text.lstrip()
        if not bare or bare.startswith("#"):
            continue
        here = _HERE.search(text)
        if here is None:
            yield ShellLine(first, number - 1, bare)
            continue
        body = []
        while number < len(rows) and rows[number].strip() != here[2]:
            body.append(rows[number])
            number += 1
        number = min(number + 1, len(rows))
        yield ShellLine(first, number - 1, bare.replace(here[0], ""), "\n".join(body) + "\n")


def substituted(text: str, texts: Mapping[str, str | list[str]]) -> str:
    """Return ``text`` with the variables in it that have been given a text."""
    room = _LONGEST
    for match in _QUOTED.finditer(text):
        held = texts.get(match[2] or match[3])
        if isinstance(held, list):  # a loop: each of its rounds has one of the words
            text = text.replace(match[0], match[0][1:-1])

    def value(match: re.Match[str]) -> str:
        nonlocal room
        held = texts.get(match[1] or match[2])
        whole = match[0] if held is None else held if isinstance(held, str) else " ".join(held)
        room -= len(whole)
        return whole if room >= 0 else match[0]

    return _VARIABLE.sub(value, text.replace("{sys.executable}", "python"))


def commands(text: str) -> Iterator[Command]:
    """Yield the commands of one line.

    An unquoted ``name>=1`` is a redirection for a shell and a requirement for whoever wrote it: it stays a word.

    Raises:
        ValueError: a quote is open.

    """
    words: list[str] = []
    into = ""
    more = waits = False
    for word in [*_words(text), ";"]:
        redirect = None if _OPERATOR.match(word) else _REDIRECT.fullmatch(word)
        if word in _CHAIN:
            bare = _bare(words)
            found = [_ASSIGNMENT.fullmatch(one) for one in words[: -len(bare)]]
            given = tuple((match[1], match[2]) for match in found if match)
            command = Command(bare, into, more=more, piped=word == "|", given=given)
            if command.words:
                yield command
            words, into, waits = [], "", False
        elif waits:
            into, waits = word, False
        elif redirect:
            out = ">" in word and not word.startswith("2") and not redirect[1].startswith("&")
            waits = not redirect[1]
            into = redirect[1] if out else into
            more = ">>" in word if out else more
        else:
            words.append(word)


def _bare(words: Sequence[str]) -> tuple[str, ...]:
    """Return the words of a command without what only goes before one, with options of its own."""
    left = [word for word in words if word not in {"}", "fi", "done"}]
    while left and (left[0] in _BEFORE or (_ASSIGNMENT.fullmatch(left[0]) and len(left) > 1)):
        first = left.pop(0)
        while first in _WITH_OPTIONS and left and left[0].startswith("-"):
            if left.pop(0) in _WITH_OPTIONS[first] and left:
                left.pop(0)
        if first == "timeout" and left:
            left.pop(0)  # how long
    return tuple(left)


def assignment(command: Command) -> tuple[str, str | list[str]] | None:
    """Return name and value of a command that only sets (or exports) a variable; a list where it loops over one."""
    words = command.words
    if len(words) > 3 and words[0] == "for" and words[2] == "in":
        return words[1], list(words[3:])
    match = _ASSIGNMENT.fullmatch(words[-1]) if len(words) == 1 or words[0] == "export" else None
    return (match[1], match[2]) if match else None


def _words(line: str) -> list[str]:
    """Return the words of a shell line up to its comment, in which a quote may stand alone."""
    try:
        words = _split(line)
    except ValueError:
        words = _split(re.sub(r"(^|\s)#.*$", "", line))
    comment = next((number for number, word in enumerate(words) if word.startswith("#")), len(words))
    return words[:comment]


def _split(line: str) -> list[str]:
    lexer = shlex.shlex(line, posix=True, punctuation_chars=";|()")
    lexer.whitespace_split = True
    lexer.commenters = ""
    return list(lexer)
