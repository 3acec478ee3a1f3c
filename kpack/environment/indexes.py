"""The ``[[indexes]]`` tables: which index a name belongs to."""

from __future__ import annotations

import urllib.parse
from typing import TYPE_CHECKING, Any

from kpack.environment.errors import quoted
from kpack.environment.kinds import without_credentials
from kpack.environment.model import Index
from kpack.environment.patterns import normalise, overlap
from kpack.urls import VARIABLE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from kpack.environment.positions import KeyPath
    from kpack.environment.rows import Reading


def indexes(tables: Sequence[Mapping[str, Any]], at: KeyPath, reading: Reading) -> tuple[Index, ...]:
    """Read the tables; two of one name, and a name that may belong to two indexes, are mistakes."""
    good: list[Index] = []
    owners: list[tuple[str, int, int]] = []
    for number, table in enumerate(tables):
        place = (*at, number)
        for item, text in enumerate(table.get("packages") or ()):
            if text is not None:
                _own(normalise(text), number, item, owners, reading)
        name, url = table.get("name"), table.get("url")
        if url is not None:
            _check_url(url, (*place, "url"), reading)
        if name is not None and any(name == other.name for other in good):
            reading.say((*place, "name"), f"two indexes are named {quoted(name)}", "give each a name of its own")
        if name is not None and url is not None:
            packages = tuple(normalise(text) for text in table.get("packages") or () if text is not None)
            good.append(Index(name=name, url=url, packages=packages))
    return tuple(good)


def meaning(entries: Sequence[Index]) -> list[list[str]]:
    """Return what the digest sees: no credentials, no order."""
    return sorted([index.name, without_credentials(index.url), *sorted(index.packages)] for index in entries)


def _own(pattern: str, number: int, item: int, owners: list[tuple[str, int, int]], reading: Reading) -> None:
    for other, owner, place in owners:
        if (owner != number and overlap(pattern, other)) or other == pattern:
            reading.say(
                ("indexes", number, "packages", item),
                f"{quoted(pattern)} belongs to indexes[{owner}] already ({quoted(other)} at packages[{place}])",
                "a name belongs to exactly one index: make the patterns narrower",
            )
            return
    owners.append((pattern, number, item))


def _check_url(url: str, at: KeyPath, reading: Reading) -> None:
    plain = VARIABLE.sub("x", url)
    if "${" in plain:
        reading.say(at, "has '${' without a variable name and '}'", "write ${NAME}")
        return
    try:
        parts = urllib.parse.urlsplit(plain)
        parts.port  # noqa: B018 - reading it checks it, unless a variable stands there
    except ValueError:
        if "${" not in url:
            reading.say(at, "is not a URL: its host or port cannot be read", "write https://host/simple")
        return
    if not parts.hostname:
        reading.say(at, "has no host", "write https://host/simple")
    elif parts.query or parts.fragment:
        reading.say(at, "has a '?' or '#' part, which an index URL cannot have", "write https://host/simple")
