"""The pack: one reproducible tar, its strict reader, and the line that pins it.

Reading the head is imported at once; the gate, the whole check and the writer when they are first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from kpack.pack.read import ReadPack, bootstrap_of, foreign_code, read

if TYPE_CHECKING:
    from kpack.pack.content import SUFFIX, BlobFile, Content, WheelFile
    from kpack.pack.verification import Problem, startup_files, take, verify, wheel_landings
    from kpack.pack.wheel import Admitted, Lax, admit
    from kpack.pack.writer import BuiltPack, write

__all__ = [
    "SUFFIX",
    "Admitted",
    "BlobFile",
    "BuiltPack",
    "Content",
    "Lax",
    "Problem",
    "ReadPack",
    "WheelFile",
    "admit",
    "bootstrap_of",
    "foreign_code",
    "read",
    "startup_files",
    "take",
    "verify",
    "wheel_landings",
    "write",
]

_LATER = {
    "content": ("SUFFIX", "BlobFile", "Content", "WheelFile"),
    "verification": ("Problem", "startup_files", "take", "verify", "wheel_landings"),
    "wheel": ("Admitted", "Lax", "admit"),
    "writer": ("BuiltPack", "write"),
}
"""What is imported when it is first used, by module."""


def __getattr__(name: str) -> Any:
    for module, names in _LATER.items():
        if name in names:
            return getattr(importlib.import_module(f"{__name__}.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
