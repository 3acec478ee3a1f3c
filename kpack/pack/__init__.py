"""The pack: one reproducible tar, its strict reader, and the line that pins it."""

from kpack.pack.content import SUFFIX, BlobFile, Content, WheelFile
from kpack.pack.read import (
    Problem,
    ReadPack,
    bootstrap_of,
    foreign_code,
    read,
    startup_files,
    take,
    verify,
    wheel_landings,
)
from kpack.pack.wheel import Admitted, Lax, admit
from kpack.pack.write import BuiltPack, write

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
