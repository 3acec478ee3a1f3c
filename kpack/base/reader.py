"""Foreign JSON, checked key by key: every complaint names the file and the key path."""

from __future__ import annotations

import gzip
import json
import posixpath
import re
import zlib
from typing import TYPE_CHECKING, Any

from packaging.utils import NormalizedName, canonicalize_name
from packaging.version import Version

from kpack.errors import MachineError, UsageError
from kpack.files import OddFileError, open_regular

if TYPE_CHECKING:
    from pathlib import Path

LARGEST = 32 << 20
"""Bytes of the largest file that is read; the probe of an image with 930 distributions has about 1 MB."""

LONGEST = 1 << 14
"""Characters of the longest string."""

MOST = 20_000
"""Items of the longest list, and keys of the largest object."""

HINT = "make the file anew with the cell that `kpack probe` prints"

_PRINTED = re.compile(r'^\{\n "kpack-base": .*^ \]\n\}$', re.MULTILINE | re.DOTALL)
"""A snapshot as the probe prints it."""

_LONGEST_NAME = 255
_NO_NAME = frozenset(" /\\")


def read(path: Path) -> str:
    """Return the text of a file.

    Raises:
        UsageError: it is not UTF-8, or larger than `LARGEST`.
        MachineError: it cannot be read.

    """
    try:
        # What kpack ships is compressed.
        with open_regular(path) as file, gzip.open(file) if path.suffix == ".gz" else file as stream:
            raw = stream.read(LARGEST + 1)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise UsageError(f"no gzip archive: {error}", where=str(path), next=HINT) from error
    except OddFileError as error:
        raise UsageError(str(error), where=str(path), next=HINT) from error
    except OSError as error:
        raise MachineError(f"cannot read: {error.strerror}", where=str(path)) from error
    if len(raw) > LARGEST:
        raise UsageError(f"larger than {LARGEST >> 20} MB: not a snapshot", where=str(path), next=HINT)
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError(f"not UTF-8 at byte {error.start}", where=str(path), next=HINT) from error


def parse(text: str, path: Path) -> dict[str, Any]:
    """Return the JSON object that ``text``, the content of ``path``, holds.

    What an interpreter prints at its start or end stands around the snapshot that the probe prints; it is passed over.

    Raises:
        UsageError: it holds none; ``where`` names the file, and the line where it is no JSON.

    """
    try:
        data = json.loads(text)
    except json.JSONDecodeError as error:
        own = _PRINTED.search(text)
        if own is not None and len(own[0]) < len(text.strip()):
            return parse(own[0], path)
        raise UsageError(f"not JSON: {error.msg}", where=f"{path}:{error.lineno}", next=HINT) from error
    except ValueError as error:
        raise UsageError("not a snapshot: it holds a number without end", where=str(path), next=HINT) from error
    except RecursionError as error:
        raise UsageError("not a snapshot: nested too deeply", where=str(path), next=HINT) from error
    if not isinstance(data, dict):
        raise UsageError("a snapshot is one JSON object", where=str(path), next=HINT)
    return data


class Reader:
    """Takes values out of a parsed file, each of the type and the size that it must have."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def error(self, key: str, what: str) -> UsageError:
        """Return the complaint about a key; an empty one stands for the whole file."""
        return UsageError(what, where=f"{self.path}: {key:.200}" if key else str(self.path), next=HINT)

    def expect(self, condition: bool, key: str, what: str) -> None:
        """Raise UsageError unless ``condition`` holds."""
        if not condition:
            raise self.error(key, what)

    def text(self, data: dict[str, Any], key: str, default: str | None = None, *, at: str = "") -> str:
        """Return the string under ``key``; ``at`` is the path before the key."""
        value = data.get(key, default)
        if value is None:
            raise self.error(f"{at}{key}", "missing")
        return self.string(value, f"{at}{key}")

    def string(self, value: object, key: str) -> str:
        """Return a value that must be a string."""
        if not isinstance(value, str):
            raise self.error(key, f"a string is needed, not {_shown(value)}")
        if len(value) > LONGEST:
            raise self.error(key, f"longer than {LONGEST} characters")
        if not value.isascii() and not _encodable(value):
            raise self.error(key, f"no text: {value!r:.80}")
        return value

    def items(self, value: object, key: str, of: str = "") -> list[Any]:
        """Return a value that must be a list, of what ``of`` says."""
        if not isinstance(value, list):
            raise self.error(key, f"a list{of} is needed")
        if len(value) > MOST:
            raise self.error(key, f"more than {MOST} items")
        return value

    def table(self, value: object, key: str, what: str = "an object is needed") -> dict[str, Any]:
        """Return a value that must be an object."""
        if not isinstance(value, dict):
            raise self.error(key, what)
        if len(value) > MOST:
            raise self.error(key, f"more than {MOST} keys")
        return value

    def texts(self, value: object, key: str) -> tuple[str, ...]:
        """Return a value that must be a list of strings."""
        found = self.items(value, key, " of strings")
        # An image has 20,000 lines of requirements: one look at all of a distribution's is enough for nearly all.
        try:
            plain = "".join(found).isascii()
        except TypeError:
            raise self.error(key, "a list of strings is needed") from None
        if plain and max(map(len, found), default=0) <= LONGEST:
            return tuple(found)
        return tuple(self.string(item, key) for item in found)

    def strings(self, value: object, key: str) -> dict[str, str]:
        """Return a value that must be an object whose values are strings."""
        what = "an object of strings is needed"
        found = self.table(value, key, what)
        self.expect(all(isinstance(item, str) for item in found.values()), key, what)
        return {self.string(name, key): self.string(item, f"{key}.{name}") for name, item in found.items()}

    def name(self, value: object, key: str) -> NormalizedName:
        """Return the normalised name of a distribution; what an image has may be spelled against the specification."""
        text = self.string(value, key)
        if not 0 < len(text) <= _LONGEST_NAME or not text.isprintable() or not _NO_NAME.isdisjoint(text):
            raise self.error(key, f"not the name of a distribution: {text!r:.80}")
        return canonicalize_name(text)

    def version(self, text: str, key: str) -> Version:
        """Return a version (PEP 440)."""
        try:
            if len(text) <= _LONGEST_NAME:
                return Version(text)
        except ValueError as error:
            raise self.error(key, f"not a version: {text!r:.80}") from error
        raise self.error(key, f"not a version: {len(text)} characters")

    def folder(self, value: object, key: str) -> str:
        """Return the absolute path of a folder."""
        text = self.string(value, key)
        self.expect(
            text.startswith("/") and posixpath.normpath(text) == text and "\0" not in text,
            key,
            f"not the absolute path of a folder: {text!r:.80}",
        )
        return text

    def places(self, value: object, key: str) -> tuple[str, ...]:
        """Return paths, each absolute or relative without ``..``; a slash at the end marks a folder."""
        found = self.texts(value, key)
        for text in found:
            plain = text.removesuffix("/")
            good = plain and posixpath.normpath(plain) == plain and plain.split("/")[0] != ".." and "\0" not in plain
            if not good or plain == ".":
                raise self.error(key, f"not a plain path: {text!r:.80}")
        return found


def _shown(value: object) -> str:
    """Return a value for a message; what may be deep or huge by its kind alone."""
    kinds = {list: "a list", dict: "an object", int: "a number"}
    return kinds.get(type(value), repr(value))


def _encodable(text: str) -> bool:
    """Tell whether a string has no halves of surrogate pairs, which JSON can spell and no file can hold."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
