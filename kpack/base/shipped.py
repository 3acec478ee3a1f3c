"""The snapshots that kpack ships: which there are, which one an image is, which one is nearest to a kernel."""

from __future__ import annotations

import functools
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from kpack.base.model import SnapshotInfo
from kpack.base.reader import read

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

SNAPSHOTS = Path(__file__).parent / "snapshots"
_SUFFIX = ".json.gz"
_ROWS = '\n "distributions": ['
"""What stands before the distributions, one a line, the last key of a shipped file."""
DIGEST = re.compile(r"sha256:([0-9a-f]{16})[0-9a-f]{48}")
"""The digest of a docker image; its first 16 digits are what the table of digests keeps."""
_ROW = re.compile(r'^  \{"name": "([^"]+)", "version": "([^"]+)"', re.MULTILINE)


def names() -> list[str]:
    """Return the names of the shipped snapshots."""
    return sorted(path.name.removesuffix(_SUFFIX) for path in SNAPSHOTS.glob(f"*{_SUFFIX}"))


def place(name: str) -> Path:
    """Return where the snapshot of that name is, if there is one."""
    return SNAPSHOTS / f"{name}{_SUFFIX}"


def shipped() -> tuple[SnapshotInfo, ...]:
    """Return what `kpack probe --list` shows of each shipped snapshot, newest first."""
    infos = (_info(name) for name in names())
    return tuple(sorted(sorted(infos, key=lambda info: info.name), key=lambda info: info.taken, reverse=True))


def by_digest(image: str) -> SnapshotInfo | None:
    """Return the snapshot of a docker image: ``image`` is its digest (``sha256:…``) or a reference that has it."""
    found = DIGEST.search(image)
    return next((info for info in shipped() if found and found[0] in info.images), None)


class DockerImage(NamedTuple):
    """What is known of a docker image that no snapshot stands for."""

    day: str
    """Of the commit that it was built from, ``2023-04-17``."""
    python: str
    """``3.10``"""
    accelerator: str
    """``gpu``, ``cpu``, ``tpu``; empty where nobody wrote it down."""


def built(image: str) -> DockerImage | None:
    """Return when an image was built and with which Python, by its digest or a reference that has it."""
    found = DIGEST.search(image)
    return _built().get(found[1]) if found else None


@functools.cache
def _built() -> Mapping[str, DockerImage]:
    from importlib import resources

    text = resources.files("kpack.base").joinpath("digests.tsv").read_text(encoding="utf-8")
    rows = (line.split("\t") for line in text.splitlines() if not line.startswith("#"))
    return {digits: DockerImage(day, python, accelerator.strip("?")) for digits, day, python, accelerator in rows}


def nearest(python: str, distributions: Iterable[tuple[str, str]], image: str = "") -> SnapshotInfo:
    """Return the snapshot that is most like a kernel.

    That of its docker image, when it is known; else of the same Python series the one that has most of its
    ``distributions`` (name and version), the newest of equals.
    """
    if image and (known := by_digest(image)) is not None:
        return known
    there = set(distributions)
    series = ".".join(python.split(".")[:2])

    def likeness(info: SnapshotInfo) -> tuple[bool, int]:
        return info.python.startswith(f"{series}."), len(there.intersection(_ROW.findall(_split(info.name)[1])))

    return max(shipped(), key=likeness)


def preloaded_in(info: SnapshotInfo) -> Mapping[str, list[str]]:
    """Return the modules that are loaded before the first cell there, each with the distributions that own it."""
    found: dict[str, list[str]] = _head(info.name)["preloaded"]
    return found


@functools.cache
def _split(name: str) -> tuple[str, str]:
    """Return the text of a snapshot before its distributions, and from there on."""
    head, _, rows = read(place(name)).partition(_ROWS)
    return head.rstrip().removesuffix(","), rows


@functools.cache
def _head(name: str) -> dict[str, Any]:
    """Return everything of a snapshot but its distributions, which take most of the time to read."""
    head: dict[str, Any] = json.loads(f"{_split(name)[0]}\n}}")
    return head


@functools.cache
def _info(name: str) -> SnapshotInfo:
    head = _head(name)
    return SnapshotInfo(
        name=name,
        python=head["environment"]["python_full_version"],
        machine=head["environment"]["platform_machine"],
        glibc=head["glibc"],
        glibc_inferred=head.get("glibc-inferred", ""),
        accelerator=head["accelerator"],
        taken=head["taken"],
        distributions=_split(name)[1].count("\n  {"),
        unknown=len(head["unknown"]),
        certainty=head["certainty"],
        images=tuple(head["images"]),
    )
