"""The headers of METADATA, WHEEL and PKG-INFO, as the standard library's `email` reads them, which pip goes by.

`email` itself is not used: its import takes longer than all that a restore reads with it.
"""

from __future__ import annotations

import re
from typing import Dict, List, Optional

_END = re.compile(r"\n[\r\n]|\r\r")
"""An empty line: one more end of a line behind the end of a line, of which CR LF is one."""
_BEGIN = re.compile(r"([!-9;-~]*):[ \t]*")


def headers(text: str) -> Dict[str, List[str]]:
    """Return the headers by name in lower case, each with its values in the order of the text.

    Lines end with LF, CR LF or CR, and with nothing else. A line that begins with a space or tab belongs to the one
    before; a value keeps such ends of lines (as LF) and the spaces behind it. A line that is no header ends them, as an
    empty one does.
    """
    head = _END.split(text, maxsplit=1)[0]
    if "\r" in head:
        head = head.replace("\r\n", "\n").replace("\r", "\n")
    found: Dict[str, List[str]] = {}
    values: Optional[List[str]] = None
    for line in head.split("\n"):
        if line[:1] in (" ", "\t"):
            if values is not None:
                values[-1] += "\n" + line
            continue
        values = None
        if line.startswith("From "):  # the envelope of a mailbox
            continue
        begin = _BEGIN.match(line)
        if begin is None:
            break
        if begin[1]:
            values = found.setdefault(begin[1].lower(), [])
            values.append(line[begin.end() :])
    return found
