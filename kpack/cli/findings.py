"""The table that ``kpack init --from`` ends with: a word on every line that was read."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

from kpack.cli.session import tell
from kpack.importing import Outcome
from kpack.restore.errors import number_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from kpack.importing import Finding, Harvest

_HEADINGS = {
    Outcome.UNDERSTOOD: "understood",
    Outcome.LEFT: "left to you",
    Outcome.IN_IMAGE: "already in the image",
}
_SHOWN = 60
"""Characters of a line that the table shows."""


def print_findings(harvest: Harvest) -> None:
    """Print all findings by verdict, each line once, and how they add up."""
    for verdict, heading in _HEADINGS.items():
        found = [finding for finding in harvest.findings if finding.verdict is verdict]
        if not found:
            continue
        tell(f"{heading}:")
        for (place, said), group in groupby(found, key=lambda finding: (str(finding.place), finding.said)):
            tell(f"  {place}: {said if len(said) <= _SHOWN else said[: _SHOWN - 1] + '…'}")
            for row in dict.fromkeys(_rows(group)):
                tell(f"      {row}")
    counts = harvest.counts()
    parts = [f"{counts[key]} {word}" for key, word in _SUM.items()]
    tell(f"{number_of(counts['total'], 'line')}: {', '.join(parts)}")


_SUM = {
    "understood": "understood",
    "left": "left to you",
    "in_image": "in the image",
    "nothing": "install and fetch nothing",
}


def _rows(findings: Iterable[Finding]) -> Iterable[str]:
    for finding in findings:
        if finding.entry:
            yield f"→ {finding.entry} ({finding.why})" if finding.why else f"→ {finding.entry}"
        elif finding.why:
            yield f"note: {finding.why}"
        if finding.write:
            yield f"write: {finding.write}"
