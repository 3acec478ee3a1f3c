"""Which shipped snapshot is meant, by what a notebook says of its kernel, and why."""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from kpack.base.reader import parse, read
from kpack.base.shipped import DIGEST, built, by_digest, shipped
from kpack.errors import MachineError, UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from kpack.base.model import SnapshotInfo


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What a notebook says of the kernel that it is for; None where it says nothing."""

    python: str | None = None
    """Series, ``3.12``."""
    accelerator: str | None = None
    """``gpu``, ``cpu`` or ``tpu``."""
    image: str | None = None
    """Digest of a docker image, ``sha256:…``."""
    number: str | None = None
    """Kaggle's own number of an image (``dockerImageVersionId``), from which nobody else can tell the image."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageChoice:
    """A snapshot, and why it was chosen."""

    info: SnapshotInfo
    because: str
    notes: tuple[str, ...] = ()
    """What of the wish it does not fulfil, and what to do about it."""


def wish_of(metadata: Any, beside: Any = None) -> Wish:
    """Return what a notebook's ``metadata`` says, and the parsed ``kernel-metadata.json`` ``beside`` it.

    Both may be anything: what is not as Jupyter and Kaggle write it counts as not said.
    """
    held, kaggle, pushed = _table(metadata), _table(_table(metadata).get("kaggle")), _table(beside)
    version = _table(held.get("language_info")).get("version")
    series = re.match(r"3\.[0-9]{1,2}(?![0-9])", version) if isinstance(version, str) else None
    if series is None:
        named = _table(held.get("kernelspec")).get("name")
        series = re.search(r"3\.[0-9]{1,2}(?![0-9])", named) if isinstance(named, str) else None
    images = [pushed.get("docker_image"), kaggle.get("dockerImage"), held.get("docker_image")]
    image = next((found[0] for text in images if isinstance(text, str) and (found := DIGEST.search(text))), None)
    number = kaggle.get("dockerImageVersionId")
    return Wish(
        python=series[0] if series else None,
        accelerator=_accelerator(kaggle, pushed),
        image=image,
        number=str(number) if isinstance(number, int | str) and re.fullmatch(r"[0-9]{1,12}", str(number)) else None,
    )


def wish_of_notebook(path: Path) -> Wish:
    """Return what a notebook file and the ``kernel-metadata.json`` that pushes it say; any other file says nothing."""
    beside = _json(path.parent / "kernel-metadata.json")
    if beside.get("code_file", path.name) != path.name:
        beside = {}
    return wish_of(_json(path).get("metadata"), beside)


def _json(path: Path) -> dict[str, Any]:
    try:
        return parse(read(path), path)
    except (UsageError, MachineError):
        return {}  # whoever imports the notebook says what is wrong with it; here it wishes for nothing


def choose(wish: Wish) -> ImageChoice:
    """Return the snapshot of the image that is wished for, else the one that is nearest to it.

    An image that no snapshot stands for decides by the Python and the day that it was built with, where its digest is
    known; else the notebook's Python and accelerator do, and the newest of those that are as good.
    """
    notes, day = [], None
    if (image := wish.image) is not None:
        if (known := by_digest(image)) is not None:
            return ImageChoice(info=known, because=f"the notebook names its image, {image[:19]}…")
        made, when = built(image), ""
        if made is not None:
            when, day = f" was built on {made.day} with Python {made.python}, and", dt.date.fromisoformat(made.day)
            wish = replace(wish, python=made.python, accelerator=made.accelerator or wish.accelerator)
        probing = f"kpack probe --kaggle {wish.accelerator or 'gpu'} --image {image}"
        notes.append(
            f"the notebook's image {image[:19]}…{when} is none that kpack ships a list of; exact is: {probing}"
        )
    elif wish.number is not None:
        notes.append(
            f"the notebook pins Kaggle's image number {wish.number}, which says nothing of what is in it: print "
            "KAGGLE_DOCKER_IMAGE there, and hold it against kpack probe --list"
        )
    kind = wish.accelerator or "gpu"

    def rank(info: SnapshotInfo) -> tuple[bool, bool, int]:
        python = wish.python is None or info.python.startswith(f"{wish.python}.")
        apart = 0 if day is None else abs((dt.date.fromisoformat(info.taken) - day).days)
        return python, info.accelerator in ("any", kind), -apart

    best = max(shipped(), key=rank)
    python, fits, _ = rank(best)
    if not python:
        notes.append(f"no known image has the notebook's Python {wish.python}; {best.name} was chosen")
    if not fits:
        notes.append(f"no known image with that Python is for {kind}; {best.name} was chosen")
    because = _because(wish, kind, dated=day is not None, python=python, fits=fits)
    return ImageChoice(info=best, because=because, notes=tuple(notes))


def _because(wish: Wish, kind: str, *, dated: bool, python: bool, fits: bool) -> str:
    """Return what spoke for the choice: which of the wishes it fulfils."""
    said = [f"the {'image' if dated else 'notebook'}'s Python {wish.python}"] if wish.python and python else []
    said += [f"its accelerator ({kind})"] if wish.accelerator and fits else []
    first = "the nearest in time" if dated else "the newest image"
    if said:
        return f"{first} that goes with {' and '.join(said)}"
    return first if dated else "the newest image with a GPU"


def _accelerator(kaggle: dict[str, Any], pushed: dict[str, Any]) -> str | None:
    """Return the kind of machine: by its name where there is one, else by the switches."""
    for shape in (kaggle.get("accelerator"), pushed.get("machine_shape")):
        if isinstance(shape, str) and shape:
            lowered = shape.lower()
            return "tpu" if "tpu" in lowered else "cpu" if lowered in ("none", "cpu") else "gpu"
    if pushed.get("enable_tpu") in (True, "true") or kaggle.get("isTpuEnabled") is True:
        return "tpu"
    for switch in (kaggle.get("isGpuEnabled"), pushed.get("enable_gpu")):
        if switch in (True, "true"):
            return "gpu"
        if switch in (False, "false"):
            return "cpu"
    return None


def _table(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
