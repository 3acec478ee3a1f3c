"""From an `Environment` and a `Target` to the question that the worker is asked."""

from __future__ import annotations

import fnmatch
import os
import re
from typing import TYPE_CHECKING, NamedTuple

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from kpack import hosts
from kpack.errors import UsageError
from kpack.markers import counts
from kpack.resolve.wire import Asked, IndexAddress, Limit, Provided, Question, moment_of
from kpack.urls import at_commit, index_problem

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from packaging.utils import NormalizedName
    from packaging.version import Version

    from kpack.environment import Environment, Package
    from kpack.resolve.model import Source
    from kpack.resolve.wire import Unisolated
    from kpack.target import Target

_NAME = re.compile(r"\s*[A-Za-z0-9][A-Za-z0-9._-]*")


class Freedom(NamedTuple):
    """What a search for words may do beyond what kaggle-env.toml says."""

    opened: frozenset[NormalizedName]
    """Base distributions that may move."""
    counted: frozenset[NormalizedName]
    """Those among them whose own requirements count while they stay."""


class Allowance(NamedTuple):
    """How much is granted to words that are tried."""

    rounds: int
    """Of the resolver."""
    seconds: float


def question(
    environment: Environment,
    target: Target,
    *,
    pins: Mapping[NormalizedName, Version],
    sources: Mapping[NormalizedName, Source],
    cache_dir: Path | None,
    index_url: str | None,
    requires: Mapping[NormalizedName, tuple[str, ...]],
    unisolated: Unisolated | None = None,
    freedom: Freedom | None = None,
    allowance: Allowance | None = None,
) -> Question:
    """Return the worker's request for ``target``.

    ``sources`` are what the old lock's pins were made from: a branch stays at its commit. ``requires`` gives
    Requires-Dist of base packages as far as they are known and the resolution needs them. ``unisolated`` says with
    which interpreter the packages of ``no-build-isolation`` are built. ``freedom`` is that of a search for words; with
    ``allowance`` words are tried, and sources are read and not built.

    Raises:
        UsageError: an index URL names an environment variable that is not set.

    """
    opened = frozenset(environment.replace) if freedom is None else freedom.opened
    provided = tuple(_provided(environment, target, requires, opened, freedom.counted if freedom else opened))
    fixed = {item.name for item in provided if not item.opened}
    return Question(
        label=target.label,
        python_version=target.python_version,
        python_full_version=target.python_full_version,
        environment=dict(target.environment),
        tags=tuple(str(tag) for tag in target.tags),
        asked=tuple(_asked(environment, target, sources)),
        glibc_inferred=_inferred(target),
        provided=provided,
        limits=tuple(_limits(environment, target, provided)),
        pins={name: str(version) for name, version in sorted(pins.items()) if name not in fixed},
        allow_source=tuple(sorted({*environment.allow_source, *environment.no_build_isolation})),
        unisolated=unisolated,
        no_deps=tuple(sorted(environment.no_deps)),
        substitute={str(left): str(right) for left, right in sorted(environment.substitute.items())},
        exclude_newer=moment_of(environment.exclude_newer),
        indexes=address(environment, index_url),
        cache_dir=str(cache_dir) if cache_dir else "",
        **({"accelerator": "", "read_sources": True, **allowance._asdict()} if allowance else {}),
    )


def _inferred(target: Target) -> str:
    """Return the glibc that the base has by inference only, the empty string when there is no such."""
    found = target.base.glibc_inferred if target.base else None
    return ".".join(map(str, found)) if found and found > target.glibc else ""


def _asked(environment: Environment, target: Target, sources: Mapping[NormalizedName, Source]) -> list[Asked]:
    asked = []
    for package in environment.packages:
        requirement = package.requirement
        if requirement is None:
            asked.append(Asked(text=package.plain, line=_local(environment, package), hashes=package.hashes))
            continue
        if not applies(requirement, target):
            continue
        plain = Requirement(str(requirement))
        plain.marker = None
        held = sources.get(canonicalize_name(plain.name))
        if plain.url is None:
            plain.name = environment.substitute.get(canonicalize_name(plain.name), plain.name)
        elif held is not None and held.commit is not None:
            plain.url = at_commit(plain.url, held.url, held.revision, held.commit)
        asked.append(Asked(text=package.plain, line=str(plain), hashes=package.hashes))
    return asked


