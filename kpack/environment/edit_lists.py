"""Edits of the other lists of a kaggle-env.toml (exclude, replace, allow-…) and of its indexes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kpack.environment import arrays
from kpack.environment.edit import Edit
from kpack.environment.edit_tables import remove_table
from kpack.environment.errors import EnvironmentFileError, quoted, shown_path
from kpack.environment.patterns import normalise
from kpack.environment.read import parse
from kpack.environment.template import IndexEntry, tables
from kpack.environment.toml import loads
from kpack.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

LISTS = ("exclude", "replace", "allow-broken", "allow-source")
"""The lists that ``kpack add`` and ``remove`` have options for."""


def add_names(text: str, path: Path, key: str, names: Sequence[str]) -> Edit:
    """Return ``text``, the content of the file at ``path``, with ``names`` in one of `LISTS`.

    Raises:
        UsageError: the file has mistakes, or a name is none.

    """
    parse(text, path)
    held = [_name(entry) for entry in _held(text, key)]
    edit = Edit(text)
    more = []
    for name in dict.fromkeys(names):
        if _name(name) in held:
            edit.unchanged.append(f"{key} {name}")
        else:
            more.append(name)
            edit.added.append(f"{key} {name}")
    if more:
        edit.text = arrays.edited(text, key, more=more)
        _read_again(edit.text, path, f"--{key}")
    return edit


def remove_names(text: str, path: Path, key: str, names: Sequence[str]) -> Edit:
    """Return ``text``, the content of the file at ``path``, without ``names`` in one of `LISTS`.

    Raises:
        UsageError: the file has mistakes, or the list does not have one of the names.

    """
    parse(text, path)
    held = _held(text, key)
    gone: set[int] = set()
    for name in names:
        places = {number for number, entry in enumerate(held) if _name(entry) == _name(name)}
        if not places:
            known = f"{key} has: {', '.join(held)}" if held else f"{key} is empty"
            raise UsageError(f"{quoted(name)} is not in {key}", where=shown_path(path), next=known)
        gone |= places
    edit = Edit(text, removed=[f"{key} {held[number]}" for number in sorted(gone)])
    if gone:
        edit.text = arrays.edited(text, key, gone=gone)
        _read_again(edit.text, path, f"--{key}")
    return edit


def add_index(text: str, path: Path, url: str, names: Sequence[str]) -> Edit:
    """Return ``text``, the content of the file at ``path``, with one more ``[[indexes]]`` table for ``names``.

    Raises:
        UsageError: the file has mistakes, the URL is none, or another index has one of the names.

    """
    environment = parse(text, path)
    if any(one.url == url and set(map(normalise, names)) <= set(one.packages) for one in environment.indexes):
        return Edit(text, unchanged=[f"index {url}"])
    if any(one.url == url for one in environment.indexes):
        raise UsageError(
            f"the index {quoted(url)} is there already, for other packages",
            where=shown_path(path),
            next=f"add {', '.join(quoted(normalise(name)) for name in names)} to its packages by hand",
        )
    taken = {one.name for one in environment.indexes}
    name = next(one for one in ("extra", *(f"extra-{number}" for number in range(2, 999))) if one not in taken)
    newline = "\r\n" if "\r\n" in text else "\n"
    entry = IndexEntry(name=name, url=url, packages=tuple(map(normalise, names)))
    start = "" if text.endswith("\n") else newline
    edit = Edit(text + start + tables(indexes=[entry]).replace("\n", newline), added=[f"index {url}"])
    _read_again(edit.text, path, "--index")
    return edit


def remove_index(text: str, path: Path, which: str) -> Edit:
    """Return ``text``, the content of the file at ``path``, without the index of that name or URL.

    Raises:
        UsageError: the file has mistakes, or no such index.

    """
    environment = parse(text, path)
    place = next((n for n, one in enumerate(environment.indexes) if which in {one.name, one.url}), None)
    if place is None:
        known = ", ".join(quoted(one.name) for one in environment.indexes)
        advice = f"known: {known}" if known else "the file has none: kpack add NAME --index URL"
        raise UsageError(f"there is no index {quoted(which)}", where=shown_path(path), next=advice)
    edit = Edit(remove_table(text, path, place, "indexes"), removed=[f"index {which}"])
    _read_again(edit.text, path, "--index")
    return edit


def _held(text: str, key: str) -> list[str]:
    value = loads(text).get(key, [])
    return [entry for entry in value if isinstance(entry, str)]


def _name(entry: str) -> str:
    return normalise(entry.partition("==")[0].strip())


def _read_again(text: str, path: Path, option: str) -> None:
    """Refuse an edit that makes a mistake, by the words of the option and not by a line that nobody wrote yet."""
    try:
        parse(text, path)
    except EnvironmentFileError as error:
        _, _, what, advice = error.mistakes[0]
        raise UsageError(what, where=option, next=advice) from error
