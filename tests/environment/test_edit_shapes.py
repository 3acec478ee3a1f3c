"""Lists as people lay them out, made at random: an edit changes its entry and nothing else."""

from __future__ import annotations

import os
import random
import re
import tomllib
from pathlib import Path

from kpack.environment import edit

ROUNDS = int(os.environ.get("KPACK_EDIT_SHAPES", "150"))
"""Files that are made; 20,000 before a release."""

PATH = Path("kaggle-env.toml")
NAMES = ["numpy", "pandas>=2", "scipy", "x-y[z]==1", "torch @ https://h/torch-1-py3-none-any.whl"]


class Shape:
    """A file whose list stands between a head and a tail."""

    def __init__(self, seed: int) -> None:
        self.dice = random.Random(seed)
        self.newline = self.dice.choice(["\n", "\n", "\r\n"])
        self.comments = 0
        self.names = self.dice.sample(NAMES, self.dice.randint(0, len(NAMES)))
        key = self.dice.choice(["packages", "packages", '"packages"', "'packages'"])
        self.head = self._lines(['name = "t"', *self._spare(), f'"python"{self._blank()}= "3.12"', *self._spare()])
        self.list = f"{key} = {self._array()}"
        rest = self.dice.choice([[], ["exclude = ['a', 'b'] # c"], ["restore.env.A = '1'"], ["max-size = '1 GB'"]])
        table = self.dice.choice([[], ["", "# of the table", "[publish]", 'dataset = "o/packages"']])
        self.tail = self._lines(["", *self._spare(), *rest, *self._spare(), *table])
        if self.dice.random() < 0.2:
            self.tail = self.tail.removesuffix(self.newline)

    @property
    def text(self) -> str:
        return self.head + self.list + self.tail

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

    def _gap(self) -> str:
        return self.dice.choice(["", " ", self.newline, f" {self._comment()}{self.newline}  ", f"{self.newline}\t"])

    def _end(self) -> str:
        return f"{self._blank()}{self._comment()}" if self.dice.random() < 0.4 else self._blank()


def marks(text: str) -> list[str]:
    return re.findall(r"# c\d+ ", text)


def held(text: str) -> dict[str, object]:
    return tomllib.loads(text)


def check(shape: Shape, after: str, wanted: list[str], may_go: int) -> None:
    assert held(after) == {**held(shape.text), "packages": wanted}
    assert after.startswith(shape.head)
    assert after.endswith(shape.tail)
    before, now = marks(shape.text), marks(after)
    assert [mark for mark in before if mark in now] == now
    assert len(before) - len(now) <= may_go
    if "\r\n" in shape.text:
        assert after.count("\r\n") == after.count("\n")


def test_an_edit_changes_its_entry_and_nothing_else() -> None:
    for seed in range(ROUNDS):
        shape = Shape(seed)
        check(shape, edit.add_packages(shape.text, PATH, ["zz", "yy>=1"]).text, [*shape.names, "zz", "yy>=1"], 0)
        for number, name in enumerate(shape.names):
            bare = re.split(r"[\[>= ]", name)[0]
            left = [*shape.names[:number], *shape.names[number + 1 :]]
            check(shape, edit.remove_packages(shape.text, PATH, [bare]).text, left, 1)
            changed = [*shape.names[:number], f"{bare}==9", *shape.names[number + 1 :]]
            check(shape, edit.add_packages(shape.text, PATH, [f"{bare}==9"]).text, changed, 0)
        if shape.names:
            bare = [re.split(r"[\[>= ]", name)[0] for name in shape.names]
            check(shape, edit.remove_packages(shape.text, PATH, bare).text, [], len(marks(shape.list)))
