"""Drift: what a lock leans on in the base, held against what is really installed."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Dict, Iterable, List, Mapping, NamedTuple, Optional, Tuple

from .versions import normalize_name, same_version, satisfies, specifier_of

if TYPE_CHECKING:
    from .manifest import Lean

_INFO = re.compile(r"(?P<name>.+?)-(?P<version>[^-]+)\.dist-info\Z")
_EGG = re.compile(r"(?P<name>.+?)-(?P<version>[^-]+)(?:-py[0-9.]+(?:-.+)?)?\.(?:egg-info|egg)\Z")


class Drift(NamedTuple):
    """A distribution whose version differs from the one that was locked against."""

    name: str
    locked: str
    found: Optional[str]
    """None when it is not installed."""
    breaks: bool
    """Whether something packed cannot work with it."""
    why: str
    """One sentence."""

    def to_dict(self) -> Dict[str, object]:
        """Return the item of ``drift`` in the JSON report."""
        return {
            "name": self.name,
            "locked": self.locked,
            "found": self.found,
            "breaks": self.breaks,
            "because": self.why,
        }


def judge(leans: Iterable[Lean], installed: Mapping[str, str]) -> Tuple[Drift, ...]:
    """Hold what a lock leans on against ``installed`` (normalised name to version).

    A distribution breaks the pack when it is missing or outside a recorded requirement. Another version that
    every recorded requirement admits is a difference without harm.
    """
    found = []
    for lean in leans:
        version = installed.get(normalize_name(lean.name))
        if version is None:
            needed = ", ".join(sorted({need.by for need in lean.specifiers if need.by})) or "the environment"
            found.append(Drift(lean.name, lean.version, None, True, "it is not installed; needed by " + needed))
            continue
        if same_version(version, lean.version):
            continue
        against = [
            "{} wants {}".format(need.by or "the environment", need.requirement)
            for need in lean.specifiers
            if not _admits(need.requirement, version)
        ]
        why = "; ".join(against) or "every recorded requirement admits it"
        found.append(Drift(lean.name, lean.version, version, bool(against), why))
    return tuple(found)


def _admits(requirement: str, version: str) -> bool:
    """Tell whether a requirement admits a version; a version that is not of PEP 440 satisfies no specifier."""
    specifier = specifier_of(requirement)[1]
    try:
        return not specifier or satisfies(version, specifier)
    except ValueError:
        return False


class Installed(NamedTuple):
    """A distribution that is installed."""

    name: str
    """Normalised."""
    version: str
    info: str
    """Absolute path of its .dist-info folder, .egg-info folder or file."""


def installed(folders: Iterable[str]) -> Dict[str, Installed]:
    """Return what is installed in ``folders`` (usually sys.path), by normalised name; the first folder wins.

    Names and versions are taken from the names of the metadata folders, and from the metadata itself where the
    name does not tell.
    """
    found: Dict[str, Installed] = {}
    seen = set()
    for folder in folders:
        path = os.path.abspath(folder or ".")
        if path in seen:
            continue
        seen.add(path)
        for item in _listing(path):
            if item.name not in found:
                found[item.name] = item
    return found


def _listing(folder: str) -> List[Installed]:
    try:
        names = os.listdir(folder)
    except OSError:
        return []  # sys.path may name folders and archives that are not there
    items = []
    for name in sorted(names):
        if not name.endswith((".dist-info", ".egg-info", ".egg")):
            continue
        path = os.path.join(folder, name)
        match = (_INFO if name.endswith(".dist-info") else _EGG).match(name)
        if match:
            items.append(Installed(normalize_name(match["name"]), match["version"].replace("_", "-"), path))
        else:
            known = _from_metadata(path)
            if known:
                items.append(Installed(normalize_name(known[0]), known[1], path))
    return items


def _from_metadata(path: str) -> Optional[Tuple[str, str]]:
    for candidate in (os.path.join(path, "METADATA"), os.path.join(path, "PKG-INFO"), path):
        try:
            with open(candidate, encoding="utf-8", errors="replace") as stream:
                fields = dict(line.rstrip("\n").partition(": ")[::2] for line in stream if ": " in line)
        except OSError:
            continue
        if "Name" in fields and "Version" in fields:
            return fields["Name"], fields["Version"]
    return None
