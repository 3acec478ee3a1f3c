"""A parsed TOML table that is read key by key, and complains with the key path."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeVar

from packaging.utils import NormalizedName, canonicalize_name
from packaging.version import Version

from kpack.errors import IntegrityError
from kpack.files import is_sha256

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_T = TypeVar("_T")
_WORDS: dict[type, str] = {str: "a string", int: "a number", dict: "a table", list: "a list", datetime: "a date"}


class Table:
    """One table of a lock. Every key is taken once; `done` refuses what is left.

    All methods raise IntegrityError with the file and the key path as ``where``.
    """

    def __init__(self, data: Mapping[str, Any], where: str, path: str = "") -> None:
        self._data = dict(data)
        self._where = where
        self._path = path

    def error(self, what: str, key: str = "") -> IntegrityError:
        """Return the complaint about ``key`` of this table."""
        place = ".".join(part for part in (self._path, key) if part)
        return IntegrityError(
            what,
            where=f"{self._where}: {place}" if place else self._where,
            next="the file was changed by hand or by a merge: restore it, or remove it and run `kpack lock`",
        )

    def optional(self, key: str, kind: type[_T]) -> _T | None:
        """Take ``key``, None when it is missing."""
        value = self._data.pop(key, None)
        if value is None:
            return None
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            raise self.error(f"{_WORDS[kind]} is needed, not {value!r:.60}", key)
        return value

    def needed(self, key: str, kind: type[_T]) -> _T:
        """Take ``key``, which must be there."""
        value = self.optional(key, kind)
        if value is None:
            raise self.error("missing", key)
        return value

    def text(self, key: str) -> str:
        """Take a string that must be there."""
        return self.needed(key, str)

    def texts(self, key: str) -> tuple[str, ...]:
        """Take a list of strings, empty when it is missing."""
        value = self.optional(key, list) or []
        for position, item in enumerate(value):
            if not isinstance(item, str):
                raise self.error("a string is needed", f"{key}[{position}]")
        return tuple(value)

    def mapping(self, key: str) -> dict[str, str]:
        """Take a table of strings, empty when it is missing."""
        found: dict[str, str] = self.optional(key, dict) or {}
        for name, value in found.items():
            if not isinstance(value, str):
                raise self.error("a string is needed", f"{key}.{name}")
        return found

    def tables(self, key: str) -> Iterator[Table]:
        """Take a list of tables, empty when it is missing."""
        for position, item in enumerate(self.optional(key, list) or []):
            path = f"{self._path}.{key}[{position}]" if self._path else f"{key}[{position}]"
            if not isinstance(item, dict):
                raise self.error("a table is needed", f"{key}[{position}]")
            yield Table(item, self._where, path)

    def table(self, key: str) -> Table | None:
        """Take a table, None when it is missing."""
        value = self.optional(key, dict)
        if value is None:
            return None
        return Table(value, self._where, f"{self._path}.{key}" if self._path else key)

    def name(self, key: str) -> NormalizedName:
        """Take a normalised distribution name."""
        value = self.text(key)
        name = canonicalize_name(value)
        if name != value:
            raise self.error(f"not a normalised name: {value!r:.80}", key)
        return name

    def names(self, key: str) -> tuple[NormalizedName, ...]:
        """Take a list of normalised distribution names, empty when it is missing."""
        values = self.texts(key)
        names = tuple(canonicalize_name(value) for value in values)
        if names != values:
            raise self.error("the names are not normalised", key)
        return names

    def version(self, key: str) -> Version:
        """Take a version that must be there."""
        version = self.optional_version(key)
        if version is None:
            raise self.error("missing", key)
        return version

    def optional_version(self, key: str) -> Version | None:
        """Take a version, None when it is missing."""
        value = self.optional(key, str)
        if value is None:
            return None
        try:
            return Version(value)
        except ValueError as error:
            raise self.error(f"not a version: {value!r:.80}", key) from error

    def moment(self, key: str) -> datetime | None:
        """Take a time in UTC, None when it is missing."""
        value = self.optional(key, datetime)
        if value is not None and value.tzinfo is None:
            raise self.error("a time is in UTC, with Z behind it", key)
        return value

    def sha256(self, key: str) -> str:
        """Take a SHA-256 digest that must be there."""
        value = self.text(key)
        if not is_sha256(value):
            raise self.error(f"sha256 is 64 lower-case hexadecimal digits, not {value!r:.80}", key)
        return value

    def size(self, key: str) -> int | None:
        """Take a number of bytes, None when it is missing."""
        value = self.optional(key, int)
        if value is not None and value < 0:
            raise self.error(f"a size cannot be {value}", key)
        return value

    def needed_size(self, key: str) -> int:
        """Take a number of bytes that must be there."""
        value = self.size(key)
        if value is None:
            raise self.error("missing", key)
        return value

    def has(self, key: str) -> bool:
        """Tell whether ``key`` is still there to be taken."""
        return key in self._data

    def done(self) -> None:
        """Refuse keys that nobody took."""
        for key in self._data:
            raise self.error("unknown key", key)
