"""Edits of ``packages`` in a kaggle-env.toml."""

from __future__ import annotations

from typing import TYPE_CHECKING

from packaging.utils import NormalizedName, canonicalize_name

from kpack.environment import arrays
from kpack.environment.edit import Edit, expect
from kpack.environment.errors import quoted, shown_path
from kpack.environment.read import parse
from kpack.environment.requirements import NotAPackageError, package
from kpack.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from kpack.environment.model import Environment, Package


def add_packages(text: str, path: Path, entries: Sequence[str]) -> Edit:
    """Return ``text``, the content of the file at ``path``, with ``entries`` among its ``packages``.

    An entry whose name is there already takes the place of the old one, unless it is a bare name or path.

    Raises:
        UsageError: the file has mistakes, or an entry cannot be read.

    """
    environment = parse(text, path)
    wanted = [_read(entry) for entry in entries]
    edit = Edit(text)
    held = [entry.text for entry in environment.packages]
    for new in wanted:
        places = [number for number, old in enumerate(held) if _same(package(old), new)]
        if not places:
            held.append(new.text)
            edit.added.append(new.text)
        elif len(places) > 1:
            raise UsageError(
                f"{quoted(new.text)} would take the place of {', '.join(quoted(held[place]) for place in places)}",
                where=shown_path(path),
                next="edit the file, or `kpack remove` the name first",
            )
        elif held[places[0]] == new.text or _is_bare(new):
            edit.unchanged.append(new.text)
        else:
            edit.changed.append((held[places[0]], new.text))
            held[places[0]] = new.text

    if edit.added or edit.changed:
        before = [entry.text for entry in environment.packages]
        changes = {number: new for number, (old, new) in enumerate(zip(before, held, strict=False)) if old != new}
        edit.text = arrays.edited(text, "packages", changes=changes, more=held[len(before) :])
        expect(edit.text, environment, packages=held)
    return edit


def remove_packages(text: str, path: Path, names: Sequence[str]) -> Edit:
    """Return ``text``, the content of the file at ``path``, without the ``packages`` of these names or paths.

    Raises:
        UsageError: the file has mistakes, or does not have one of the names.

    """
    environment = parse(text, path)
    edit = Edit(text)
    gone: set[int] = set()
    for name in names:
        wanted = _read(name)
        places = [
            number
            for number, old in enumerate(environment.packages)
            if _key(old) == _key(wanted) and (wanted.requirement is None) == (old.requirement is None)
        ]
        if not places:
            raise _not_there(name, environment, path)
        gone.update(places)
    edit.removed = [environment.packages[number].text for number in sorted(gone)]

    if gone:
        edit.text = arrays.edited(text, "packages", gone=gone)
        left = [entry.text for number, entry in enumerate(environment.packages) if number not in gone]
        expect(edit.text, environment, packages=left)
    return edit


def name_of(entry: str) -> str | None:
    """Return the name of what an entry asks of an index; None for a URL or a path."""
    requirement = _read(entry).requirement
    return requirement.name if requirement is not None and requirement.url is None else None


def _read(entry: str) -> Package:
    try:
        return package(entry.strip())
    except NotAPackageError as error:
        raise UsageError(error.what, next=error.advice) from error


def _key(entry: Package) -> NormalizedName | str:
    return canonicalize_name(entry.requirement.name) if entry.requirement else (entry.path or "").rstrip("/")


def _same(old: Package, new: Package) -> bool:
    """Tell whether ``new`` asks for what ``old`` asks for: by name and, where both have one, by marker."""
    if _key(old) != _key(new) or (old.requirement is None) != (new.requirement is None):
        return False
    before = old.requirement.marker if old.requirement else None
    after = new.requirement.marker if new.requirement else None
    return before is None or after is None or str(before) == str(after)


def _is_bare(entry: Package) -> bool:
    """Tell whether an entry is a name or a path and nothing more."""
    requirement = entry.requirement
    if entry.extras or entry.hashes:
        return False
    return requirement is None or str(requirement) == requirement.name


def _not_there(name: str, environment: Environment, path: Path) -> UsageError:
    import difflib

    known = [str(_key(one)) for one in environment.packages]
    near = difflib.get_close_matches(name.lower(), known, n=1)
    checkpoints = [one.path or one.urls[0] for one in environment.checkpoints]
    if near:
        advice = f"did you mean {quoted(near[0])}?"
    elif name in checkpoints:
        advice = f"it is a checkpoint: kpack remove --checkpoint {name}"
    else:
        advice = f"packages has: {', '.join(known)}" if known else "packages is empty"
    return UsageError(f"{quoted(name)} is not in packages", where=shown_path(path), next=advice)
