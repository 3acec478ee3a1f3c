"""Changes of kaggle-env.toml that were tried: what they are, and in which words they are told."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from packaging.utils import NormalizedName

    from kpack.environment import Environment


@dataclass(frozen=True, slots=True)
class Amendment:
    """Names that three keys get beside those that they have, and versions that requests are held to."""

    replace: frozenset[NormalizedName] = frozenset()
    allow_broken: frozenset[NormalizedName] = frozenset()
    allow_source: frozenset[NormalizedName] = frozenset()
    packages: frozenset[tuple[NormalizedName, str]] = frozenset()
    """Names and versions."""

    def __bool__(self) -> bool:
        return bool(self.replace or self.allow_broken or self.allow_source or self.packages)

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys that get more names, those that `words` writes."""
        rows = (("replace", self.replace), ("allow-broken", self.allow_broken), ("allow-source", self.allow_source))
        return tuple(key for key, added in rows if added)

    def __or__(self, other: Amendment) -> Amendment:
        return Amendment(
            self.replace | other.replace,
            self.allow_broken | other.allow_broken,
            self.allow_source | other.allow_source,
            self.packages | other.packages,
        )

    def applied(self, environment: Environment) -> Environment:
        """Return ``environment`` as it is once the words are written."""
        for name, version in sorted(self.packages):
            environment = pinned(environment, name, version)
        return replace(
            environment,
            replace=_more(environment.replace, self.replace),
            allow_broken=_more(environment.allow_broken, self.allow_broken),
            allow_source=_more(environment.allow_source, self.allow_source),
        )

    def words(self, environment: Environment) -> str:
        """Return what is to be written: ``"a==1" in packages, replace = ["a", "b"] and allow-source = ["c"]``."""
        whole = self.applied(environment)
        rows = (
            ("replace", self.replace, whole.replace),
            ("allow-broken", self.allow_broken, whole.allow_broken),
            ("allow-source", self.allow_source, whole.allow_source),
        )
        lines = [f"{key} = [{', '.join(map(_quoted, names))}]" for key, added, names in rows if added]
        if self.packages:
            pins = listed(_quoted(f"{name}=={version}") for name, version in sorted(self.packages))
            lines.insert(0, f"{pins} in packages")
        return listed(lines)


def pinned(environment: Environment, name: NormalizedName, version: str) -> Environment:
    """Return ``environment`` with its requests for ``name`` held to ``version``, or with one more that does so."""
    line = Requirement(f"{name}=={version}")
    packages, known = [], False
    for package in environment.packages:
        requirement = package.requirement
        if requirement is not None and requirement.url is None and canonicalize_name(requirement.name) == name:
            held = Requirement(str(requirement))
            held.specifier = line.specifier
            package = replace(package, text=str(held), requirement=held)
            known = True
        packages.append(package)
    if not known:
        packages.append(replace(packages[0], text=str(line), requirement=line, path=None, extras=(), hashes=()))
    return replace(environment, packages=tuple(packages))


def _more(names: Collection[NormalizedName], added: Collection[NormalizedName]) -> tuple[NormalizedName, ...]:
    return tuple(sorted({*names, *added}))


def _quoted(name: str) -> str:
    return f'"{name}"'


def listed(items: Iterable[str]) -> str:
    """Return ``a, b and c``."""
    *most, last = items
    return f"{', '.join(most)} and {last}" if most else last
