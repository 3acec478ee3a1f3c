"""Lists as people lay them out, made at random: an edit changes its entry and nothing else."""

from __future__ import annotations

import os
import random
import re
import tomllib
from pathlib import Path
from typing import Any

from kpack.environment import edit_checkpoints, edit_lists, edit_packages

ROUNDS = int(os.environ.get("KPACK_EDIT_SHAPES", "0"))
"""Files that are made for each kind of edit; 20,000 before a release, and 150 or fewer in the gate."""

FIRST = int(os.environ.get("KPACK_EDIT_SHAPES_FROM", "0"))
"""The number of the first of them, for a long run in pieces."""

PATH = Path("kaggle-env.toml")
NAMES = ["numpy", "pandas>=2", "scipy", "x-y[z]==1", "torch @ https://h/torch-1-py3-none-any.whl"]
WORDS = ["numpy", "pandas", "scipy", "x-y", "torch"]
"""What stands in the lists of names."""


def seeds(few: int) -> range:
    """Return the numbers of the files to make: ``few`` of them in the gate."""
    return range(FIRST, FIRST + (ROUNDS or few))


class Paper:
    """What lays a file out at random."""

    def __init__(self, seed: int) -> None:
        self.dice = random.Random(seed)
        self.newline = self.dice.choice(["\n", "\n", "\r\n"])
        self.comments = 0

    def _lines(self, rows: list[str]) -> str:
        return "".join(f"{row}{self.newline}" for row in rows)

    def _spare(self) -> list[str]:
        return self.dice.choice([[], [], [""], [self._comment()]])

    def _comment(self) -> str:
        self.comments += 1
        return f'# c{self.comments} , " ]'

    def _blank(self) -> str:
        return self.dice.choice(["", " ", "  ", "\t"])

    def _string(self, name: str) -> str:
        return self.dice.choice([f'"{name}"', f"'{name}'", f'"""{name}"""'])

    def _gap(self) -> str:
        return self.dice.choice(["", " ", self.newline, f" {self._comment()}{self.newline}  ", f"{self.newline}\t"])

    def _end(self) -> str:
        return f"{self._blank()}{self._comment()}" if self.dice.random() < 0.4 else self._blank()


class Shape(Paper):
    """A file whose list stands between a head and a tail."""

    def __init__(self, seed: int, list_name: str = "packages") -> None:
        super().__init__(seed)
        known = NAMES if list_name == "packages" else WORDS
        self.names = self.dice.sample(known, self.dice.randint(0, len(known)))
        key = self.dice.choice([list_name, list_name, f'"{list_name}"', f"'{list_name}'"])
        kernel = "base" if list_name in {"replace", "allow-broken"} else "python"
        self.head = self._lines(['name = "t"', *self._spare(), f'"{kernel}"{self._blank()}= "3.12"', *self._spare()])
        self.list = f"{key} = {self._array()}"
        more = ["no-deps = ['a', 'b'] # c"]
        rest = self.dice.choice([[], more, ["restore.env.A = '1'"], ["max-size = '1 GB'"]])
        table = self.dice.choice([[], ["", "# of the table", "[publish]", f'dataset = "o/{list_name}"']])
        self.tail = self._lines(["", *self._spare(), *rest, *self._spare(), *table])
        if self.dice.random() < 0.2:
            self.tail = self.tail.removesuffix(self.newline)

    @property
    def text(self) -> str:
        return self.head + self.list + self.tail

    def _array(self) -> str:
        """Return a list: on one line, or with a line end, a comment, a comma wherever TOML takes one."""
        style = self.dice.choice(["line", "rows", "first", "wild"])
        if style == "line":
            end = self.dice.choice(["", ",", " , "]) if self.names else ""
            return f"[{self._blank()}{', '.join(map(self._string, self.names))}{end}{self._blank()}]{self._end()}"
        out = [f"[{self._end()}{self.newline}"]
        for number, name in enumerate(self.names):
            last = number == len(self.names) - 1
            if style == "rows":
                comma = "" if last and self.dice.random() < 0.5 else ","
                out.append(f"    {self._string(name)}{self._blank()}{comma}{self._end()}{self.newline}")
            elif style == "first":
                out.append(f"  {', ' if number else ''}{self._string(name)}{self._end()}{self.newline}")
            else:
                out.append(f"{self._gap()}{self._string(name)}{self._gap()}")
                out.append("" if last and self.dice.random() < 0.5 else f",{self._gap()}")
        out += [f"{row}{self.newline}" for row in self._spare()]
        return "".join(out) + f"{self._blank()}]{self._end()}"


