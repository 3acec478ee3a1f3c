"""The lock: ``pylock.<stem>.toml``, a PEP 751 file with what kpack needs to know besides in ``[tool.kpack]``."""

from __future__ import annotations

from kpack.lock.licensed import check_licenses
from kpack.lock.make import from_resolution
from kpack.lock.model import Lock, LockedPin, LockedTarget, filename
from kpack.lock.read import load, loads
from kpack.lock.requests import Requests
from kpack.lock.stale import stale
from kpack.lock.validate import validated
from kpack.lock.write import dumps, relative, requirements

__all__ = [
    "Lock",
    "LockedPin",
    "LockedTarget",
    "Requests",
    "check_licenses",
    "dumps",
    "filename",
    "from_resolution",
    "load",
    "loads",
    "relative",
    "requirements",
    "stale",
    "validated",
]
