"""The long list: tests that run with ``KPACK_INDEX_TESTS=all`` only, because the gate must stay short."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

ALL = os.environ.get("KPACK_INDEX_TESTS") == "all"

long_list = pytest.mark.skipif(not ALL, reason="one of the long list: KPACK_INDEX_TESTS=all")
"""Marks a test of the long list."""


def listed(cases: Iterable[object], default: Callable[[Any], bool]) -> list[object]:
    """Return parameters of which those that ``default`` does not take are of the long list; a tuple is several."""
    return [
        pytest.param(*(case if isinstance(case, tuple) else (case,)), marks=() if default(case) else (long_list,))
        for case in cases
    ]


def examples(number: int) -> int:
    """Return how many examples a property is tried with: ``number`` with the long list, a fifth of it without."""
    return number if ALL else max(20, number // 5)
