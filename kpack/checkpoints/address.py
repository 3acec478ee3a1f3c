"""File names that carry a digest."""

from __future__ import annotations

import posixpath
import re
from urllib.parse import urlsplit

_DIGEST_IN_NAME = re.compile(r"-([0-9a-f]{8,64})\.")


def digest_in_name(url: str) -> str | None:
    """Return the start of a SHA-256 that a file name carries by the torch hub convention, ``name-c1212f89.ckpt``.

    A name whose digits could as well be a date or a number of steps (decimal only) says nothing.
    """
    match = _DIGEST_IN_NAME.search(posixpath.basename(urlsplit(url).path))
    return match[1] if match and not match[1].isdecimal() else None
