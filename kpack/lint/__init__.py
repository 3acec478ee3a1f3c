"""What a lock can tell of native code before a build has fetched the wheels."""

from __future__ import annotations

from kpack.lint.reading import WheelReading
from kpack.lint.report import report
from kpack.lint.verdict import verdict

__all__ = ["WheelReading", "report", "verdict"]
