"""What kaggle-env.toml asked for, as the lock keeps it: one value for each row that is kept, and what became of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kpack.environment.keys import DOCUMENT, RESTORE
from kpack.environment.model import RestoreOptions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from kpack.environment.model import Environment
    from kpack.environment.rows import Asked, Row
    from kpack.lock.table import Table

_READ: Mapping[str, Callable[[Table, str], Asked]] = {
    "text": lambda table, key: table.optional(key, str),
    "texts": lambda table, key: table.texts(key),
    "names": lambda table, key: table.names(key),
    "flag": lambda table, key: table.optional(key, bool) or None,
    "moment": lambda table, key: table.moment(key),
    "mapping": lambda table, key: table.mapping(key),
}
"""How each way of keeping (`kpack.environment.rows.Kind`) is read back."""


@dataclass(frozen=True, slots=True)
class Requests:
    """What the file asked for; spelling and order do not matter, except for the order of bases. No credentials."""

    values: Mapping[str, Asked]
    """By word, one for each row that the lock keeps, in the order of the rows."""

    def names(self, word: str) -> tuple[str, ...]:
        """Return the list that a key holds, empty when the file does not use it."""
        value = self.values[word]
        assert isinstance(value, tuple)
        return value


def kept(rows: Iterable[Row]) -> tuple[Row, ...]:
    """Return the rows whose value the lock keeps as it is."""
    return tuple(row for row in rows if row.kind.kept is not None)


def requests_of(environment: Environment) -> Requests:
    """Return what ``environment`` asks for."""
    return Requests(_asked(environment, DOCUMENT.rows))


def read_requests(table: Table) -> Requests:
    """Take the requests from ``[tool.kpack.requests]``; raises IntegrityError for what kpack does not write."""
    return Requests(_taken(table, DOCUMENT.rows))


def read_restore(table: Table | None) -> RestoreOptions:
    """Take the options from ``[tool.kpack.restore]``, if it is there; raises as `read_requests`."""
    if table is None:
        return RestoreOptions()
    taken: dict[str, Any] = _taken(table, RESTORE.rows)
    taken["link"] = bool(taken["link"])
    return RestoreOptions(**{row.attribute: taken[row.word] for row in kept(RESTORE.rows)})


def requests_table(requests: Requests) -> dict[str, object]:
    """Return ``[tool.kpack.requests]``."""
    return dict(requests.values)


def restore_table(options: RestoreOptions) -> dict[str, object]:
    """Return ``[tool.kpack.restore]``; empty when nothing is set."""
    table = {
        word: dict(sorted(value.items())) if isinstance(value, dict) else value
        for word, value in _asked(options, RESTORE.rows).items()
    }
    return {word: value for word, value in table.items() if value is not None and value != {}}


def changes(before: Requests, options: RestoreOptions, now: Environment) -> Iterator[str]:
    """Yield a sentence for each kept key that says another thing than in ``before`` and ``options`` of a lock."""
    asked = requests_of(now).values
    for row in kept(DOCUMENT.rows):
        yield from _change(row.key, before.values[row.word], asked[row.word])
    old, new = _asked(options, RESTORE.rows), _asked(now.restore, RESTORE.rows)
    for row in kept(RESTORE.rows):
        yield from _change(f"restore.{row.key}", old[row.word], new[row.word])


def _asked(value: object, rows: Iterable[Row]) -> dict[str, Asked]:
    return {row.word: row.kind.asked(getattr(value, row.attribute)) for row in kept(rows)}


def _taken(table: Table, rows: Iterable[Row]) -> dict[str, Any]:
    taken = {row.word: _READ[row.kind.kept or ""](table, row.word) for row in kept(rows)}
    table.done()
    return taken


def _change(key: str, old: Asked, new: Asked) -> Iterator[str]:
    if old == new:
        return
    if isinstance(old, tuple) and isinstance(new, tuple):
        added = [f"+ {item}" for item in new if item not in old]
        gone = [f"- {item}" for item in old if item not in new]
        yield f"{key}: {', '.join(added + gone) or 'in another order'}"
    elif isinstance(old, dict) and isinstance(new, dict):
        changed = [name for name in sorted(old.keys() | new.keys()) if old.get(name) != new.get(name)]
        yield f"{key}: {', '.join(changed)} changed"  # the values may be secrets
    else:
        yield f"{key}: {_say(old)} became {_say(new)}"


def _say(value: Asked) -> str:
    return "nothing" if value is None else str(value)
