"""Functions of a notebook that hand what they are given to a shell: ``def install(package): subprocess.run(…)``."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from kpack.importing.cells import Magic
    from kpack.importing.constants import Constants, Value


class Function(NamedTuple):
    """A function that takes something, and its assignments and calls in the order of its text."""

    node: ast.FunctionDef | ast.AsyncFunctionDef
    inner: tuple[ast.Assign | ast.AnnAssign | ast.For | ast.Call, ...]
    magics: tuple[Magic, ...]
    """Of its cell."""

    def bound(self, call: ast.Call, constants: Constants) -> dict[str, Value | None]:
        """Return what a call gives each parameter; None where that is not said in plain words."""
        args = self.node.args
        plain = [one.arg for one in (*args.posonlyargs, *args.args)]
        held: dict[str, Value | None] = dict.fromkeys([*plain, *(one.arg for one in args.kwonlyargs)])
        begin = len(plain) - len(args.defaults)
        for name, default in zip([*held][begin:], (*args.defaults, *args.kw_defaults), strict=True):
            held[name] = None if default is None else constants.value(default)
        words = [constants.value(one.value if isinstance(one, ast.Starred) else one) for one in call.args]
        held |= zip(plain, words, strict=False)
        if args.vararg:
            rest = [[word] if isinstance(word, str) else word for word in words[len(plain) :]]
            held[args.vararg.arg] = None if None in rest else [text for word in rest for text in word or ()]
        return held | {one.arg: constants.value(one.value) for one in call.keywords if one.arg in held}


def function(node: ast.FunctionDef | ast.AsyncFunctionDef, magics: Sequence[Magic]) -> Function:
    """Return a function as it can be followed."""
    kinds = ast.Assign | ast.AnnAssign | ast.For | ast.Call
    return Function(node, tuple(one for one in _in_order(node.body) if isinstance(one, kinds)), tuple(magics))


def _in_order(body: Sequence[ast.AST]) -> Iterator[ast.AST]:
    waiting = [*body][::-1]
    while waiting:
        one = waiting.pop()
        yield one
        waiting += [*ast.iter_child_nodes(one)][::-1]


class Given:
    """Names that have a value for a while: entered, they hide what had it before; left, that is back."""

    def __init__(self, texts: dict[str, Value], values: Mapping[str, Value | None]) -> None:
        self.texts = texts
        self.values = values
        self._before: dict[str, Value] = {}

    def __enter__(self) -> None:
        self._before = dict(self.texts)
        for name, value in self.values.items():
            if value is None:
                self.texts.pop(name, None)
            else:
                self.texts[name] = value

    def __exit__(self, *_: object) -> None:
        self.texts.clear()
        self.texts.update(self._before)
