"""Requirements files: one requirement or option a line, ``-r``, ``-c`` and ``--hash`` as pip has them."""

from __future__ import annotations

import os.path
import posixpath
import re
import shlex
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from packaging.requirements import InvalidRequirement, Requirement

from kpack import urls
from kpack.environment.errors import quoted, shown_path
from kpack.importing import pip
from kpack.importing.finding import Lines
from kpack.importing.harvest import Line
from kpack.importing.options import Arguments, arguments
from kpack.importing.sitting import HOME, Sitting
from kpack.importing.text import read

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from kpack.importing.harvest import Harvest


LONGEST = 16_384
"""Characters of a line that is read: a library that takes it apart needs the square of their number."""

_COMMENT = re.compile(r"(^|\s+)#.*$")
_DEEPEST = 20
"""Files that name each other in a row, at most; the same file is read once."""


def from_requirements(path: Path, harvest: Harvest) -> None:
    """Add the lines of a requirements file, and of the files that it names.

    Raises:
        UsageError: a file is missing or is not UTF-8.
        MachineError: a file cannot be read.

    """
    with harvest.together():
        _read_file(path, Sitting(harvest, path.parent), 0)


def install(words: Sequence[str], line: Line, sitting: Sitting, depth: int = 0) -> None:
    """Read the words after ``pip install``, ``pip download`` or ``pip wheel``, and the files that they name."""
    with sitting.harvest.together():
        _install(words, line, sitting, depth)


def _install(words: Sequence[str], line: Line, sitting: Sitting, depth: int) -> None:
    before = len(sitting.harvest.findings)
    try:
        given = pip.ask(words, line, sitting)
    except ValueError as error:
        sitting.harvest.left(
            line, f"pip would not read this: {error}", "correct it, or add its packages: kpack add NAME"
        )
        return
    for word in given.files:
        _named_file(word, line, sitting, depth)
    for word in given.constraints:
        _named_file(word, line, sitting, depth, constraints=True)
    if len(sitting.harvest.findings) == before and not (given.files or given.constraints):
        sitting.harvest.left(line, "it names no package", "kpack add NAME")


def _named_file(word: str, line: Line, sitting: Sitting, depth: int, *, constraints: bool = False) -> None:
    """Read the file that ``-r`` or ``-c`` names, from where it is: written by a cell, or beside the input."""
    word = pip.path_of(word) or word
    kernel = sitting.path(word)
    option = "-c" if constraints else "-r"
    text = sitting.files.get(kernel)
    local = sitting.local(word)
    if text is not None:
        sitting.unused.pop(kernel, None)
        sitting.harvest.understood(line, "", f"{option} {word}: as a cell above wrote it, each of its lines here")
        _read(
            text, f"{kernel.removeprefix(f'{HOME}/')} (written by a cell)", sitting, depth + 1, constraints=constraints
        )
    elif local is not None and local.is_file():
        sitting.harvest.understood(line, "", f"{option} {word}: each of its lines is told here")
        _read_file(local, sitting, depth + 1, constraints=constraints)
    else:
        clone = sitting.clone_of(word)
        whose = f"it is in the repository {urls.shown(clone[0].url)}" if clone else f"{quoted(word)} is not here"
        copy = posixpath.basename(word) or "FILE"
        sitting.harvest.left(
            line, f"{option}: {whose}", f"get a copy of the file, then kpack init --from … --from {copy}"
        )


def _read_file(path: Path, sitting: Sitting, depth: int, *, constraints: bool = False) -> None:
    """Read a file that is here; what it names is looked for beside it."""
    path = Path(os.path.normpath(path))
    inner = Sitting(sitting.harvest, path.parent, files=sitting.files, written=sitting.written, unused=sitting.unused)
    _read(read(path), shown_path(path), inner, depth, constraints=constraints)


