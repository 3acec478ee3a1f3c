"""Native code: what the shared objects of wheels ask for, and whether an image has it."""

from __future__ import annotations

from kpack.native.judge import judge
from kpack.native.kernel import AddedPackages, NativeKernel, of_image, of_platform
from kpack.native.misfit import Certainty, Misfit, NativeReport, sentences
from kpack.native.wheels import NativeWheel

__all__ = [
    "AddedPackages",
    "Certainty",
    "Misfit",
    "NativeKernel",
    "NativeReport",
    "NativeWheel",
    "judge",
    "of_image",
    "of_platform",
    "sentences",
]
