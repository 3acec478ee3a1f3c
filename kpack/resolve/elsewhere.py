"""Projects that the default index does not have, and how they are usually had: one table, and its sentences.

It speaks of a name only where the name's own index does not know it, or has no file of it that fits and nothing else
helps, so that a project that comes to the index is not kept from anybody.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from packaging.utils import canonicalize_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from kpack.resolve.wire import Obstacle


class Elsewhere(NamedTuple):
    """Where a project is."""

    source: str = ""
    """Its repository, as a requirement has it behind ``@``; empty where that is not the usual way."""
    wheels: str = ""
    """Where its prebuilt wheels are; empty where its owners publish none."""
    with_torch: bool = False
    """Its build imports torch: no build in isolation makes a wheel of it that fits the image."""


ELSEWHERE = {
    "apex": Elsewhere("git+https://github.com/NVIDIA/apex.git", with_torch=True),
    "clip": Elsewhere("git+https://github.com/openai/CLIP.git"),
    "detectron2": Elsewhere("git+https://github.com/facebookresearch/detectron2.git", with_torch=True),
    "en-core-web-lg": Elsewhere(wheels="https://github.com/explosion/spacy-models/releases"),
    "en-core-web-md": Elsewhere(wheels="https://github.com/explosion/spacy-models/releases"),
    "en-core-web-sm": Elsewhere(wheels="https://github.com/explosion/spacy-models/releases"),
    "en-core-web-trf": Elsewhere(wheels="https://github.com/explosion/spacy-models/releases"),
    "groundingdino": Elsewhere("git+https://github.com/IDEA-Research/GroundingDINO.git", with_torch=True),
    "mmcv-full": Elsewhere(wheels="https://download.openmmlab.com/mmcv/dist/", with_torch=True),
    "nvdiffrast": Elsewhere("git+https://github.com/NVlabs/nvdiffrast.git", with_torch=True),
    "pyg-lib": Elsewhere(wheels="https://data.pyg.org/whl/", with_torch=True),
    "pytorch3d": Elsewhere("git+https://github.com/facebookresearch/pytorch3d.git", with_torch=True),
    "sam-2": Elsewhere("git+https://github.com/facebookresearch/sam2.git", with_torch=True),
    "sam2": Elsewhere("git+https://github.com/facebookresearch/sam2.git", with_torch=True),
    "segment-anything": Elsewhere("git+https://github.com/facebookresearch/segment-anything.git"),
    "tinycudann": Elsewhere(
        "git+https://github.com/NVlabs/tiny-cuda-nn.git#subdirectory=bindings/torch", with_torch=True
    ),
}
"""By normalised name."""

_UNFIT = frozenset({"interpreter", "platform", "glibc"})
"""Kinds of obstacles that are wheels for another machine."""


def of(obstacles: Sequence[Obstacle]) -> Iterator[str]:
    """Yield how that is had which an index does not know and the table does."""
    for name in dict.fromkeys(canonicalize_name(each.name) for each in obstacles if each.kind == "unknown"):
        place = ELSEWHERE.get(name)
        if place is None:
            continue
        if place.source:
            yield f"{name} is published as source only: {_from_source(name, place)}"
        where = f"a prebuilt wheel of it in packages ({name} @ https://….whl)"
        yield (
            f"give the URL of {where}; its owners have them at {place.wheels}"
            if place.wheels
            else f"give the URL or path of {where}"
        )


def _from_source(name: str, place: Elsewhere) -> str:
    words = f'write "{name} @ {place.source}" in packages'
    if place.with_torch:
        words += (
            f' and no-build-isolation = ["{name}"], and build it where the image is: kpack notebook --relock '
            "writes a builder notebook for Kaggle"
        )
    return words


def unfit(obstacles: Sequence[Obstacle]) -> Iterator[str]:
    """Yield how that may be had of which an index has wheels for other interpreters and platforms, and no source."""
    for name in dict.fromkeys(str(canonicalize_name(each.name)) for each in obstacles if each.kind in _UNFIT):
        place = ELSEWHERE.get(name, Elsewhere())
        if place.source:
            yield _from_source(name, place)
        wheel = f"give the URL or path of a prebuilt wheel of it in packages ({name} @ https://….whl)"
        repository = "" if place.source else f", or of its repository ({name} @ git+https://…)"
        yield f"{wheel}; its owners have them at {place.wheels}" if place.wheels else wheel + repository


def unknown(obstacles: Sequence[Obstacle]) -> str:
    """Return what to do about names that no index knows and nobody here does; nothing when there is none."""
    names = sorted({each.name for each in obstacles if each.kind == "unknown"})
    if not names:
        return ""
    return (
        f"check the spelling; where it is published as source or on an index of its own, write {names[0]} @ "
        "git+https://… or the URL of a wheel in packages, or add its index under [[indexes]]"
    )
