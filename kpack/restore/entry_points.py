"""The commands that entry_points.txt declares, as pip and uv agree on them.

pip takes the file apart line by line (as `importlib.metadata` does), uv as `configparser` does. What the two would
read differently, or one of them refuses, is refused here.
"""

from __future__ import annotations

import re
import sys
from typing import Dict, List, NamedTuple, Optional, Set, Tuple

from .errors import INTEGRITY, RestoreError
from .rules import refuse_script
from .wheelzip import NAME_LIMIT

_GROUPS = ("console_scripts", "gui_scripts")
_SECTION = re.compile(r"\[([^\[\]]+)\]\Z")
_OBJECT = re.compile(r"(\w+(?:\.\w+)*):(\w+(?:\.\w+)*)\Z")
_EXTRAS = re.compile(r"\[\s*[\w-]+(?:=\w+)?(?:,\s*\w+(?:=\w+)?)*\s*\]\Z")
_OUTSIDE = re.compile(r"[/\\]")
_ODD = re.compile(r"[\s\[\]]")
"""Of ``a b = m:f`` pip makes the command ``b``, uv and installer make ``a b``."""


class EntryPoint(NamedTuple):
    """A command: its file name and what it calls."""

    name: str
    module: str
    attribute: str


def entry_points(raw: bytes, where: str) -> List[EntryPoint]:
    """Return the commands that entry_points.txt declares, console and graphical, each name once.

    Raises RestoreError (code 5) for a file that readers would read differently or not at all, a name that would
    leave the scripts folder or take the interpreter's place, or a value that is not ``module:attribute``.
    """
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise _bad("entry_points.txt is not UTF-8: {}".format(error), where) from error
    console: Dict[str, EntryPoint] = {}
    graphical: Dict[str, EntryPoint] = {}
    for group, name, value in _pairs(text, where):
        if group in _GROUPS:
            (console if group == "console_scripts" else graphical)[name] = _command(name, value, where)
    found = {point.name: point for point in versioned(list(console.values()))}
    found.update(graphical)  # pip writes them last, and under the names that they have
    return list(found.values())


def _pairs(text: str, where: str) -> List[Tuple[str, str, str]]:
    """Return (group, name, value) of each line that declares something."""
    pairs: List[Tuple[str, str, str]] = []
    group: Optional[str] = None
    seen: Set[Tuple[str, str]] = set()
    depth: Optional[int] = None
    for number, line in enumerate(text.replace("\r\n", "\n").replace("\r", "\n").split("\n"), 1):
        # pip breaks lines at a form feed and its like, too; for uv these are spaces
        pieces = [piece for piece in line.splitlines() if piece.strip()]
        if len(pieces) > 1:
            raise _line("some readers break lines within this: {!r:.80}".format(line), number, where)
        words = line.strip()
        if not words or words[0] == "#" or (words[0] == ";" and group is None):
            continue
        indent = len(line) - len(line.lstrip())
        folded = depth is not None and indent > depth
        section = _SECTION.match(words)
        if section and not folded:
            group, depth = section[1], None
            if (group, "") in seen or group == "DEFAULT":
                raise _line("the section {} stands twice, or for all others".format(words), number, where)
            seen.add((group, ""))
            continue
        name, equals, value = (part.strip() for part in words.partition("="))
        commands = group in _GROUPS
        if group is None or not equals or not name or words[0] == "[":
            raise _line("this is neither a section nor name = value: {!r:.80}".format(words), number, where)
        if (folded or words[0] == ";") and commands:
            raise _line(
                "some readers take this for a part of what stands before: {!r:.80}".format(words), number, where
            )
        if folded or words[0] == ";":
            continue
        if (group, name) in seen:
            raise _line("{!r} stands twice in [{}]".format(name, group), number, where)
        seen.add((group, name))
        depth = indent
        pairs.append((group, name, value))
    return pairs


def _command(name: str, value: str, where: str) -> EntryPoint:
    if _OUTSIDE.search(name) or name in (".", ".."):
        raise _bad("the entry point {!r} would be written elsewhere".format(name), where)
    if _ODD.search(name) or not name.isprintable():
        raise _bad(
            "the entry point {!r} has a character of which installers make different commands".format(name), where
        )
    if len(name.encode("utf-8")) > NAME_LIMIT:
        raise _bad("the entry point {!r:.40}… has a name of more than {} bytes".format(name, NAME_LIMIT), where)
    refuse_script(name, where)
    called, bracket, extras = value.partition("[")
    target = _OBJECT.match(called.rstrip())
    if not target or (bracket and not _EXTRAS.match(bracket + extras)):
        raise _bad("the entry point {!r} names no callable: {!r:.200}".format(name, value), where)
    return EntryPoint(name, target[1], target[2])


def versioned(points: List[EntryPoint]) -> List[EntryPoint]:
    """Name the console commands of pip and easy_install after the running Python, as pip does.

    Their wheels name them after the Python that built the wheel.
    """
    by_name = {point.name: point for point in points}
    short = "{}.{}".format(*sys.version_info[:2])
    for stem, extra in (("pip", ("", str(sys.version_info[0]), short)), ("easy_install", ("", "-" + short))):
        point = by_name.get(stem)
        if point is None:
            continue
        for name in list(by_name):
            if re.match(re.escape(stem) + r"(-?[0-9]+(\.[0-9]+)*)?\Z", name):
                del by_name[name]
        for suffix in extra:
            by_name[stem + suffix] = point._replace(name=stem + suffix)
    return list(by_name.values())


def _line(what: str, number: int, where: str) -> RestoreError:
    return _bad("entry_points.txt, line {}: {}".format(number, what), where)


def _bad(what: str, where: str) -> RestoreError:
    return RestoreError(INTEGRITY, what, where=where, next="exclude this distribution, or pack another version of it")
