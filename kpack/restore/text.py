"""Text that every reader must take apart in the same way."""

from __future__ import annotations

import re

_BREAKS = re.compile("[\x0b\x0c\x1c-\x1e\x85\u2028\u2029]|\r(?!\n)")


def broken_lines(text: str) -> bool:
    """Tell whether `str.splitlines` breaks lines where readers that go by line feeds do not."""
    return _BREAKS.search(text) is not None
