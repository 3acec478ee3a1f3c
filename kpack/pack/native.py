"""The native code of what is packed, target by target, against the images."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name, parse_wheel_filename

from kpack.native import (
    AddedPackages,
    NativeReport,
    NativeWheel,
    judge,
    names,
    of_image,
    of_platform,
    sentences,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from packaging.utils import NormalizedName

    from kpack.base import BaseImage
    from kpack.errors import KpackError
    from kpack.native import Misfit
    from kpack.native.elf import SharedObject
    from kpack.restore.manifest import PackedDistribution, PackTarget


def report(
    targets: Iterable[PackTarget],
    objects: Mapping[str, tuple[SharedObject, ...]],
    images: Mapping[str, BaseImage],
    allowed: Collection[str] = (),
    accelerator: str | None = None,
    debs: Mapping[str, Iterable[str]] = MappingProxyType({}),
) -> NativeReport:
    """Judge the native code of every target.

    ``objects`` are those of the wheels that were read, by file name; the others are judged by their names. ``images``
    are the known ones by name. ``allowed`` are the packages of ``allow-native``,
    ``accelerator`` is the GPU that kaggle-env.toml names, ``debs`` the libraries of the system packages that were
    read, by member.
    """
    findings: dict[Misfit, None] = {}
    unknown: dict[str, None] = {}
    passed = frozenset(map(canonicalize_name, allowed))
    for target in targets:
        image = images.get(target.base or "")
        if image is not None:
            kernel = of_image(image, target.label, target.python, accelerator or "", _added(target, debs))
        else:
            kernel = of_platform(target.label, target.python, target.machine, target.glibc, accelerator or "")
        found = judge(kernel, [_wheel(item, objects) for item in target.distributions], passed)
        findings |= dict.fromkeys(found.findings)
        unknown |= dict.fromkeys(found.unknown)
    return NativeReport(tuple(findings), tuple(unknown))


def _added(target: PackTarget, debs: Mapping[str, Iterable[str]]) -> AddedPackages:
    return AddedPackages(
        {item.name: item.version for item in target.system},
        {library: item.name for item in target.system for library in debs.get(item.member, ())},
    )


def _wheel(item: PackedDistribution, objects: Mapping[str, tuple[SharedObject, ...]]) -> NativeWheel:
    filename = item.wheel.removeprefix("wheels/")
    name, version, _, tags = parse_wheel_filename(filename)
    pure = any(tag.platform == "any" for tag in tags)
    return NativeWheel(name, version, objects.get(filename, () if pure else None), names.is_for_several(tags))


def error(
    stopping: Collection[Misfit],
    kind: type[KpackError],
    where: str,
    instead: Mapping[NormalizedName, str] = MappingProxyType({}),
) -> KpackError:
    """Return the error that says what cannot work, all of it, and what to write: ``instead`` by name, as tried."""
    told = sentences(stopping)
    packages = ", ".join(f'"{name}"' for name in sorted({item.package for item in stopping}))
    if len(told) == 1:
        what = told[0][0]
    else:
        what = f"native code of {len(told)} packages does not fit:" + "".join(f"\n  {said}" for said, _ in told)
    advice = dict.fromkeys(text for _, text in told if text)
    allow = f"let it pass by allow-native = [{packages}] in kaggle-env.toml"
    tried = (text for name, text in instead.items() if any(item.package == name for item in stopping))
    return kind(what, where=where, next=", or ".join([*tried, *advice, allow]))
