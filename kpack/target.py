"""A kernel that a lock is made for: its marker environment and its ranked wheel tags."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from packaging.tags import Tag

    from kpack.base import BaseImage


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One interpreter on one platform, with or without a base image."""

    base: BaseImage | None
    python_version: str
    """``3.12``."""
    python_full_version: str
    """``3.12.13``; without a base the newest release of the series that is known to kpack."""
    machine: str
    """``x86_64``."""
    glibc: tuple[int, int]
    environment: Mapping[str, str]
    """The eleven variables of a marker environment (without ``extra``)."""
    tags: tuple[Tag, ...]
    """Supported tags, best first."""

    @property
    def label(self) -> str:
        """The base's name, or ``python-3.12``."""
        return self.base.name if self.base else f"python-{self.python_version}"

    @property
    def marker(self) -> str:
        """The marker that tells this target from the others in a lock."""
        return (
            f"python_version == '{self.python_version}' and sys_platform == 'linux'"
            f" and platform_machine == '{self.machine}'"
        )
