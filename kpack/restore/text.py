"""Text that every reader must take apart in the same way."""

from __future__ import annotations

import re

_BREAKS = "\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029"
_RETURN = re.compile("\r(?!\n)")


def broken_lines(text: str) -> bool:
    """Tell whether `str.splitlines` breaks lines where readers that go by line feeds do not."""
    # Each is looked for on its own, which takes a fraction of what a set of characters does.
    return any(char in text for char in _BREAKS) or ("\r" in text and _RETURN.search(text) is not None)
