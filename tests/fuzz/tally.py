"""How long each reader was fuzzed: ``python -m tests.fuzz.tally FILE`` adds up a table that runs have made."""

from __future__ import annotations

import csv
import sys
from pathlib import Path
from typing import NamedTuple


class Row(NamedTuple):
    """One run of a harness."""

    name: str
    seconds: int
    """On the wall, start and end of the process included."""
    processor: int
    """Seconds of a processor."""
    inputs: int
    edges: int
    """Of kpack's code, reached by all that the corpus holds at the end."""
    finds: int


def add(table: Path, row: Row) -> None:
    """Add a row to a table, which begins with it where there is none."""
    with table.open("a", encoding="utf-8", newline="") as stream:
        csv.writer(stream, dialect="excel-tab", lineterminator="\n").writerow(row)


def total(table: Path) -> list[Row]:
    """Return the sums of a table for each harness, edges and finds being the most and all."""
    found: dict[str, Row] = {}
    with table.open(encoding="utf-8", newline="") as stream:
        for name, *numbers in csv.reader(stream, dialect="excel-tab"):
            row = Row(name, *map(int, numbers))
            known = found.get(name, Row(name, 0, 0, 0, 0, 0))
            found[name] = Row(
                name,
                known.seconds + row.seconds,
                known.processor + row.processor,
                known.inputs + row.inputs,
                max(known.edges, row.edges),
                known.finds + row.finds,
            )
    return sorted(found.values())


def main() -> None:
    rows = total(Path(sys.argv[1]))
    for row in rows:
        print(
            f"| `{row.name}` | {row.seconds / 60:.0f} | {row.processor / 60:.0f} | {row.inputs:,} | {row.edges:,} |",
            f"{row.finds} |",
        )
    print(f"{len(rows)} harnesses, {sum(row.seconds for row in rows) / 60:.0f} minutes, ", end="")
    print(f"{sum(row.inputs for row in rows):,} inputs")


if __name__ == "__main__":
    main()
