"""What is found out about the native code of a pack, and how it is said."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from packaging.utils import NormalizedName

_LISTED = 5
"""Names in one sentence."""


class Certainty(StrEnum):
    """How far a finding means that a package does not work."""

    SURE = "sure"
    """None of the package's extension modules can be loaded."""
    LIKELY = "likely"
    """A part that is imported cannot be loaded, or two builds hardly go together."""
    ON_DEMAND = "on demand"
    """Only what is loaded when somebody asks for it: a plug-in, a provider, a program."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Misfit:
    """One thing that files of one package want and an image does not have."""

    package: NormalizedName
    version: str
    image: str
    """What has it not; the target's label where no image is named."""
    files: tuple[str, ...]
    """Paths in the wheel; none for what its name says."""
    verb: str
    """``needs``, ``is built for``, …"""
    wants: str
    """``libcudart.so.13``, ``GLIBC 2.38``, ``torch 2.9``, …"""
    has: str
    """What there is instead: ``libcudart.so.12``, ``no libgl1``, ``torch 2.10.0+cu128``."""
    certainty: Certainty
    unless: str = ""
    """A folder outside of the environment that the file searches, too: what it has nobody knows."""
    next: str = ""
    """What to write instead; empty where nothing is known to help."""
    apt: str = ""
    """The system package that would bring what is wanted; empty where none is known."""
    allowed: bool = False
    """`allow-native` names the package: it is told, and stops nothing."""
    other: bool = False
    """It is a library of NVIDIA's of which the image has another version: the file is built for another CUDA."""
    sibling: str = ""
    """What a distribution of the same project for that image would be called; there may be none."""

    @property
    def stops(self) -> bool:
        """Tell whether it is an error."""
        return self.certainty is Certainty.SURE and not self.allowed

    def to_dict(self) -> dict[str, object]:
        """Return the row of ``--json``."""
        return {
            "package": self.package,
            "version": self.version,
            "image": self.image,
            "file": self.files[0] if self.files else "",
            "files": len(self.files),
            "wants": self.wants,
            "has": self.has,
            "sure": self.certainty is Certainty.SURE,
            "certainty": str(self.certainty),
            "allowed": self.allowed,
            "next": _advice([self]),
        }


@dataclass(frozen=True, slots=True)
class NativeReport:
    """All that was found."""

    findings: tuple[Misfit, ...] = ()
    unknown: tuple[str, ...] = ()
    """What nobody can say, a sentence for each image."""

    @property
    def stopping(self) -> tuple[Misfit, ...]:
        """What is an error."""
        return tuple(item for item in self.findings if item.stops)

    @property
    def mismatched(self) -> tuple[Misfit, ...]:
        """What stops nothing and is of another build than the image's, so that another version may fit better."""
        kinds = (item for item in self.findings if item.certainty is Certainty.LIKELY or item.other)
        return tuple(item for item in kinds if not item.stops and not item.allowed)

    def advised(self, words: Mapping[NormalizedName, str]) -> NativeReport:
        """Return the same with what to write instead for packages of `mismatched`."""
        kinds = frozenset(self.mismatched)
        found = (
            replace(item, next=words[item.package]) if item in kinds and item.package in words else item
            for item in self.findings
        )
        return replace(self, findings=tuple(found))

    @property
    def notes(self) -> tuple[str, ...]:
        """What is to be said and stops nothing."""
        return (*_told(item for item in self.findings if not item.stops), *self.unknown)

    @property
    def all(self) -> tuple[str, ...]:
        """What is to be said where nothing is stopped."""
        return (*_told(self.findings), *self.unknown)


def _told(findings: Iterable[Misfit]) -> Iterator[str]:
    return (f"{said} → {advice}" if advice else said for said, advice in sentences(findings))


def sentences(findings: Iterable[Misfit]) -> list[tuple[str, str]]:
    """Return a sentence for each package, and what to write instead: it may lack several things for one reason."""
    groups: dict[tuple[object, ...], list[Misfit]] = {}
    for item in findings:
        groups.setdefault((item.package, item.image, item.certainty, item.verb), []).append(item)
    return [(_sentence(group), _advice(group)) for group in groups.values()]


def _advice(group: Sequence[Misfit]) -> str:
    """Return what to write instead: all system packages at once, or else what the first one says."""
    other = next((item.next for item in group if item.next), "")
    packages = ", ".join(f'"{name}"' for name in sorted({item.apt for item in group if item.apt}))
    return " or ".join(filter(None, (packages and f"write apt = [{packages}] in kaggle-env.toml,", other)))


def _sentence(group: Sequence[Misfit]) -> str:
    first = group[0]
    files = tuple(dict.fromkeys(file for item in group for file in item.files))
    who, verb = (f"{files[0]} " if files else ""), first.verb
    if len(files) > 1:
        who = f"{files[0]} and {len(files) - 1} more "
        start, _, rest = verb.partition(" ")
        verb = " ".join(filter(None, ({"is": "are", "has": "have"}.get(start, start.removesuffix("s")), rest)))
    wants = _listed(item.wants for item in group)
    has = _listed(item.has for item in group)
    end = {
        Certainty.SURE: "it cannot be imported there",
        Certainty.LIKELY: "it will likely not work there",
        Certainty.ON_DEMAND: "that matters only to who uses this part",
    }[first.certainty]
    meets = f"; {first.image} has {has}" if has else ""
    unless = f" (unless it lies in {first.unless}, which the file names)" if first.unless else ""
    return f"{first.package} {first.version}: {who}{verb} {wants}{meets}{unless}: {end}"


def _listed(items: Iterable[str]) -> str:
    found = [item for item in dict.fromkeys(items) if item]
    more = f" and {len(found) - _LISTED} more" if len(found) > _LISTED else ""
    return ", ".join(found[:_LISTED]) + more
