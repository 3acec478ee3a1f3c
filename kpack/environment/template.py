"""The kaggle-env.toml that `kpack init` writes: short, commented, ready to be edited."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kpack.environment.schema import FILE_NAME as SCHEMA

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_TEXT = """\
#:schema ./{schema}
# What this notebook needs. `kpack lock` compiles it, `kpack build` packs it, one pasted line restores it offline.

name = {name}  # the pack becomes dist/{plain}.kpack.bin

# The kernel's image: what is in it is used and never packed. `kpack probe --list` shows the known images, `kpack probe`
# prints a cell that records your own; a list of images makes one pack for all. Without one: python = "3.12"
{kernel}

# Requirements as pip takes them, direct URLs ("name @ https://…"), local folders and wheels ("./fork").
packages = [
{packages}]

{exclude}# more that the kernel has already
{replace}# packages of the image that the pack may bring in another version
{more}# exclude-newer = 2026-11-01         # the index as of that day
# allow-source = ["name"]            # packages whose source distribution may be built

# A model file that travels with the packages; `kpack add --checkpoint URL` writes such a table.
# [[checkpoints]]
# url = "https://…/model.ckpt"
# sha256 = "…"                       # without it, the first lock records it
# path = "checkpoints/model.ckpt"    # relative to /kaggle/tmp in the kernel
"""
_COLUMN = 37
"""Where the comments behind a key begin."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointEntry:
    """A ``[[checkpoints]]`` table to be written."""

    url: str
    path: str | None = None
    sha256: str | None = None
    include: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexEntry:
    """An ``[[indexes]]`` table to be written."""

    name: str
    url: str
    packages: tuple[str, ...]
    links: bool = False
    """Whether the URL is a flat page of links."""


def render(
    name: str,
    *,
    bases: Sequence[str] = (),
    python: str = "",
    packages: Sequence[str] = (),
    exclude: Sequence[str] = (),
    replace: Sequence[str] = (),
    no_deps: Sequence[str] = (),
    checkpoints: Sequence[CheckpointEntry] = (),
    indexes: Sequence[IndexEntry] = (),
    env: Mapping[str, str] | None = None,
    link: bool = False,
) -> str:
    """Return the text of a new file; it has ``python`` when ``bases`` is empty.

    With ``link`` the working folder gets links to checkpoints with a relative path.
    """
    kernel = f'python = "{python}"'
    if bases:
        kernel = f"base = {_quoted(bases[0])}" if len(bases) == 1 else f"base = {_list(bases)}"
    text = _TEXT.format(
        schema=SCHEMA,
        name=_quoted(name),
        plain=name,
        kernel=kernel,
        packages="".join(f"    {_quoted(entry)},\n" for entry in packages),
        exclude=_key("exclude", exclude, '["nvidia-*"]'),
        replace=_key("replace", replace, '["tokenizers"]'),
        more=f"no-deps = {_list(no_deps)}\n" if no_deps else "",
    )
    linked = "\n[restore]\nlink = true  # a relative path finds its file from the working folder, too\n" if link else ""
    return text + linked + tables(checkpoints=checkpoints, indexes=indexes, env=env or {})


def tables(
    *,
    checkpoints: Sequence[CheckpointEntry] = (),
    indexes: Sequence[IndexEntry] = (),
    env: Mapping[str, str] | None = None,
) -> str:
    """Return the tables that stand below the keys of the top, each with an empty line before it."""
    written = []
    for index in indexes:
        rows = [f"name = {_quoted(index.name)}", f"url = {_quoted(index.url)}"]
        rows += ['format = "links"'] if index.links else []
        written.append(["[[indexes]]", *rows, f"packages = {_list(index.packages)}"])
    for checkpoint in checkpoints:
        values = {"url": checkpoint.url, "sha256": checkpoint.sha256, "path": checkpoint.path}
        rows = [f"{key} = {_quoted(value)}" for key, value in values.items() if value is not None]
        rows += [f"include = {_list(checkpoint.include)}"] if checkpoint.include else []
        written.append(["[[checkpoints]]", *rows])
    if env:
        written.append(["[restore.env]", *(f"{key} = {_quoted(value)}" for key, value in env.items())])
    return "".join("\n" + "".join(f"{row}\n" for row in table) for table in written)


def pack_name(text: str) -> str:
    """Return the nearest valid ``name`` to ``text`` (a folder's name, a notebook's title)."""
    plain = re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip("-.")[:40].rstrip("-.")
    return plain or "environment"


def _key(key: str, values: Sequence[str], example: str) -> str:
    return (f"{key} = {_list(values)}  " if values else f"# {key} = {example}").ljust(_COLUMN)


def _list(values: Sequence[str]) -> str:
    return f"[{', '.join(map(_quoted, values))}]"


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