def applies(requirement: Requirement, target: Target) -> bool:
    """Tell whether a requirement of kaggle-env.toml is for this kernel, by its marker."""
    return counts(requirement, target.environment)


def _local(environment: Environment, package: Package) -> str:
    assert package.path is not None
    extras = f"[{','.join(package.extras)}]" if package.extras else ""
    return f"{(environment.path.parent / package.path).resolve().as_uri()}{extras}"


def _provided(
    environment: Environment,
    target: Target,
    requires: Mapping[NormalizedName, tuple[str, ...]],
    opened: frozenset[NormalizedName],
    counted: frozenset[NormalizedName],
) -> list[Provided]:
    """Return what the kernel has: the base, overlaid by the pins of ``exclude``."""
    # Who names a package in `packages` and in `replace` wants the newest; what moves along stays if it can.
    wanted = frozenset(environment.replace) & {
        canonicalize_name(package.requirement.name) for package in environment.packages if package.requirement
    }
    found = {}
    for name, item in (target.base.distributions if target.base else {}).items():
        found[str(name)] = Provided(
            name=name,
            version=str(item.version),
            requires_dist=requires.get(name, item.requires_dist),
            provides_extra=item.provides_extra,
            opened=name in opened,
            doubt=item.doubt,
            first=name in opened and name not in wanted,
            counts=name not in opened or name in counted,
        )
    for exclusion in environment.exclude:
        if exclusion.version is not None:
            name = canonicalize_name(exclusion.pattern)
            if name not in opened:
                found[name] = Provided(name=name, version=exclusion.version, by="exclude")
    return [found[name] for name in sorted(found)]


def _limits(environment: Environment, target: Target, provided: Sequence[Provided]) -> Iterator[Limit]:
    """Yield what base packages that stay ask of names that ``replace`` opens, as far as the base itself holds it."""
    opened = {item.name: item for item in provided if item.opened}
    if not opened:
        return
    broken = frozenset(environment.allow_broken)
    for item in provided:
        if item.opened or item.name in broken:
            continue
        for line in item.requires_dist or ():
            # Most of some ten thousand lines speak of other names: those are not worth parsing.
            named = _NAME.match(line)
            other = opened.get(canonicalize_name(named[0].strip())) if named else None
            if other is None:
                continue
            try:
                requirement = Requirement(line)
                said = counts(requirement, target.environment)
            except ValueError:
                continue  # the consistency pass reads it too, and speaks of it
            if requirement.url or not requirement.specifier or not said:
                continue
            if requirement.specifier.contains(other.version, prereleases=True):
                yield Limit(by=f"{item.name} {item.version}", requirement=f"{other.name}{requirement.specifier}")


def exclusion(environment: Environment) -> Callable[[str], bool]:
    """Return what tells whether a bare name or pattern of ``exclude`` covers a name."""
    bare = [item.pattern for item in environment.exclude if item.version is None]
    whole = {pattern for pattern in bare if not {"*", "?"} & set(pattern)}
    wild = [pattern for pattern in bare if pattern not in whole]
    return lambda name: name in whole or any(fnmatch.fnmatchcase(name, pattern) for pattern in wild)


def _default() -> str:
    """Return what KPACK_INDEX_URL says, empty when it says nothing."""
    url = os.environ.get("KPACK_INDEX_URL", "")
    if not url or url.startswith("file:"):
        return url
    web = url.startswith(("https://", "http://")) and not any(map(str.isspace, url))
    problem = index_problem(url) if web else ("is not the URL of an index", "write https://host/simple")
    if problem is not None:
        what, advice = problem
        raise UsageError(f"its value {what}", where="KPACK_INDEX_URL", next=f"{advice}, or unset it")
    return url


def address(environment: Environment, index_url: str | None) -> tuple[IndexAddress, ...]:
    """Return the indexes, the default one first, with ``${NAME}`` in their URLs replaced and paths made absolute.

    Raises:
        UsageError: such a variable is not set, or ``KPACK_INDEX_URL`` is no URL of an index.
        MachineError: netrc or certificates are no files (`kpack.hosts.check_files`).

    """
    hosts.check_files()
    default = index_url or _default()
    folder = environment.path.parent
    more = (
        IndexAddress(url=index.location(folder), packages=index.owned(folder), shape=index.shape)
        for index in environment.indexes
    )
    return (IndexAddress(url=default), *more)
