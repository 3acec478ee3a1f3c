"""One index on loopback, one kernel, one question: what the scenario tests are written in."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from packaging.utils import NormalizedName, canonicalize_name
from packaging.version import Version

from kpack.base import BaseDistribution, BaseImage
from kpack.environment import Environment, Exclusion
from kpack.environment.requirements import package
from kpack.resolve import resolve
from kpack.target import targets
from tests.support.wheels import make_wheel

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    from kpack.environment import Index
    from kpack.resolve.model import Resolution, TargetResolution
    from tests.support.index import IndexServer


def base_image(distributions: Mapping[str, Any], *, python: str = "3.12.13", name: str = "kernel") -> BaseImage:
    """Return a base image from ``{"torch": "2.10.0+cu128"}``."""
    found: dict[NormalizedName, BaseDistribution] = {}
    for key, value in distributions.items():
        normal = canonicalize_name(key)
        found[normal] = (
            value if isinstance(value, BaseDistribution) else BaseDistribution(name=normal, version=Version(value))
        )
    return BaseImage(
        name=name,
        python_full_version=python,
        machine="x86_64",
        glibc=(2, 35),
        environment={},
        distributions=found,
        preloaded=(),
        certainty="made up",
        fingerprint="0" * 64,
    )


def known(name: str, version: str, requires: Sequence[str] = (), extras: Sequence[str] = ()) -> BaseDistribution:
    """Return a base distribution whose Requires-Dist the snapshot knows."""
    return BaseDistribution(
        name=canonicalize_name(name),
        version=Version(version),
        requires_dist=tuple(requires),
        provides_extra=tuple(extras),
    )


@dataclass
class Scenario:
    """A folder, an index and what was served on it."""

    folder: Path
    index: IndexServer
    cache: Path | None = None
    more: dict[str, Any] = field(default_factory=dict)

    def wheel(self, name: str, version: str = "1.0", *requires: str, **facts: Any) -> Path:
        """Serve a wheel; ``facts`` are those of the served file (upload_time, yanked, …) and of the wheel."""
        served: dict[str, Any] = {key: facts.pop(key) for key in ("upload_time", "yanked", "sha256") if key in facts}
        if "requires_python" in facts:
            served["requires_python"] = facts["requires_python"]
        index = facts.pop("index", self.index)
        return index.add(make_wheel(self.folder / "wheels", name, version, requires=requires, **facts), **served)  # type: ignore[no-any-return]

    def environment(
        self,
        *packages: str,
        exclude: Sequence[str] = (),
        replace: Sequence[str] = (),
        allow_source: Sequence[str] = (),
        allow_broken: Sequence[str] = (),
        no_deps: Sequence[str] = (),
        no_build_isolation: Sequence[str] = (),
        substitute: Mapping[str, str] | None = None,
        exclude_newer: datetime | None = None,
        indexes: Sequence[Index] = (),
        python: str | None = None,
    ) -> Environment:
        """Return the value of a file with these packages."""
        return Environment(
            path=self.folder / "kaggle-env.toml",
            name="scenario",
            bases=() if python else ("kernel",),
            python=python,
            packages=tuple(package(text) for text in packages),
            exclude=tuple(_exclusion(text) for text in exclude),
            replace=tuple(canonicalize_name(name) for name in replace),
            allow_source=tuple(canonicalize_name(name) for name in allow_source),
            allow_broken=tuple(canonicalize_name(name) for name in allow_broken),
            no_deps=tuple(canonicalize_name(name) for name in no_deps),
            no_build_isolation=tuple(canonicalize_name(name) for name in no_build_isolation),
            substitute={canonicalize_name(a): canonicalize_name(b) for a, b in (substitute or {}).items()},
            exclude_newer=exclude_newer,
            indexes=tuple(indexes),
        )

    def resolve(
        self,
        environment: Environment,
        *bases: BaseImage,
        **more: Any,
    ) -> Resolution:
        """Resolve against this index."""
        more.setdefault("cache_dir", self.cache)
        return resolve(environment, targets(environment, bases), index_url=self.index.url, **more)

    def lock(
        self,
        *packages: str,
        base: Mapping[str, Any] | None = None,
        pins: Mapping[str, str] | None = None,
        upgrade: bool | frozenset[NormalizedName] = False,
        full_version: str = "3.12.13",
        **options: Any,
    ) -> TargetResolution:
        """Resolve for one target: CPython 3.12 with ``base``, or what ``python`` says without one."""
        environment = self.environment(*packages, **options)
        bases = () if environment.python else (base_image(base or {}, python=full_version),)
        label = f"python-{environment.python}" if environment.python else "kernel"
        old = {label: {canonicalize_name(name): Version(version) for name, version in (pins or {}).items()}}
        return self.resolve(environment, *bases, pins=old, upgrade=upgrade).targets[0]


def packed(resolution: TargetResolution) -> dict[str, str]:
    """Return name and version of what is packed."""
    return {pin.name: str(pin.version) for pin in resolution.packed}


def from_base(resolution: TargetResolution) -> dict[str, str]:
    """Return name and version of what the kernel gives."""
    return {use.name: str(use.version) for use in resolution.from_base}


def _exclusion(text: str) -> Exclusion:
    name, _, version = text.partition("==")
    return Exclusion(pattern=name, version=version or None)
