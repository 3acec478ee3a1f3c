"""The interpreters of the restore tests."""

from __future__ import annotations

from tests.restore.conftest import kernel, series

__all__ = ["kernel", "series"]
