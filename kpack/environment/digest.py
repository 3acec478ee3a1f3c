"""The digest by which a lock knows whether it is stale."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

from kpack.environment.keys import DOCUMENT
from kpack.environment.rows import meanings

if TYPE_CHECKING:
    from kpack.environment.model import Environment

_VERSION = 1
"""Raised when the meaning of a key changes, so that older locks count as stale."""


def meaning_digest(environment: Environment) -> str:
    """Return the SHA-256 (64 hexadecimal digits) over everything in the file that a lock depends on.

    Comments, spelling, the order of keys and of names, ``[publish]``, ``max-size`` (which only a build looks at),
    credentials in URLs, and the file's own place do not change it; neither does what a local base file
    holds (a lock records the fingerprints of its bases).
    """
    meant = {"meaning": _VERSION, **meanings(environment, DOCUMENT.rows)}
    canonical = json.dumps(meant, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()
