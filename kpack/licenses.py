"""Licences of distributions: what core metadata says, as an SPDX expression where it says one, and what is allowed.

Core metadata has three places, of three ages (`core metadata specification
<https://packaging.python.org/en/latest/specifications/core-metadata/>`_): ``License-Expression`` (2.4, SPDX),
classifiers that begin with ``License ::``, and the free text of ``License``. The first that can be read counts, in this
order; a text that names no SPDX licence is shown and never guessed at.
"""

from __future__ import annotations

import functools
import re
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

FIELDS = ("license-expression", "license", "classifier")
"""The headers that are read, lower-cased."""

_CLASSIFIER = "License ::"
_LONGEST = 200
"""Characters that are kept of a free text: old files have a whole licence there."""

_BY_CLASSIFIER = {
    "Apache Software License": "Apache-2.0",  # nobody has used 1.1 since 2004
    "BSD License": "",  # two, three or four clauses: it does not say
    "Boost Software License 1.0 (BSL-1.0)": "BSL-1.0",
    "CC0 1.0 Universal (CC0 1.0) Public Domain Dedication": "CC0-1.0",
    "Eclipse Public License 2.0 (EPL-2.0)": "EPL-2.0",
    "European Union Public Licence 1.2 (EUPL 1.2)": "EUPL-1.2",
    "GNU Affero General Public License v3": "AGPL-3.0-only",
    "GNU Affero General Public License v3 or later (AGPLv3+)": "AGPL-3.0-or-later",
    "GNU General Public License v2 (GPLv2)": "GPL-2.0-only",
    "GNU General Public License v2 or later (GPLv2+)": "GPL-2.0-or-later",
    "GNU General Public License v3 (GPLv3)": "GPL-3.0-only",
    "GNU General Public License v3 or later (GPLv3+)": "GPL-3.0-or-later",
    "GNU Lesser General Public License v2 (LGPLv2)": "LGPL-2.0-only",
    "GNU Lesser General Public License v2 or later (LGPLv2+)": "LGPL-2.0-or-later",
    "GNU Lesser General Public License v3 (LGPLv3)": "LGPL-3.0-only",
    "GNU Lesser General Public License v3 or later (LGPLv3+)": "LGPL-3.0-or-later",
    "Historical Permission Notice and Disclaimer (HPND)": "HPND",
    "ISC License (ISCL)": "ISC",
    "MIT License": "MIT",
    "MIT No Attribution License (MIT-0)": "MIT-0",
    "Mozilla Public License 1.1 (MPL 1.1)": "MPL-1.1",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Python Software Foundation License": "PSF-2.0",
    "The Unlicense (Unlicense)": "Unlicense",
    "Universal Permissive License (UPL)": "UPL-1.0",
    "zlib/libpng License": "Zlib",
    "Zero-Clause BSD (0BSD)": "0BSD",
}
"""SPDX identifiers by the last part of a trove classifier; empty, or not there, where it names a family (PEP 639)."""

_BY_TEXT = {
    "apache": "Apache-2.0",
    "apache 2": "Apache-2.0",
    "apache 2.0": "Apache-2.0",
    "apache2": "Apache-2.0",
    "apache2.0": "Apache-2.0",
    "apache license 2.0": "Apache-2.0",
    "apache license version 2.0": "Apache-2.0",
    "apache software license": "Apache-2.0",
    "apache software license 2.0": "Apache-2.0",
    "bsd 2-clause": "BSD-2-Clause",
    "bsd 3-clause": "BSD-3-Clause",
    "2-clause bsd": "BSD-2-Clause",
    "3-clause bsd": "BSD-3-Clause",
    "new bsd": "BSD-3-Clause",
    "modified bsd": "BSD-3-Clause",
    "simplified bsd": "BSD-2-Clause",
    "gpl v2": "GPL-2.0-only",
    "gpl v3": "GPL-3.0-only",
    "gplv2": "GPL-2.0-only",
    "gplv3": "GPL-3.0-only",
    "gplv3+": "GPL-3.0-or-later",
    "lgpl v3": "LGPL-3.0-only",
    "lgplv3": "LGPL-3.0-only",
    "isc": "ISC",
    "mit": "MIT",
    "the mit": "MIT",
    "expat": "MIT",
    "mpl 2.0": "MPL-2.0",
    "mozilla public license 2.0": "MPL-2.0",
    "psf": "PSF-2.0",
    "python software foundation": "PSF-2.0",
    "the unlicense": "Unlicense",
}
"""SPDX identifiers by a whole free text: lower case, without commas, brackets and a last word "license"."""


