"""Several files as one text, so that a fuzzer may change their names, their content and their number.

A line ``=== NAME`` begins a file. Archives are made of them anew each time, with right checksums: a fuzzer would
never find those.
"""

from __future__ import annotations

import base64
import hashlib
import io
import re
import warnings
import zipfile
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_HEAD = re.compile(rb"(?m)^=== (.*)\n")
_LONGEST = 20_000
"""Bytes of a name that is kept: an archive has room for 65,535, and each that is no UTF-8 becomes three."""
EPOCH = (2020, 2, 2, 0, 0, 0)


def join(files: Mapping[str, bytes]) -> bytes:
    """Return the text of ``files``, content by name; no content may have a line that begins a file."""
    return b"".join(b"=== " + name.encode() + b"\n" + content + b"\n" for name, content in files.items())


def split(text: bytes) -> list[tuple[str, bytes]]:
    """Return the files of a text that may be anything; a name may stand twice."""
    parts = _HEAD.split(text)
    names = [name[:_LONGEST].decode("utf-8", "replace") for name in parts[1::2]]
    return list(zip(names, (content.removesuffix(b"\n") for content in parts[2::2]), strict=True))


def wheel(files: list[tuple[str, bytes]]) -> bytes:
    """Return an archive of ``files``; a RECORD that is empty is filled in as it has to be."""
    rows = []
    for name, content in files:
        digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
        rows.append(f"{name},sha256={digest},{len(content)}" if not name.endswith("/RECORD") else f"{name},,")
    made = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(made, "w") as archive:
        warnings.simplefilter("ignore")  # of names that stand twice
        for number, (name, content) in enumerate(files):
            entry = zipfile.ZipInfo(name, EPOCH)
            entry.compress_type = zipfile.ZIP_DEFLATED if number % 2 else zipfile.ZIP_STORED
            entry.external_attr = 0o100644 << 16
            if name.endswith("/RECORD") and not content:
                content = ("\n".join(rows) + "\n").encode("utf-8", "surrogatepass")
            archive.writestr(entry, content)
    return made.getvalue()
