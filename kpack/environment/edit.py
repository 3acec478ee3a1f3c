"""Edits of a kaggle-env.toml that leave comments, order and spelling of all else alone.

What all of them share is here, and the edit of ``base``; packages, checkpoints, other lists, ``[restore]`` and tables
have modules of their own.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from kpack.environment.errors import shown_path
from kpack.environment.positions import lines
from kpack.environment.read import find, parse, read
from kpack.errors import UsageError
from kpack.files import open_regular, replacing

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tomlkit import TOMLDocument

    from kpack.environment.model import CheckpointRequest, Environment


@dataclass(slots=True)
class Edit:
    """The new text of a file, and what is different in it."""

    text: str
    added: list[str] = field(default_factory=list)
    changed: list[tuple[str, str]] = field(default_factory=list)
    """What stood there, and what stands there now."""
    removed: list[str] = field(default_factory=list)
    unchanged: list[str] = field(default_factory=list)
    """What was asked for and stands there already."""


def open_file(config: Path | None) -> tuple[Path, str]:
    """Return the path and the text of ``config``, or of the nearest kaggle-env.toml upwards.

    Raises:
        UsageError: there is none.
        MachineError: it cannot be read.

    """
    path = find(Path.cwd()) if config is None else config
    return path, read(path).removeprefix("\ufeff")


def save(path: Path, text: str) -> None:
    """Write the new text to ``path`` (where it leads, if it is a link).

    It keeps the permissions and the byte order mark that the file had.

    Raises:
        MachineError: it cannot be written.

    """
    real = path.resolve()
    with open_regular(real) as old:
        mark = "\ufeff" if old.read(3) == b"\xef\xbb\xbf" else ""
    with replacing(real, mode=real.stat().st_mode & 0o777) as stream:
        stream.write((mark + text).encode())


def set_base(text: str, path: Path, base: str) -> Edit:
    """Return ``text``, the content of the file at ``path``, with ``base`` as its only base image.

    It takes the place of other bases, or of ``python`` and ``platform``.

    Raises:
        UsageError: the file has mistakes, or is written in a way that cannot be edited.

    """
    environment = parse(text, path)
    edit = Edit(text)
    if environment.bases == (base,):
        edit.unchanged.append(base)
        return edit
    if environment.bases:

        def change(document: TOMLDocument) -> None:
            document["base"] = base

        edit.text = edited(text, path, change)
    else:
        found = lines(text)
        rows = re.split(r"(?<=\n)", text)
        place = found["python",] - 1
        rows[place], count = re.subn(
            r"""^(\s*)python(\s*=\s*)(?:"[^"]*"|'[^']*')""", lambda m: f'{m[1]}base{m[2]}"{base}"', rows[place]
        )
        if count != 1:
            raise by_hand(path)
        if ("platform",) in found:
            del rows[found["platform",] - 1]
        edit.text = "".join(rows)
    edit.changed.append((", ".join(environment.bases) or f"python {environment.python}", base))
    after = parse(edit.text, path)
    if after != replace(environment, bases=(base,), python=None, platform=after.platform):
        raise by_hand(path)
    return edit


def edited(text: str, path: Path, change: Callable[[TOMLDocument], None]) -> str:
    """Return ``text`` after ``change``, with the line ends that it had.

    Raises:
        UsageError: the file is written in a way that cannot be edited.

    """
    import tomlkit
    from tomlkit.exceptions import TOMLKitError

    windows = "\r\n" in text and "\n" not in text.replace("\r\n", "")
    try:
        document = tomlkit.parse(text.replace("\r\n", "\n") if windows else text)
        change(document)
        new = document.as_string()
    except TOMLKitError as error:
        raise by_hand(path) from error
    return new.replace("\n", "\r\n") if windows else new


def expect(
    text: str,
    before: Environment,
    *,
    packages: Sequence[str] | None = None,
    checkpoints: Sequence[CheckpointRequest] | None = None,
) -> None:
    """Refuse an edited text that says anything else than ``before`` with these packages, or these checkpoints.

    Raises:
        UsageError: it does.

    """
    after = parse(text, before.path)
    wanted = [entry.text for entry in before.packages] if packages is None else list(packages)
    held = before.checkpoints if checkpoints is None else tuple(checkpoints)
    if [entry.text for entry in after.packages] != wanted or replace(after, packages=()) != replace(
        before, packages=(), checkpoints=held
    ):
        raise by_hand(before.path)


def by_hand(path: Path) -> UsageError:
    """Return the error for a file that no edit could change as asked."""
    return UsageError(
        "the file is written in a way that kpack cannot edit", where=shown_path(path), next="edit it by hand"
    )
