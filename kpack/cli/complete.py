"""What a shell may complete besides commands, options and paths: images, and names that the project's files have.

A shell waits for each of these and shows no message: what cannot be read completes to nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kpack.errors import KpackError
from kpack.files import given_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    import click

    from kpack.project import Project

    Completer = Callable[[click.Context, click.Parameter, str], list[str]]


def images(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Complete the name of an image that kpack ships."""
    del ctx, param
    from kpack.base.shipped import names

    return _begun(names(), incomplete)


def of_file(*keys: str) -> Completer:
    """Return what completes the names that these lists of kaggle-env.toml have; ``packages`` without versions."""

    def complete(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
        del param
        return _begun((name for key in keys for name in _listed(_table(ctx), key)), incomplete)

    return complete


def of_tables(table: str, key: str) -> Completer:
    """Return what completes a key of an array of tables: ``checkpoints`` by ``path``."""

    def complete(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
        del param
        rows = _table(ctx).get(table, [])
        return _begun((str(row[key]) for row in rows if isinstance(row, dict) and key in row), incomplete)

    return complete


def packed(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Complete what the lock has pins of: packages, and checkpoints by their paths."""
    project = _project(ctx)
    found = _begun(_packed(project) if project is not None else (), incomplete)
    return [*found, *of_tables("checkpoints", "path")(ctx, param, incomplete)]


def known(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Complete what the file asks for, the lock packs, or an image has."""
    del param
    project = _project(ctx)
    if project is None:
        return []
    found = {*_listed(_table(ctx), "packages"), *_packed(project)}
    try:
        found.update(str(name) for base in project.bases for name in base.distributions)
    except KpackError:
        return _begun(found, incomplete)
    return _begun(found, incomplete)


def _begun(words: Iterable[str], incomplete: str) -> list[str]:
    return sorted({word for word in words if word.startswith(incomplete)})


def _project(ctx: click.Context) -> Project | None:
    from kpack.project import Project

    try:
        return Project.find(ctx.find_root().params.get("config"))
    except KpackError:
        return None


def _table(ctx: click.Context) -> dict[str, Any]:
    """Return kaggle-env.toml as it stands, with whatever mistakes it has."""
    import tomllib

    project = _project(ctx)
    try:
        return tomllib.loads(given_text(project.config)) if project is not None else {}
    except (KpackError, ValueError):
        return {}


def _listed(table: dict[str, Any], key: str) -> Iterator[str]:
    values = table.get(key, [])
    for value in values if isinstance(values, list) else []:
        if isinstance(value, str):
            yield _named(value) if key == "packages" else value


def _named(entry: str) -> str:
    """Return the name of a package; a URL, a path, or what cannot be read as it stands."""
    from kpack.environment import edit_packages

    try:
        return edit_packages.name_of(entry) or entry
    except KpackError:
        return entry


def _packed(project: Project) -> set[str]:
    try:
        lock = project.lock
    except KpackError:
        return set()
    return {str(pin.name) for target in lock.targets for pin in target.packed} if lock is not None else set()
