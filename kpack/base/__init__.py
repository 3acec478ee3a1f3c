"""Base images: what a Kaggle kernel has before anything is installed."""

from __future__ import annotations

from kpack.base.model import BaseDistribution, BaseImage, Removal, SnapshotInfo
from kpack.base.shipped import by_digest, shipped
from kpack.base.snapshot import load, loads

__all__ = ["BaseDistribution", "BaseImage", "Removal", "SnapshotInfo", "by_digest", "load", "loads", "shipped"]