def _read(text: str, name: str, sitting: Sitting, depth: int, *, constraints: bool) -> None:
    code = sitting.harvest.code
    if name in code or depth > _DEEPEST:
        return
    code[name] = set()
    for numbers, bare in _logical(text):
        code[name] |= {(0, number) for number in numbers}
        line = Line(Lines(name, 0, numbers[0], numbers[-1]), bare)
        if len(bare) > LONGEST:
            sitting.harvest.left(line, f"a line of {len(bare):,} characters is not read", "kpack add what it asks for")
            continue
        if constraints and not bare.startswith("-"):
            _constraint(bare, line, sitting)
        elif bare.startswith("-"):
            try:
                words = shlex.split(bare)
            except ValueError as error:
                sitting.harvest.left(line, f"it cannot be read: {error}", "correct the line")
                continue
            _option(words, line, sitting, depth, constraints=constraints)
        else:
            _requirement(bare, line, sitting)


def _logical(text: str) -> Iterator[tuple[list[int], str]]:
    """Yield the lines that hold more than a comment, those that a backslash joins together, without their comments.

    As for pip, lines are joined first: a comment goes on to the end of what is joined, and a line that is one ends it.
    """
    numbers: list[int] = []
    parts: list[str] = []
    rows = text.splitlines()
    for number, row in enumerate(rows, start=1):
        is_comment = _COMMENT.match(row) is not None
        joins = row.endswith("\\") and not is_comment
        if row.strip(" \t\\") and not is_comment:
            numbers.append(number)
        parts.append(row.strip("\\") if joins else f" {row}" if is_comment else row)
        if joins and number < len(rows):
            continue
        whole = _COMMENT.sub("", "".join(parts)).strip()
        if whole:
            yield numbers or [number], whole
        numbers, parts = [], []


class _Word(str):
    """A word of a line: the value of an option may be spelled like a word that stands alone, and is another one."""

    __slots__ = ()


def _option(words: list[str], line: Line, sitting: Sitting, depth: int, *, constraints: bool) -> None:
    """Read a line that begins with an option: a file, something editable, or what holds for all packages."""
    harvest = sitting.harvest
    words = [*map(_Word, words)]
    try:
        given = arguments(words)
    except ValueError as error:
        harvest.left(line, f"pip would not read this: {error}", "correct the line")
        return
    if given.requirements:
        told = " ".join(given.requirements)
        harvest.left(
            line, f"{quoted(told)} stands behind an option, where pip passes over it", "give it a line of its own"
        )
        passed_over = set(map(id, given.requirements))
        words = [word for word in words if id(word) not in passed_over]
        try:
            given = arguments(words)
        except ValueError:  # of an option that names a package, which pip has not got
            return
        if replace(given, upgrade=False, no_deps=False) == Arguments():
            return
    if constraints and not (given.files or given.constraints):
        harvest.understood(line, "", "how pip installs, not what")
        return
    for url in given.indexes:
        pip.for_all(url, line, sitting)
    for url in given.extra_indexes:
        pip.declared(url, line, sitting, option="--extra-index-url")
    for url in given.links:
        pip.declared(url, line, sitting, option="--find-links")
    if given == Arguments():
        harvest.understood(line, "", "how pip installs, not what")
    elif not (given.indexes or given.extra_indexes or given.links):
        install(words, line, sitting, depth)


def _requirement(bare: str, line: Line, sitting: Sitting) -> None:
    """Take a requirement over; options behind it are for it alone."""
    mark = re.search(r"\s(?=--[a-z-]+[ =])", bare)
    plain, options = (bare[: mark.start()], bare[mark.end() :]) if mark else (bare, "")
    try:
        given = arguments(shlex.split(options))
    except ValueError as error:
        sitting.harvest.left(line, f"its options cannot be read: {error}", "correct the line")
        return
    pip.entry(plain.strip(), line, sitting, given)


def _constraint(bare: str, line: Line, sitting: Sitting) -> None:
    plain = re.split(r"\s--hash[ =]", bare, maxsplit=1)[0].strip()
    try:
        requirement = Requirement(plain)
    except InvalidRequirement:
        sitting.harvest.left(
            line, f"{quoted(plain)} is no constraint that kpack can read", "write it into the requirement"
        )
        return
    if requirement.url or not requirement.specifier:
        sitting.harvest.left(line, "a constraint that is no range of versions", "write it into the requirement")
        return
    sitting.harvest.constrain(requirement, line)