class License(NamedTuple):
    """What one distribution says of its licence."""

    expression: str
    """SPDX, normalised; empty when the metadata names no licence that SPDX knows."""
    said: str
    """What the metadata says, in its own words, cut; empty when it says nothing."""

    def __str__(self) -> str:
        return self.expression or (f"{self.said!r} (no SPDX licence)" if self.said else "no licence named")


NOTHING = License("", "")
"""Of metadata that says nothing."""


def headers(fields: Iterable[tuple[str, str]]) -> tuple[str, ...]:
    """Return, of the headers of a METADATA, those that `read` needs, as ``key: value`` lines; long texts are cut."""
    kept = []
    for key, value in fields:
        lowered = key.lower()
        if lowered not in FIELDS or (lowered == "classifier" and not value.startswith(_CLASSIFIER)):
            continue
        lines = value.strip().splitlines()
        if lines:
            kept.append(f"{lowered}: {lines[0].strip()[:_LONGEST]}")
    return tuple(kept)


def read(lines: Iterable[str]) -> License:
    """Return the licence that the lines of `headers` name; raises nothing: what cannot be read is shown as it is."""
    found: dict[str, list[str]] = {field: [] for field in FIELDS}
    for line in lines:
        key, _, value = line.partition(": ")
        if key in found and value and value.upper() != "UNKNOWN":
            found[key].append(value)
    for text in found["license-expression"]:
        if expression := _spdx(text):
            return License(expression, text)
    classifiers = [value.rpartition("::")[2].strip() for value in found["classifier"]]
    known = [_BY_CLASSIFIER.get(each, "") for each in classifiers if each != "OSI Approved"]
    text = next(iter(found["license"]), "")
    of_text = identifier(text) or _spdx(text)
    if known and all(known):
        # Several classifiers may mean a choice or a sum; all of them is what is safe to take.
        return License(_spdx(" AND ".join(sorted(set(known)))), ", ".join(classifiers))
    if of_text:
        return License(of_text, text)
    return License("", ", ".join([*found["license-expression"], *filter(None, [text]), *classifiers])[:_LONGEST])


def allowed(license_: License, allow: Collection[str]) -> bool:
    """Tell whether ``allow`` (SPDX expressions) lets the licence in.

    Of a choice (``OR``) one suffices, of a sum (``AND``) all are needed; an exception (``WITH``) only grants more, so
    that the licence alone in ``allow`` lets it in too. A licence that names nothing is never allowed.
    """
    if not license_.expression:
        return False
    taken = {expression.casefold() for expression in allow}
    return license_.expression.casefold() in taken or _holds(_tree(license_.expression), taken)


def expression(text: str) -> str:
    """Return an SPDX expression as SPDX spells it.

    Raises:
        ValueError: it is none.

    """
    # Its table of identifiers is loaded by those who ask for one.
    from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression

    try:
        return str(canonicalize_license_expression(text))
    except InvalidLicenseExpression as error:
        raise ValueError(str(error)) from error


def identifier(text: str) -> str:
    """Return the SPDX identifier that people mean by ``text``; empty where it is not clear."""
    return _BY_TEXT.get(_plain(text)) or _BY_CLASSIFIER.get(text.strip(), "")


def _spdx(text: str) -> str:
    try:
        return expression(text)
    except ValueError:
        return ""


def _plain(text: str) -> str:
    words = re.sub(r"[,()]", " ", text.lower()).split()
    if words[-1:] in (["license"], ["licence"]) and len(words) > 1:
        del words[-1]
    return " ".join(words)


@functools.cache
def _licensing() -> Any:
    from license_expression import Licensing

    return Licensing()


def _tree(text: str) -> Any:
    return _licensing().parse(text)


def _holds(node: Any, taken: set[str]) -> bool:
    licensing = _licensing()
    if isinstance(node, licensing.OR):
        return any(_holds(each, taken) for each in node.args)
    if isinstance(node, licensing.AND):
        return all(_holds(each, taken) for each in node.args)
    if str(node).casefold() in taken:
        return True
    base = getattr(node, "license_symbol", None)
    return base is not None and str(base).casefold() in taken
