"""Edits of ``[[checkpoints]]`` in a kaggle-env.toml."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from kpack import hubs
from kpack.environment.checkpoints import normal_path
from kpack.environment.edit import Edit, by_hand, edited, expect
from kpack.environment.edit_tables import end, header, remove_table
from kpack.environment.errors import EnvironmentFileError, quoted, shown_path
from kpack.environment.read import parse
from kpack.environment.template import CheckpointEntry, tables
from kpack.environment.toml import loads
from kpack.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tomlkit import TOMLDocument


def add_checkpoint(
    text: str,
    path: Path,
    url: str,
    *,
    sha256: str | None = None,
    lands: str | None = None,
    include: Sequence[str] = (),
) -> Edit:
    """Return ``text``, the content of the file at ``path``, with one more ``[[checkpoints]]`` table.

    A page of the Hub becomes its ``hf://`` address.
    ``lands`` is its ``path``; without, it is ``checkpoints/`` and the file's name (``hf://`` needs none). A table
    with the same URL takes the new ``sha256``, ``path`` and ``include``.

    Raises:
        UsageError: the file has mistakes, or the new table has.

    """
    environment = parse(text, path)
    url = hubs.from_page(url)
    if lands is None and not url.startswith("hf://"):
        name = url.partition("?")[0].partition("#")[0].rstrip("/").removeprefix("file:").rpartition("/")[2]
        lands = f"checkpoints/{name}"
    given = {"sha256": sha256, "path": lands}
    values: dict[str, object] = {"url": url, **{key: value for key, value in given.items() if value is not None}}
    if include:
        values["include"] = list(include)
    place = next((number for number, one in enumerate(environment.checkpoints) if one.urls == (url,)), None)

    def change(document: TOMLDocument) -> None:
        import tomlkit

        if place is not None:
            table: Any = document["checkpoints"][place]
            table.update(values)
            return
        fresh = tomlkit.inline_table()
        fresh.update(values)
        document["checkpoints"].append(fresh)

    edit = Edit(text)
    count = len(environment.checkpoints)
    inline = "checkpoints" in loads(text) and not (count and header(text, "checkpoints", 0).startswith("[["))
    if place is None and not inline:
        edit.text = _one_more(text, CheckpointEntry(url=url, sha256=sha256, path=lands, include=tuple(include)), count)
    else:
        edit.text = edited(text, path, change)
    try:
        after = parse(edit.text, path).checkpoints
        expect(edit.text, environment, checkpoints=after)
        others = [one for number, one in enumerate(after) if number != (len(after) - 1 if place is None else place)]
        if others != [one for number, one in enumerate(environment.checkpoints) if number != place]:
            raise by_hand(path)
    except EnvironmentFileError as error:
        _, key, what, advice = error.mistakes[0]
        raise UsageError(
            f"{key.rpartition('.')[2]}: {what}", where=f"--checkpoint {quoted(url)}", next=advice
        ) from error
    if place is None:
        edit.added.append(url)
    elif after == environment.checkpoints:
        edit.text = text
        edit.unchanged.append(url)
    else:
        edit.changed.append((url, url))
    return edit


def remove_checkpoint(text: str, path: Path, which: str) -> Edit:
    """Return ``text``, the content of the file at ``path``, without the checkpoint of that path or URL.

    Raises:
        UsageError: the file has mistakes, or no such checkpoint.

    """
    environment = parse(text, path)
    which = hubs.from_page(which)
    try:
        lands: str | None = normal_path(which)
    except ValueError:
        lands = None
    places = [
        number
        for number, one in enumerate(environment.checkpoints)
        if which in one.urls or (lands is not None and lands == one.path)
    ]
    if not places:
        known = [one.path or one.urls[0] for one in environment.checkpoints]
        raise UsageError(
            f"there is no checkpoint {quoted(which)}",
            where=shown_path(path),
            next=f"known: {', '.join(quoted(one) for one in known)}"
            if known
            else "the file has none: kpack add --checkpoint URL",
        )
    edit = Edit(remove_table(text, path, places[0]), removed=[which])
    left = [one for place, one in enumerate(environment.checkpoints) if place != places[0]]
    expect(edit.text, environment, checkpoints=left)
    return edit


def _one_more(text: str, entry: CheckpointEntry, count: int) -> str:
    """Return ``text`` with one more [[checkpoints]] table, below the last of the ``count`` that are there.

    By lines, as `remove_table`: see there why.
    """
    newline = "\r\n" if "\r\n" in text else "\n"
    rows = re.split(r"(?<=\n)", text)
    below = end(text, "checkpoints", count - 1) if count else len(rows)
    head, tail = "".join(rows[:below]), "".join(rows[below:])
    start = "" if head.endswith("\n") or not head else newline
    return head + start + tables(checkpoints=[entry]).replace("\n", newline) + tail
