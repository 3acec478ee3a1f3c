"""What a key of kaggle-env.toml is: one `Row`, from which everybody works who has to know the keys.

Validation, the JSON Schemas, the reader, the digest, the lock and its words about what changed iterate over the same
rows (`kpack.environment.keys`). A `Kind` says how all values of a sort are treated, a row which key is of that sort.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

from kpack.environment.errors import Mistake

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from kpack.environment.positions import KeyPath

NAME = r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?"
"""A project name as the packaging specifications define it."""

LONGEST_NAME = 200
"""Characters of a name or a pattern of names, at most; the longest name on PyPI has 80."""

SHA256 = r"[0-9a-f]{64}"

LONGEST = 4000
"""Characters of a string, at most, where nothing else is said: longer than any URL or requirement that people write,
and short enough that no number in it is too long for Python (4,300 digits)."""

SIZE_UNITS = {
    "B": 1,
    "kB": 1000,
    "KB": 1000,
    "MB": 1000**2,
    "GB": 1000**3,
    "TB": 1000**4,
    "KiB": 1 << 10,
    "MiB": 1 << 20,
    "GiB": 1 << 30,
    "TiB": 1 << 40,
}
"""Bytes per unit of a size in words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """A string that matches ``pattern`` as a whole and has from one to ``longest`` characters."""

    pattern: str | None = None
    longest: int = LONGEST
    advice: str = ""
    """What to write instead, for a string that does not match."""
    empty: bool = False
    """Whether the empty string is allowed."""
    secret: bool = False
    """Whether messages may not show it."""
    or_true: bool = False
    """Whether the boolean true may take its place."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Texts:
    """An array of strings; with ``single``, one bare string stands for an array of it."""

    item: Text
    single: bool = False
    at_least: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Flag:
    """A boolean."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """A TOML date or date-time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """A number of bytes: an integer, or a number with a unit in a string."""

    pattern: str = r"[0-9]{1,9}(?:\.[0-9]{1,6})? ?(?:" + "|".join(SIZE_UNITS) + ")"


@dataclass(frozen=True, slots=True, kw_only=True)
class TextMap:
    """A table whose keys are free (within ``key``) and whose values are strings."""

    key: Text
    value: Text


@dataclass(frozen=True, slots=True, kw_only=True)
class FixedTable:
    """A table with fixed keys; with ``many``, an array of such tables."""

    rows: tuple[Row, ...]
    many: bool = False


Shape = Text | Texts | Flag | Moment | Size | TextMap | FixedTable

Asked = str | datetime | bool | tuple[str, ...] | Mapping[str, str] | None
"""What a lock keeps of a key's value."""


@dataclass(slots=True)
class Reading:
    """What the reader of a value may look at, and where it says what is wrong."""

    mistakes: list[Mistake]
    values: dict[str, Any] = field(default_factory=dict)
    """What was read so far, by attribute: the rows above."""

    def say(self, key: KeyPath, what: str, advice: str = "") -> None:
        """Add a mistake."""
        self.mistakes.append(Mistake(key=key, what=what, next=advice))


def _as_written(value: Any, at: KeyPath, reading: Reading) -> Any:
    del at, reading
    return value


def _itself(value: Any) -> Any:
    return value


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """How the values of a key are written, read, compared and kept."""

    shape: Shape
    """What the file may hold."""
    read: Callable[[Any, KeyPath, Reading], Any] = _as_written
    """Turns a value of that shape (an item with a mistake is None) into the model's."""
    meaning: Callable[[Any], object] | None = _itself
    """What the digest sees of the model's value: JSON, the same for every spelling. None: no lock depends on it."""
    asked: Callable[[Any], Asked] = _itself
    """What the lock keeps of it."""
    kept: Literal["text", "texts", "names", "flag", "moment", "mapping"] | None = None
    """How the lock keeps it in ``[tool.kpack.requests]``. None: not there."""
    of_base: bool = False
    """Whether its items are names that a base has to have."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One key of a table."""

    key: str
    kind: Kind
    description: str
    example: object = None
    """A value as JSON has it, for editors and for the reference; what a table holds has examples of its own."""
    required: bool = False
    attribute: str = ""
    """Of the model; the key with ``_`` when it is not given."""
    word: str = ""
    """What the digest and the lock call it; the key when it is not given."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "attribute", self.attribute or self.key.replace("-", "_"))
        object.__setattr__(self, "word", self.word or self.key)


def read(table: Mapping[str, Any], rows: Iterable[Row], at: KeyPath, reading: Reading) -> dict[str, Any]:
    """Read the well-shaped ``table`` row by row and return its values by attribute.

    A key that is not there, or whose shape is wrong (None), gives no value.
    """
    for row in rows:
        if table.get(row.key) is not None:
            reading.values[row.attribute] = row.kind.read(table[row.key], (*at, row.key), reading)
    return reading.values


ALWAYS = frozenset(
    {
        *("name", "bases", "python", "platform", "packages", "exclude", "replace", "exclude-newer"),
        *("allow-source", "allow-broken", "allow-preloaded", "lax-record", "checkpoints", "indexes", "restore"),
        *(f"checkpoints.{word}" for word in ("urls", "path", "sha256", "attached", "include")),
        *("restore.directory", "restore.env"),
    }
)
"""The words that the digest has always seen. Any other is left out where the file does not use it, so that a new key
makes no lock stale."""


def meanings(value: object, rows: Iterable[Row], table: str = "") -> dict[str, object]:
    """Return what the digest sees of the model's ``value``, by word; ``table`` is ``restore.`` or the like."""
    seen = {}
    for row in rows:
        if row.kind.meaning is not None:
            meant = row.kind.meaning(getattr(value, row.attribute))
            if meant or f"{table}{row.word}" in ALWAYS:
                seen[row.word] = meant
    return seen