class Tables(Paper):
    """A file with tables of checkpoints and indexes among others."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        head = ['name = "t"', *self._spare(), f'python = "3.12"{self._end()}', *self._spare()]
        kinds = self.dice.choices(["checkpoints", "indexes", "other"], k=self.dice.randint(0, 5))
        kinds = [kind for number, kind in enumerate(kinds) if kind != "other" or kind not in kinds[:number]]
        self.numbers = {"checkpoints": 0, "indexes": 0}
        self.blocks = [(kind, self._table(kind)) for kind in kinds]
        self.head = head
        self.text = self._lines([*head, *(row for _, block in self.blocks for row in block)])
        if self.dice.random() < 0.2:
            self.text = self.text.removesuffix(self.newline)

    def _table(self, kind: str) -> list[str]:
        if kind == "other":
            return [*self._spare(), f"[publish]{self._end()}", *self._spare(), 'dataset = "o/d"', *self._spare()]
        number = self.numbers[kind]
        self.numbers[kind] += 1
        rows = (
            [f'url = "https://h/{number}.bin"', f"path = '{number}.bin'"]
            if kind == "checkpoints"
            else [f'name = "i{number}"', f'url = "https://h/{number}/simple"', f"packages = ['p{number}']"]
        )
        self.dice.shuffle(rows)
        body = [line for row in rows for line in (*self._spare(), f"{row}{self._end()}")]
        blank = self.dice.choice(["", " "])
        return [*self._spare(), f"[[{blank}{kind}{blank}]]{self._end()}", *body, *self._spare()]


def marks(text: str) -> list[str]:
    return re.findall(r"# c\d+ ", text)


def held(text: str) -> dict[str, Any]:
    return tomllib.loads(text)


def check(shape: Shape, after: str, wanted: list[str], may_go: int, key: str = "packages") -> None:
    assert held(after) == {**held(shape.text), key: wanted}
    assert after.startswith(shape.head)
    assert after.endswith(shape.tail)
    before, now = marks(shape.text), marks(after)
    assert [mark for mark in before if mark in now] == now
    assert len(before) - len(now) <= may_go
    if "\r\n" in shape.text:
        assert after.count("\r\n") == after.count("\n")


def test_an_edit_changes_its_entry_and_nothing_else() -> None:
    for seed in seeds(150):
        shape = Shape(seed)
        check(
            shape, edit_packages.add_packages(shape.text, PATH, ["zz", "yy>=1"]).text, [*shape.names, "zz", "yy>=1"], 0
        )
        for number, name in enumerate(shape.names):
            bare = re.split(r"[\[>= ]", name)[0]
            left = [*shape.names[:number], *shape.names[number + 1 :]]
            check(shape, edit_packages.remove_packages(shape.text, PATH, [bare]).text, left, 1)
            changed = [*shape.names[:number], f"{bare}==9", *shape.names[number + 1 :]]
            check(shape, edit_packages.add_packages(shape.text, PATH, [f"{bare}==9"]).text, changed, 0)
        if shape.names:
            bare = [re.split(r"[\[>= ]", name)[0] for name in shape.names]
            check(shape, edit_packages.remove_packages(shape.text, PATH, bare).text, [], len(marks(shape.list)))


def test_the_other_lists_are_edited_in_the_same_way() -> None:
    for seed in seeds(25):
        for key in edit_lists.LISTS:
            shape = Shape(seed, key)
            check(
                shape,
                edit_lists.add_names(shape.text, PATH, key, ["zz", "yy"]).text,
                [*shape.names, "zz", "yy"],
                0,
                key,
            )
            for number, name in enumerate(shape.names):
                left = [*shape.names[:number], *shape.names[number + 1 :]]
                check(shape, edit_lists.remove_names(shape.text, PATH, key, [name]).text, left, 1, key)


def test_a_table_comes_and_goes_without_its_neighbours() -> None:
    for seed in seeds(75):
        shape = Tables(seed)
        before = held(shape.text)
        added = edit_checkpoints.add_checkpoint(shape.text, PATH, "https://h/new.bin", lands="new.bin").text
        fresh = {"url": "https://h/new.bin", "path": "new.bin"}
        assert held(added) == {**before, "checkpoints": [*before.get("checkpoints", []), fresh]}
        assert marks(added) == marks(shape.text)
        added = edit_lists.add_index(shape.text, PATH, "https://h/new/simple", ["q"]).text
        fresh_index = {"name": "extra", "url": "https://h/new/simple", "packages": ["q"]}
        assert held(added) == {**before, "indexes": [*before.get("indexes", []), fresh_index]}
        assert marks(added) == marks(shape.text)
        for kind, count in shape.numbers.items():
            blocks = [block for name, block in shape.blocks if name == kind]
            for number in range(count):
                after = (
                    edit_checkpoints.remove_checkpoint(shape.text, PATH, f"{number}.bin").text
                    if kind == "checkpoints"
                    else edit_lists.remove_index(shape.text, PATH, f"i{number}").text
                )
                left = [one for place, one in enumerate(before[kind]) if place != number]
                assert held(after).get(kind, []) == left
                others = {key: value for key, value in before.items() if key != kind}
                assert {key: value for key, value in held(after).items() if key != kind} == others
                lost = [mark for mark in marks(shape.text) if mark not in marks(after)]
                assert [mark for mark in marks(shape.text) if mark in marks(after)] == marks(after)
                own = marks("\n".join(blocks[number]))
                assert set(lost) <= {*own, *above(shape, kind, number)}


def above(shape: Tables, kind: str, number: int) -> list[str]:
    """Return the comment that stands right above a table, though it was laid out with what comes before."""
    place = [index for index, (name, _) in enumerate(shape.blocks) if name == kind][number]
    rows = [*shape.head, *(row for _, block in shape.blocks[:place] for row in block)]
    found: list[str] = []
    while rows and rows[-1].startswith("#"):
        found += marks(rows.pop())
    return found
