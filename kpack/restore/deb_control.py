"""What dpkg parses of a package's control file (deb-control(5)): what it refuses is refused before it is asked."""

from __future__ import annotations

import re
from typing import Dict, Optional

_VERSION = r"(?:[0-9]+:)?[A-Za-z0-9.+~][A-Za-z0-9.+:~-]*(?<!:)"
_ONE = r"[A-Za-z0-9][A-Za-z0-9+._-]*(?::[A-Za-z0-9-]+)?\s*(?:\(\s*(?:<<|<=|=|>=|>>|<|>)?\s*" + _VERSION + r"\s*\))?"
_RELATION = re.compile(r"\s*" + _ONE + r"\s*\Z", re.ASCII)

_WITH_ALTERNATIVES = ("pre-depends", "depends", "recommends", "suggests", "enhances")
_WITHOUT = ("conflicts", "breaks", "replaces", "provides")
_VALUES = {
    "multi-arch": ("no", "same", "foreign", "allowed"),
    "essential": ("yes", "no"),
    "protected": ("yes", "no"),
}
_OF_THE_DATABASE = ("status", "config-version", "conffiles", "triggers-pending", "triggers-awaited")


def fields(text: str) -> Dict[str, str]:
    """Return the fields of a control file, which is one paragraph, with the lines that go on with them.

    Raises ValueError, with the reason, for what dpkg does not take.
    """
    found: Dict[str, str] = {}
    key = ""
    for line in text.strip("\r\n").split("\n") if text.strip() else ():
        if not line.strip() or "\0" in line:
            raise ValueError("is more than one paragraph")
        if line[:1] in (" ", "\t"):
            if not key:
                raise ValueError("begins with a line that goes on with nothing")
            found[key] += "\n" + line
            continue
        key, colon, value = line.partition(":")
        if not colon or key[:1] in ("#", "-") or len(key.split()) != 1:
            raise ValueError("has the line {!r:.80}, which is no field".format(line))
        if key in found:
            raise ValueError("says {} twice".format(key))
        found[key] = value
    if found and not found[key].strip():
        raise ValueError("ends with {}, which has no value".format(key))
    why = _refused({key.strip().lower(): value for key, value in found.items()})
    if why is not None:
        raise ValueError(why)
    return {key: value.split("\n")[0].strip() for key, value in found.items()}


def _refused(said: Dict[str, str]) -> Optional[str]:
    """Return why dpkg would not take these fields; None when it would."""
    for key, allowed in _VALUES.items():
        if key in said and said[key].strip().lower() not in allowed:
            return "says {}: {:.80}, and dpkg knows {}".format(key, said[key].strip(), ", ".join(allowed))
    for key in _OF_THE_DATABASE:
        if key in said:
            return "has the field {}, which is of dpkg's database alone".format(key)
    for key in (*_WITH_ALTERNATIVES, *_WITHOUT):
        for group in said[key].split(",") if key in said else ():
            parts = group.split("|") if key in _WITH_ALTERNATIVES else [group]
            wrong = next((part for part in parts if _RELATION.match(part) is None), None)
            if wrong is not None:
                return "has {!r:.80} in {}, which is no package".format(wrong.strip(), key)
    return None
