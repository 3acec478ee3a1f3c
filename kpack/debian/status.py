"""A dpkg status file (dpkg(1)) that says of an image what is known: names and versions, and what follows from them.

A snapshot has names and versions alone. What an installed package provides, whether it serves other architectures
(``perl:any``), and which siblings it pins to its own version is read from the archive's index: of the same version
where that has it, else, as far as it hardly ever changes, of another one. Other requirements are left out, for a
list that nobody has probed need not be closed, and apt would mend it before it did anything else.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

Stanza = dict[str, str]

_CLAUSE = re.compile(r"([a-z0-9][a-z0-9+.-]+)(?::[a-z0-9]+)?(?:\s*\(([<>=]+)\s*([^)]+)\))?")


def stanzas(text: str) -> list[Stanza]:
    """Return the paragraphs of a control file (deb-control(5)), continuation lines joined."""
    found = []
    for block in re.split(r"\n{2,}", text.strip("\n")):
        row: Stanza = {}
        key = ""
        for line in block.split("\n"):
            if line[:1] in {" ", "\t"} and key:
                row[key] += "\n" + line.strip()
            elif ":" in line:
                key, _, value = line.partition(":")
                row[key] = value.strip()
        if row:
            found.append(row)
    return found


def status(packages: Mapping[str, str], index: Iterable[Stanza], architecture: str) -> str:
    """Return the text of the file for ``packages``, version by name; ``index`` are paragraphs of their names."""
    known: dict[str, list[Stanza]] = {}
    for row in index:
        known.setdefault(row.get("Package", ""), []).append(row)
    return "\n".join(
        _written(name, version, known.get(name, ()), packages, architecture) for name, version in packages.items()
    )


def needs(rows: Iterable[Stanza]) -> dict[str, tuple[str, ...]]:
    """Return which of ``rows`` depend on which of them, by the name of the one that is needed, sorted.

    Of alternatives all that are there count: what would be needed if the others went away.
    """
    rows = tuple(rows)
    bringers: dict[str, set[str]] = {}
    for row in rows:
        for name in (row["Package"], *map(_named, _clauses(row.get("Provides", "")))):
            bringers.setdefault(name, set()).add(row["Package"])
    found: dict[str, set[str]] = {}
    for row in rows:
        for clause in (*_clauses(row.get("Pre-Depends", "")), *_clauses(row.get("Depends", ""))):
            for other in clause.split("|"):
                for name in bringers.get(_named(other.strip()), set()) - {row["Package"]}:
                    found.setdefault(name, set()).add(row["Package"])
    return {name: tuple(sorted(by)) for name, by in found.items()}


def _written(name: str, version: str, rows: Sequence[Stanza], packages: Mapping[str, str], architecture: str) -> str:
    exact = next((row for row in rows if row.get("Version") == version), None)
    like = exact or (rows[0] if rows else {})
    fields = {
        "Package": name,
        "Status": "install ok installed",
        "Maintainer": "nobody <nobody@localhost>",
        "Architecture": "all" if like.get("Architecture") == "all" else architecture,
        "Version": version,
        "Description": "in the image",
    }
    if "Multi-Arch" in like:
        fields["Multi-Arch"] = like["Multi-Arch"]
    provides = [clause for clause in _clauses(like.get("Provides", "")) if exact is not None or "(" not in clause]
    pinned = [clause for clause in _clauses((exact or {}).get("Depends", "")) if _pins(clause, packages)]
    fields["Provides"], fields["Depends"] = ", ".join(provides), ", ".join(pinned)
    for field in ("Conflicts", "Breaks"):
        fields[field] = ", ".join(
            clause for clause in _clauses((exact or {}).get(field, "")) if _named(clause) not in packages
        )
    return "".join(f"{key}: {value}\n" for key, value in fields.items() if value)


def _clauses(text: str) -> list[str]:
    return [clause for part in text.replace("\n", " ").split(",") if (clause := part.strip())]


def _named(clause: str) -> str:
    found = _CLAUSE.match(clause)
    return found[1] if found else ""


def _pins(clause: str, packages: Mapping[str, str]) -> bool:
    found = _CLAUSE.fullmatch(clause)
    return found is not None and found[2] == "=" and packages.get(found[1]) == found[3].strip()
