"""Edits of the ``[restore]`` table that leave comments, order and spelling of all else alone."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from kpack.environment.edit import Edit, by_hand, edited
from kpack.environment.read import parse

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tomlkit import TOMLDocument


def set_restore(text: str, path: Path, *, env: Mapping[str, str], link: bool = False) -> Edit:
    """Return ``text``, the content of the file at ``path``, with these variables, and with ``link`` when asked for.

    What ``env`` has in the file stays, but for these names.

    Raises:
        UsageError: the file has mistakes, or is written in a way that cannot be edited.

    """
    before = parse(text, path)
    wanted = replace(before.restore, env={**before.restore.env, **env}, link=before.restore.link or link)
    edit = Edit(text)
    if wanted == before.restore:
        return edit

    def change(document: TOMLDocument) -> None:
        import tomlkit

        if "restore" not in document:
            document["restore"] = tomlkit.table()
        table = document["restore"]
        if wanted.env != before.restore.env:
            if "env" not in table:
                table["env"] = tomlkit.inline_table()
            for name, value in env.items():
                table["env"][name] = value
        if wanted.link != before.restore.link:
            table["link"] = True

    edit.text = edited(text, path, change)
    if parse(edit.text, path) != replace(before, restore=wanted):
        raise by_hand(path)
    edit.added += [f"[restore] env {name}" for name in env if before.restore.env.get(name) != env[name]]
    edit.added += ["[restore] link"] if wanted.link != before.restore.link else []
    return edit
