"""System packages of Debian and Ubuntu: which ones an image lacks, and what is in their files."""

from __future__ import annotations

from kpack.debian.model import LockedSystem, SystemPackage

__all__ = ["LockedSystem", "SystemPackage"]
