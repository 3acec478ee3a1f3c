"""Scripts: entry points as the specification has them, and interpreter lines as pip writes them on POSIX."""

from __future__ import annotations

import configparser
import os
import re
import sys
from typing import List, NamedTuple

from .errors import INTEGRITY, RestoreError

_SHEBANG_LIMIT = 127
"""Characters of an interpreter line that every Linux kernel still reads."""

_OBJECT = re.compile(r"\s*([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*)\s*:\s*([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*)\s*(?:\[.*\])?\s*\Z")
_BODY = """\
import sys
from {module} import {first}
if __name__ == '__main__':
    sys.exit({attribute}())
"""


class EntryPoint(NamedTuple):
    """A command: its file name and what it calls."""

    name: str
    module: str
    attribute: str


def shebang(executable: str) -> bytes:
    """Return the interpreter line for ``executable``, with its line end.

    A path with a space, or one too long for the kernel, goes through ``/bin/sh`` in words that Python reads as a
    string, as pip does it.
    """
    path = os.fsencode(executable)
    if b" " not in path and len(path) + 3 <= _SHEBANG_LIMIT:
        return b"#!" + path + b"\n"
    if b" " in path:
        path = b'"' + path + b'"'
    return b"#!/bin/sh\n'''exec' " + path + b' "$0" "$@"\n' + b"' '''\n"


def command(point: EntryPoint, executable: str) -> bytes:
    """Return the script for an entry point."""
    body = _BODY.format(module=point.module, first=point.attribute.partition(".")[0], attribute=point.attribute)
    return shebang(executable) + body.encode("utf-8")


def rewrite(data: bytes, executable: str) -> bytes:
    """Return a wheel's script with a first line ``#!python`` turned into the interpreter's."""
    if not data.startswith(b"#!python"):
        return data
    _, end, rest = data.partition(b"\n")
    return shebang(executable) + (rest if end else b"")


def entry_points(raw: bytes, where: str) -> List[EntryPoint]:
    """Return the commands that entry_points.txt declares, console and graphical, each name once.

    Raises RestoreError (code 5) for a file that cannot be read, a name that would leave the scripts folder, or a
    value that is not ``module:attribute``.
    """
    parser = configparser.ConfigParser(delimiters=("=",), interpolation=None, strict=False)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    try:
        parser.read_string(raw.decode("utf-8"))
    except (UnicodeDecodeError, configparser.Error) as error:
        raise _bad("entry_points.txt cannot be read: {}".format(error), where) from error
    found = {}
    for group in ("console_scripts", "gui_scripts"):
        if not parser.has_section(group):
            continue
        for name, value in parser.items(group):
            if "/" in name or "\\" in name or name in ("", ".", "..") or not name.isprintable():
                raise _bad("the entry point {!r} would be written elsewhere".format(name), where)
            target = _OBJECT.match(value)
            if not target:
                raise _bad("the entry point {!r} names no callable: {!r}".format(name, value), where)
            found[name] = EntryPoint(name, target[1], target[2])
    return versioned(list(found.values()))


def versioned(points: List[EntryPoint]) -> List[EntryPoint]:
    """Name the commands of pip and easy_install after the running Python, as pip does.

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


def wraps(filename: str, points: List[EntryPoint]) -> bool:
    """Tell whether a wheel's script only wraps one of its entry points, which is written anew instead."""
    stem = re.sub(r"(\.exe|-script\.py|\.pya)\Z", "", filename, flags=re.IGNORECASE)
    return any(point.name == stem for point in points)


def _bad(what: str, where: str) -> RestoreError:
    return RestoreError(INTEGRITY, what, where=where, next="exclude this distribution, or pack another version of it")
