"""The bytes of an input, as text."""

from __future__ import annotations

import codecs
import re
from typing import TYPE_CHECKING

from kpack.environment.errors import shown_path
from kpack.errors import MachineError, UsageError
from kpack.files import OddFileError, read_bounded

if TYPE_CHECKING:
    from pathlib import Path

LARGEST = 32 << 20
"""Bytes of the largest input that is read."""

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, with whose mark it begins
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_CODING = re.compile(rb"[ \t\f]*#.*?coding[:=][ \t]*([-\w.]+)")
_OF_HOSTS = frozenset({"idna", "punycode"})
"""Encodings of names of hosts: to decode a file by them takes the square of its length."""


def _decoded(data: bytes) -> str:
    """Return text in the encoding that a byte order mark says (PowerShell's ``>`` writes UTF-16), or a line (PEP 263).

    Raises UnicodeError when it is not in it.
    """
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return data.decode(encoding)
    for line in data.split(b"\n", 2)[:2]:
        found = _CODING.match(line)
        if found:
            try:
                name = codecs.lookup(found[1].decode("ascii")).name
                return data.decode("utf-8" if name in _OF_HOSTS else name)
            except LookupError:
                break  # Python has no such encoding of text
    return data.decode("utf-8")


def read(path: Path) -> str:
    """Return the text of an input, as pip and Python decode it.

    Raises:
        UsageError: it is not there, is no plain file, is larger than `LARGEST`, or is not in its encoding, UTF-8 when
            it names none.
        MachineError: it cannot be read.

    """
    try:
        return _decoded(read_bounded(path, LARGEST))
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        named = "UTF-8" if error.encoding == "utf-8" else f"{error.encoding}, which it says it is"
        raise UsageError(
            f"is not {named}", where=f"{shown_path(path)}:{line}", next="save the file as UTF-8"
        ) from error
    except UnicodeError as error:  # of an encoding that is none for files
        raise UsageError(f"cannot be decoded: {error}", where=shown_path(path), next="save it as UTF-8") from error
    except OddFileError as error:
        which = "a file in it" if path.is_dir() else "a file without its outputs"
        raise UsageError(str(error), where=shown_path(path), next=f"name {which}") from error
    except (FileNotFoundError, NotADirectoryError) as error:
        raise UsageError("there is no such file", where=shown_path(path), next="check the path") from error
    except OSError as error:
        raise MachineError(f"cannot be read: {error.strerror}", where=shown_path(path)) from error
