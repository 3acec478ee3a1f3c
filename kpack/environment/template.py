"""The kaggle-env.toml that `kpack init` writes: short, commented, ready to be edited."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_TEXT = """\
# What this notebook needs. `kpack lock` compiles it, `kpack build` packs it, one pasted line restores it offline.

name = {name}  # the pack becomes dist/{plain}.kpack.bin

# The kernel's image: what is in it is used and never packed. `kpack probe --list` shows the known images, `kpack probe`
# prints a cell that records your own; a list of images makes one pack for all. Without one: python = "3.12"
{kernel}

# Requirements as pip takes them, direct URLs ("name @ https://…"), local folders and wheels ("./fork").
packages = [
{packages}]

# exclude = ["nvidia-*"]             # more that the kernel has already
# replace = ["tokenizers"]           # packages of the image that the pack may bring in another version
# exclude-newer = 2026-11-01         # the index as of that day
# allow-source = ["name"]            # packages whose source distribution may be built

# A model file that travels with the packages; `kpack add --checkpoint URL` writes such a table.
# [[checkpoints]]
# url = "https://…/model.ckpt"
# sha256 = "…"                       # without it, the first lock records it
# path = "checkpoints/model.ckpt"    # relative to /kaggle/tmp in the kernel
"""


def render(name: str, *, bases: Sequence[str] = (), python: str = "", packages: Sequence[str] = ()) -> str:
    """Return the text of a new file; it has ``python`` when ``bases`` is empty."""
    kernel = f'python = "{python}"'
    if bases:
        kernel = f"base = {_quoted(bases[0])}" if len(bases) == 1 else f"base = [{', '.join(map(_quoted, bases))}]"
    return _TEXT.format(
        name=_quoted(name),
        plain=name,
        kernel=kernel,
        packages="".join(f"    {_quoted(entry)},\n" for entry in packages),
    )


def pack_name(text: str) -> str:
    """Return the nearest valid ``name`` to ``text`` (a folder's name, a notebook's title)."""
    plain = re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip("-.")[:40].rstrip("-.")
    return plain or "environment"


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
