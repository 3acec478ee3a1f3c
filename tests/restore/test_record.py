"""RECORD is read and written as the csv module does it, by a shorter way where nothing is quoted."""

from __future__ import annotations

import csv
import io
import random
import re
from operator import attrgetter

import pytest

from kpack.restore import record
from kpack.restore.errors import RestoreError
from kpack.restore.record import RecordEntry
from kpack.restore.text import broken_lines

CHARACTERS = "ab, /\n\n,,\"'\r\0\x0b\x85\u2028é;\t"


def _text(dice: random.Random, longest: int, plain: bool) -> str:
    text = "".join(dice.choice(CHARACTERS) for _ in range(dice.randrange(longest)))
    return re.sub('["\r\0]', "", text) if plain else text


@pytest.mark.parametrize("plain", [True, False])
def test_rows_are_those_of_csv(plain: bool) -> None:
    dice = random.Random(1)
    for _ in range(3000):
        text = "".join(_text(dice, 9, plain) + dice.choice((",", ",\n")) for _ in range(dice.randrange(6)))
        try:
            rows = [row for row in csv.reader(io.StringIO(text, newline="")) if row]
        except csv.Error:
            with pytest.raises(RestoreError):
                record.read(text.encode(), "x")
            continue
        found = record.read(text.encode(), "x")
        wanted = {row[0]: RecordEntry(*(row if len(row) == 3 else [*row, "", ""][:3])) for row in rows}
        assert found.rows == wanted
        if all(len(row) == 3 for row in rows):
            assert record.parse(text.encode(), "x") == wanted
        assert broken_lines(text) == (re.search("[\x0b\x0c\x1c-\x1e\x85\u2028\u2029]|\r(?!\n)", text) is not None)


@pytest.mark.parametrize("plain", [True, False])
def test_what_is_written_is_what_csv_writes(plain: bool) -> None:
    dice = random.Random(2)
    for _ in range(3000):
        rows = [RecordEntry(*(_text(dice, 4, plain) for _ in range(3))) for _ in range(dice.randrange(4))]
        stream = io.StringIO(newline="")
        csv.writer(stream, lineterminator="\n").writerows(sorted(rows, key=attrgetter("path")))
        assert record.dumps(rows) == stream.getvalue().encode()


def test_a_field_that_is_too_long_for_csv_is_refused() -> None:
    for text in ("x" * 131_073 + ",,", "a," + "x" * 131_073 + ",1\n"):
        with pytest.raises(RestoreError, match="field larger than field limit"):
            record.read(text.encode(), "x")
