"""Whether a lock or a pack still fits an image, judged from outside as the kernel would judge it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import NormalizedName, canonicalize_name
from packaging.version import Version

from kpack.markers import OddMarker, counts
from kpack.restore import plan
from kpack.restore.drift import Drift, judge
from kpack.restore.errors import RestoreError
from kpack.restore.installed import Installed
from kpack.restore.manifest import Manifest
from kpack.restore.tags import Interpreter

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from kpack.base import BaseImage
    from kpack.restore.manifest import PackTarget


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What there is to say about a pack in an image."""

    base: str
    target: PackTarget | None
    """The one of the pack's targets that the kernel would take; None when none is for its interpreter."""
    drift: tuple[Drift, ...] = ()
    notes: tuple[str, ...] = ()
    misfit: str = ""
    """Why no target fits."""

    @property
    def fits(self) -> bool:
        """Tell whether the pack restores in that image and what it brings works with what is there."""
        return self.target is not None and not any(item.breaks for item in self.drift)


def against(targets: Sequence[PackTarget], base: BaseImage) -> Verdict:
    """Hold the targets of a lock or a pack against ``base``.

    The kernel's own code chooses the target and judges what it leans on; a distribution that the pack brings and the
    image has in another version breaks too, for the restore would stop at it.
    """
    there = {
        str(name): Installed(str(name), str(item.version), "") for name, item in sorted(base.distributions.items())
    }
    major, minor = map(int, base.python_full_version.split(".")[:2])
    interpreter = Interpreter((major, minor), f"cp{major}{minor}", base.machine, base.glibc)
    try:
        target = plan.choose_target(_manifest(targets), interpreter, there)
    except RestoreError as error:
        return Verdict(base=base.name, target=None, misfit=error.what)
    packed = {item.name for item in target.distributions}
    leans = [lean for lean in target.leans if lean.name not in packed and lean.name not in base.unknown]
    found = list(judge(leans, {name: item.version for name, item in there.items()}))
    sorted_ = plan.sort(target, there, set(), tolerant=True)
    found += [
        Drift(item.name, item.version, version, True, "the pack brings it, and the image has another version")
        for item, version in sorted_.kept
    ]
    return Verdict(
        base=base.name,
        target=target,
        drift=tuple(sorted(found, key=lambda item: item.name)),
        notes=tuple(_notes(target, base, [item.name for item in sorted_.present])),
    )


def _manifest(targets: Sequence[PackTarget]) -> Manifest:
    return Manifest(kpack="", name="", lock="", engine="", targets=tuple(targets), checkpoints=(), members=())


def _notes(target: PackTarget, base: BaseImage, present: Sequence[str]) -> Iterator[str]:
    if present:
        yield f"the image has these in the packed version already, they are left alone: {', '.join(present)}"
    for name in base.unknown:
        if name in {lean.name for lean in target.leans} | {item.name for item in target.distributions}:
            yield f"{name} is in the image in a version that the list does not know"
    for item in target.distributions:
        name = canonicalize_name(item.name)
        has = base.distributions.get(name)
        if item.replaces is not None and has is None:
            yield f"{name} {item.version} was to replace {item.replaces}, which the image does not have"
        elif item.replaces is not None and has is not None and str(has.version) != item.version:
            if name in base.preloaded_by:
                yield f"{name} is replaced, and the image imports it before the first cell"
            for owner, requirement in _requirements_on(base, name):
                if requirement.specifier.contains(has.version, prereleases=True) and not requirement.specifier.contains(
                    Version(item.version), prereleases=True
                ):
                    yield f"the image's {owner} needs {requirement}, and the pack brings {name} {item.version}"


def _requirements_on(base: BaseImage, name: NormalizedName) -> Iterator[tuple[str, Requirement]]:
    """Yield who in the image requires ``name``, as far as the snapshot knows, and in which words."""
    for owner, item in base.distributions.items():
        for line in item.requires_dist or ():
            try:
                requirement = Requirement(line)
            except InvalidRequirement:
                continue  # nothing that the image's own installer could have read either
            if canonicalize_name(requirement.name) != name or requirement.url:
                continue
            if _counts(requirement, base):
                requirement.marker = None
                yield f"{owner} {item.version}", requirement


def _counts(requirement: Requirement, base: BaseImage) -> bool:
    """Tell whether an image is asked for a requirement; for one whose marker nobody can judge it is not."""
    try:
        return counts(requirement, base.environment)
    except OddMarker:
        return False
