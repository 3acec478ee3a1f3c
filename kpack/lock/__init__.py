"""The lock: ``pylock.<stem>.toml``, a PEP 751 file with what kpack needs to know besides in ``[tool.kpack]``.

Reading one is imported at once, what makes one when it is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from kpack.lock.model import Lock, LockedPin, LockedTarget
from kpack.lock.read import load, loads
from kpack.lock.requests import Requests
from kpack.lock.stale import stale
from kpack.lock.write import dumps, relative, requirements

if TYPE_CHECKING:
    from kpack.lock.licensed import check_licenses
    from kpack.lock.make import from_resolution
    from kpack.lock.validate import validated

__all__ = [
    "Lock",
    "LockedPin",
    "LockedTarget",
    "Requests",
    "check_licenses",
    "dumps",
    "from_resolution",
    "load",
    "loads",
    "relative",
    "requirements",
    "stale",
    "validated",
]

_LATER = {"check_licenses": "licensed", "from_resolution": "make", "validated": "validate"}
"""What is imported when it is first used, and its module."""


def __getattr__(name: str) -> Any:
    if name in _LATER:
        return getattr(importlib.import_module(f"{__name__}.{_LATER[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
