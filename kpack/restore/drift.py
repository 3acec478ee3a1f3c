"""Drift: what a lock leans on in the base, held against what is really installed."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Dict, Iterable, Mapping, NamedTuple, Optional, Tuple

from .versions import normalize_name, same_version, satisfies, specifier_of

if TYPE_CHECKING:
    from .manifest import Lean, PackTarget


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


def other_image(target: PackTarget, image: str) -> Optional[str]:
    """Return a note when a kernel runs another docker image than those that the target's base stands for.

    ``image`` is what the kernel says of its own (``KAGGLE_DOCKER_IMAGE``); nothing, or a base without known images,
    is no difference.
    """
    found = re.search("sha256:[0-9a-f]{64}", image)
    digest = found.group(0) if found else ""
    if not target.images or not digest or digest in target.images:
        return None
    return "this kernel runs image {}…, the pack was locked for {} ({}…)".format(
        digest[:19], target.label, target.images[0][:19]
    )


def _admits(requirement: str, version: str) -> bool:
    """Tell whether a requirement admits a version; a version that is not of PEP 440 satisfies no specifier."""
    specifier = specifier_of(requirement)[1]
    try:
        return not specifier or satisfies(version, specifier)
    except ValueError:
        return False
