"""The names in a kaggle-env.toml that speak of base packages, held against the bases."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

from kpack.environment import errors
from kpack.environment.errors import Mistake, quoted
from kpack.environment.read import read

if TYPE_CHECKING:
    from collections.abc import Collection

    from packaging.utils import NormalizedName

    from kpack.environment.model import Environment


def check(environment: Environment, known: Collection[NormalizedName]) -> None:
    """Refuse names in ``replace``, ``allow-broken`` and ``allow-preloaded`` that no base has.

    ``known`` are the names of all distributions of all bases. Without a base there is nothing to hold against.

    Raises:
        EnvironmentFileError: a name is in none of them.

    """
    if not environment.bases:
        return
    found = []
    keys = {
        "replace": environment.replace,
        "allow-broken": environment.allow_broken,
        "allow-preloaded": environment.allow_preloaded,
    }
    for key, names in keys.items():
        for number, name in enumerate(names):
            if name not in known:
                near = difflib.get_close_matches(name, known, 1, cutoff=0.75)
                bases = ", ".join(environment.bases)
                advice = (
                    f"did you mean {quoted(near[0])}?" if near else "remove it: what the base lacks is packed anyway"
                )
                found.append(Mistake(key=(key, number), what=f"{quoted(name)} is not in the base {bases}", next=advice))
    if found:
        raise errors.error(found, path=environment.path, text=read(environment.path))
