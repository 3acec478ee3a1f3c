"""Extensions of torch, which are built for one torch and one CUDA and say so in their version."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name

from kpack.native import names
from kpack.native.troubles import Surroundings, Trouble

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kpack.native.wheels import NativeWheel

_FAMILY = frozenset(map(canonicalize_name, ("torch", "torchvision", "torchaudio", "torchtext", "triton")))
"""What is released with torch: that they go together is their Requires-Dist's to say."""


def built_for_another(wheel: NativeWheel, around: Surroundings) -> Iterator[Trouble]:
    """Yield what a wheel's version says of a torch or a CUDA that are not those that it meets."""
    torch = around.torch
    build = names.build_of(wheel.version.local)
    if wheel.name in _FAMILY or torch is None or build.torch is None:
        return
    cuda = _cuda_of(around)
    here = f"torch {torch.major}.{torch.minor}" + (f" and CUDA {cuda}" if cuda else "")
    advice = f"take the build for {here}"
    if build.torch != torch.release[:2]:
        wants = f"torch {build.torch[0]}.{build.torch[1]}"
        yield Trouble("says in its version that it is for", wants, f"torch {torch}", certain=False, next=advice)
    if build.cuda is not None and cuda is not None and build.cuda != cuda:
        has = f"torch {torch} for " + (f"CUDA {cuda}" if cuda else "the processor")
        yield Trouble("says in its version that it is for", f"CUDA {build.cuda}", has, certain=False, next=advice)


def named_for_another(wheel: NativeWheel, around: Surroundings) -> Iterator[Trouble]:
    """Yield what a wheel's name (``cupy-cuda13x``) says of a CUDA that neither the image nor the pack has.

    Such packages often look for CUDA when they are used, so that no library that they need tells.
    """
    wanted = names.cuda_of_name(wheel.name)
    found = int(around.kernel.facts.cuda.partition(".")[0]) if around.kernel.facts.cuda else None
    if wanted in {None, found} or found is None or wheel.name.startswith("nvidia-"):
        return
    packed = {names.cuda_major(name) for name in around.shelf.names()}
    soname = f"libcudart.so.{wanted}"
    if wanted in packed or around.shelf.blind or around.missing(soname) is None:
        return
    advice = f"take a build for CUDA {found}, or add the package that brings {soname}"
    has = f"CUDA {around.kernel.facts.cuda}"
    sibling = names.for_cuda(wheel.name, found)
    verb = "says in its name that it is for"
    yield Trouble(verb, f"CUDA {wanted}", has, certain=False, next=advice, sibling=sibling)


def _cuda_of(around: Surroundings) -> int | None:
    """Return the CUDA major that the torch that is imported was built for; 0 for the processor."""
    local = (around.torch.local or "") if around.torch else ""
    if local.startswith("cpu"):
        return 0
    if found := re.match(r"cu(\d{2})", local):
        return int(found[1])
    told = around.kernel.facts.torch_cuda if around.torch is around.kernel.facts.torch else None
    return int(told.partition(".")[0]) if told else 0 if told == "" else None
