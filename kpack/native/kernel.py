"""What the native code of a pack meets: one target's image, or a platform of which hardly anything is known."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from kpack.base.native import Level, NativeFacts, facts_of
from kpack.native.devices import Gpu, gpu_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kpack.base import BaseImage


@dataclass(frozen=True, slots=True)
class AddedPackages:
    """System packages that a pack adds to an image."""

    versions: Mapping[str, str]
    """By name."""
    libraries: Mapping[str, str] = field(default_factory=dict)
    """The package by the name of a library that it brings; empty while nobody has read their files."""


@dataclass(frozen=True, slots=True)
class NativeKernel:
    """Where the packages of one target are imported."""

    label: str
    """Of the target."""
    python: str
    """``3.12``."""
    machine: str
    """``x86_64``."""
    facts: NativeFacts
    known: bool
    """An image is named; without one nothing is known but glibc."""
    gpu: Gpu | None = None
    """The GPU of the session: of ``accelerator`` in kaggle-env.toml, else of the probe; None where neither knows."""

    @property
    def image(self) -> str:
        """What sentences call it."""
        return self.facts.image if self.known else self.label


def of_image(
    base: BaseImage, label: str, python: str, accelerator: str = "", added: AddedPackages | None = None
) -> NativeKernel:
    """Return the kernel of an image; ``added`` are system packages that come with the pack."""
    facts = facts_of(base)
    if added is not None:
        facts = replace(facts, added=added.versions, added_libraries=added.libraries)
    gpu = gpu_of(accelerator, base.native.gpus if base.native is not None else ())
    return NativeKernel(label, python, base.machine, facts, known=True, gpu=gpu)


def of_platform(label: str, python: str, machine: str, glibc: tuple[int, int], accelerator: str = "") -> NativeKernel:
    """Return a kernel of which no more is known than what wheels are chosen by."""
    facts = NativeFacts(
        image=label,
        os="",
        glibc=Level("GLIBC", ".".join(map(str, glibc)), None, exact=False),
        glibcxx=Level("GLIBCXX", None, None, exact=False),
        cxxabi=Level("CXXABI", None, None, exact=False),
        cuda=None,
        torch=None,
        torch_cuda=None,
        accelerator="",
        packages={},
        cached=None,
        brought={},
    )
    return NativeKernel(label, python, machine, facts, known=False, gpu=gpu_of(accelerator, ()))
