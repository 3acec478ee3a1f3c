"""Requests that get a version much older than they could have: what nobody wants to get in silence."""

from __future__ import annotations

from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name
from packaging.version import Version

if TYPE_CHECKING:
    from kpack.environment import Environment
    from kpack.resolve.model import TargetResolution
    from kpack.resolve.wire import Older

DAYS = 90
"""Between two uploads: what is older by more is no small difference."""


def suspects(environment: Environment, found: TargetResolution) -> list[Older]:
    """Return what was asked for by name, is packed, and is of another minor version than it could be, or old."""
    asked = {canonicalize_name(each.requirement.name) for each in environment.packages if each.requirement}
    packed = {pin.name for pin in found.packed if pin.name in asked}
    return [each for each in found.older if each.name in packed and each.candidate and _far(each)]


def _far(older: Older) -> bool:
    taken, newest = Version(older.version), Version(older.candidate)
    return taken.release[:2] != newest.release[:2] or (older.days is not None and older.days > DAYS)
