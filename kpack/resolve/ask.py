"""From an `Environment` and a `Target` to the question that the worker is asked."""

from __future__ import annotations

import fnmatch
import os
import re
from typing import TYPE_CHECKING

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from kpack.errors import UsageError
from kpack.resolve.worker.request import Asked, IndexAddress, Limit, Provided, WorkerRequest

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from packaging.utils import NormalizedName
    from packaging.version import Version

    from kpack.environment import Environment, Index, Package
    from kpack.target import Target

_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")

Pins = "Mapping[NormalizedName, Version]"


def question(
    environment: Environment,
    target: Target,
    *,
    pins: Mapping[NormalizedName, Version],
    cache_dir: Path | None,
    index_url: str | None,
    base_requires: Mapping[NormalizedName, tuple[str, ...]] | None = None,
) -> WorkerRequest:
    """Return the worker's request for ``target``.

    ``base_requires`` gives Requires-Dist of base packages whose snapshot has none.

    Raises:
        UsageError: an index URL names an environment variable that is not set.

    """
    provided = tuple(_provided(environment, target))
    default = index_url or os.environ.get("KPACK_INDEX_URL", "")
    return WorkerRequest(
        label=target.label,
        python_version=target.python_version,
        python_full_version=target.python_full_version,
        environment=dict(target.environment),
        tags=tuple(str(tag) for tag in target.tags),
        asked=tuple(_asked(environment, target)),
        provided=provided,
        limits=tuple(limits(environment, target, base_requires or {})),
        pins={str(name): str(version) for name, version in sorted(pins.items())},
        allow_source=tuple(sorted(environment.allow_source)),
        exclude_newer=environment.exclude_newer.strftime("%Y-%m-%dT%H:%M:%S") if environment.exclude_newer else None,
        indexes=(IndexAddress(url=default), *(_index(environment, index) for index in environment.indexes)),
        cache_dir=str(cache_dir) if cache_dir else "",
    )


def _asked(environment: Environment, target: Target) -> list[Asked]:
    asked = []
    for package in environment.packages:
        requirement = package.requirement
        if requirement is None:
            asked.append(Asked(text=package.text, line=_local(environment, package)))
            continue
        if requirement.marker is not None and not requirement.marker.evaluate({**target.environment, "extra": ""}):
            continue
        plain = Requirement(str(requirement))
        plain.marker = None
        if package.path is not None:
            extras = f"[{','.join(sorted(plain.extras))}]" if plain.extras else ""
            asked.append(Asked(text=package.text, line=f"{_local(environment, package)}{extras}"))
        else:
            asked.append(Asked(text=package.text, line=str(plain)))
    return asked


def _local(environment: Environment, package: Package) -> str:
    assert package.path is not None
    return str((environment.path.parent / package.path).resolve())


def _provided(environment: Environment, target: Target) -> list[Provided]:
    """Return what the kernel has: the base, overlaid by the pins of ``exclude``."""
    opened = frozenset(environment.replace)
    found = {
        str(name): Provided(
            name=str(name),
            version=str(distribution.version),
            requires_dist=distribution.requires_dist,
            provides_extra=distribution.provides_extra,
            opened=name in opened,
        )
        for name, distribution in (target.base.distributions if target.base else {}).items()
    }
    for exclusion in environment.exclude:
        if exclusion.version is not None:
            name = canonicalize_name(exclusion.pattern)
            if name not in opened:
                found[name] = Provided(name=name, version=exclusion.version, by="exclude")
    return [found[name] for name in sorted(found)]


def limits(
    environment: Environment, target: Target, base_requires: Mapping[NormalizedName, tuple[str, ...]]
) -> list[Limit]:
    """Return what base packages that stay ask of names that ``replace`` opens, as far as the base itself holds it."""
    if target.base is None or not environment.replace:
        return []
    opened = frozenset(environment.replace)
    broken = frozenset(environment.allow_broken)
    found = []
    for name, distribution in sorted(target.base.distributions.items()):
        if name in opened or name in broken:
            continue
        lines = distribution.requires_dist if distribution.requires_dist is not None else base_requires.get(name, ())
        for line in lines:
            if not any(str(other) in canonicalize_name(line) for other in opened):
                continue
            try:
                requirement = Requirement(line)
            except InvalidRequirement:
                continue  # the consistency pass names it
            other = canonicalize_name(requirement.name)
            has = target.base.distributions.get(other)
            if other not in opened or has is None or requirement.url or not requirement.specifier:
                continue
            if requirement.marker is not None and not requirement.marker.evaluate({**target.environment, "extra": ""}):
                continue
            if requirement.specifier.contains(has.version, prereleases=True):
                text = f"{other}{requirement.specifier}"
                found.append(Limit(by=f"{name} {distribution.version}", requirement=text))
    return found


def excluded(environment: Environment, name: str) -> bool:
    """Tell whether a bare name or pattern of ``exclude`` covers ``name``."""
    return any(item.version is None and fnmatch.fnmatchcase(name, item.pattern) for item in environment.exclude)


def _index(environment: Environment, index: Index) -> IndexAddress:
    """Return the address with ``${NAME}`` replaced from the process's environment, as pip does."""

    def value(match: re.Match[str]) -> str:
        found = os.environ.get(match[1])
        if found is None:
            raise UsageError(
                f"the URL of index {index.name!r} needs the environment variable {match[1]}, which is not set",
                where=environment.path.name,
                next=f"set it for this call: {match[1]}=... kpack lock",
            )
        return found

    return IndexAddress(url=_VARIABLE.sub(value, index.url), packages=tuple(index.packages))
