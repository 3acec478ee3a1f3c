"""``===`` compares texts (PEP 440): ``===2.10.0`` is not met by ``2.10.0+cu128``, nor ``===1.0`` by ``1.0.0``."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from kpack.resolve.amendment import listed
from kpack.resolve.trial import Refusal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kpack.environment import Environment, Package
    from kpack.resolve.trial import Trials
    from kpack.resolve.wire import Obstacle
    from kpack.target import Target


def words(trials: Trials, environment: Environment, targets: Sequence[Target], obstacles: Sequence[Obstacle]) -> str:
    """Return the requests of ``obstacles`` with ``==`` in place of ``===``, if that has an answer; or nothing."""
    texts = {each.request for each in obstacles if "===" in each.requirement} - {""}
    packages = tuple(_compared(package) if package.text in texts else package for package in environment.packages)
    changed = [after for before, after in zip(environment.packages, packages, strict=True) if before != after]
    asked = replace(environment, packages=packages)
    if not changed or any(isinstance(trials.outcome(asked, target), Refusal) for target in targets):
        return ""
    quoted = listed(f'"{package.text}"' for package in changed)
    return f"write {quoted} in packages: === compares the texts of versions, == the versions"


def _compared(package: Package) -> Package:
    """Return the request with every ``===V`` as ``==V``."""
    if package.requirement is None or not any(each.operator == "===" for each in package.requirement.specifier):
        return package
    plain = Requirement(str(package.requirement))
    plain.specifier = SpecifierSet(str(plain.specifier).replace("===", "=="))
    return replace(package, text=str(plain), requirement=plain)
