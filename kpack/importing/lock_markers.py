"""Markers of a standard lock (PEP 751), which may ask for the extras and groups of the project: these are settled."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from packaging.markers import Marker
from packaging.utils import NormalizedName, canonicalize_name

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

_Asked = dict[str, set[NormalizedName]]
_TOKEN = re.compile(r"""\(|\)|"[^"]*"|'[^']*'|[^\s()"']+""")


def settled(marker: str, *, extras: Collection[str], groups: Collection[str]) -> str | None:
    """Return what is left of a marker where these extras and groups are asked for: empty for always, None for never.

    Raises:
        InvalidMarker: it is none.

    """
    if "extras" not in marker and "dependency_groups" not in marker:
        return marker
    words = _TOKEN.findall(str(Marker(marker)))
    asked: _Asked = {
        "extras": {*map(canonicalize_name, extras)},
        "dependency_groups": {*map(canonicalize_name, groups)},
    }
    found = _either(words, asked)
    return found if isinstance(found, str) else "" if found else None


def _either(words: list[str], asked: _Asked) -> str | bool:
    parts = [_all(words, asked)]
    while words[:1] == ["or"]:
        del words[0]
        parts.append(_all(words, asked))
    return _joined(parts, " or ", ends=True)


def _all(words: list[str], asked: _Asked) -> str | bool:
    parts = [_one(words, asked)]
    while words[:1] == ["and"]:
        del words[0]
        parts.append(_one(words, asked))
    return _joined(parts, " and ", ends=False)


def _one(words: list[str], asked: _Asked) -> str | bool:
    left = words.pop(0)
    if left == "(":
        inner = _either(words, asked)
        del words[0]
        return f"({inner})" if isinstance(inner, str) and " or " in inner else inner
    operator = words.pop(0)
    negated = operator == "not"
    if negated:
        operator = f"not {words.pop(0)}"
    right = words.pop(0)
    if right in asked and operator.endswith("in"):
        return (canonicalize_name(left[1:-1]) in asked[right]) != negated
    return f"{left} {operator} {right}"


def _joined(parts: Sequence[str | bool], word: str, *, ends: bool) -> str | bool:
    """Join parts by a word; one that is ``ends`` decides, the opposite says nothing."""
    if any(part is ends for part in parts):
        return ends
    return word.join(part for part in parts if isinstance(part, str)) or not ends
