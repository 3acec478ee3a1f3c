"""The licence that a model card names: ``license:`` in the YAML at the head of a repository's README.md."""

from __future__ import annotations

import yaml

from kpack import licenses
from kpack.licenses import NOTHING, License

_LONGEST = 1 << 16
"""Characters of a card that are looked at: the YAML is at its head."""


def license_of_card(card: bytes) -> License:
    """Return the licence of a model card; nothing for a card without one, or whose head cannot be read."""
    text = card[: 4 * _LONGEST].decode("utf-8", "replace")[:_LONGEST].replace("\r\n", "\n")
    if not text.startswith("---\n"):
        return NOTHING
    head, end, _ = text[4:].partition("\n---")
    if not end or "&" in head or "*" in head:
        return NOTHING  # anchors and aliases may stand for more than there is room for
    try:
        fields = yaml.safe_load(head)
    except yaml.YAMLError:
        return NOTHING
    said = fields.get("license") if isinstance(fields, dict) else None
    if not isinstance(said, str) or not said:
        return NOTHING
    return licenses.read((f"license: {said[:200]}",))
