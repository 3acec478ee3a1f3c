"""Texts that a program says in plain words: constants, names of them, what is put together of them."""

from __future__ import annotations

import ast
import posixpath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_DEEPEST = 50
"""Levels of an expression that are looked into."""

_FEW = 200
"""Attributes of a class that an instance takes over, at most."""

_LONGEST = 4096
"""Characters of a text, and texts of a list, that are kept: what is longer names nothing."""

Value = str | list[str]


class Constants:
    """What each name was last given, as far as that is a text or a list of texts; scopes are not told apart."""

    def __init__(self, texts: dict[str, Value]) -> None:
        self.held = texts
        self.attributes: dict[str, list[str]] = {}
        """What is kept of each class, by the names of its attributes."""

    def assign(self, target: ast.expr, value: ast.expr | None, prefix: str = "") -> None:
        """Take an assignment in: a text that can be read, or the end of what was known of the name."""
        name = dotted(target)
        if name is None:
            return
        if isinstance(value, ast.Call) and self._made(prefix + name, value):
            return
        if prefix:
            self.attributes.setdefault(prefix[:-1], []).append(name)
        if isinstance(value, ast.Dict):
            for key, inner in zip(value.keys, value.values, strict=True):
                if isinstance(key, ast.Constant) and isinstance(key.value, str):
                    self._keep(f"{prefix}{name}[{key.value}]", self.value(inner))
            return
        self._keep(prefix + name, None if value is None else self.value(value))

    def _made(self, name: str, call: ast.Call) -> bool:
        """Take in ``dict(model="…")``, ``SimpleNamespace(model="…")``, and an instance of a class that was kept."""
        kind = (dotted(call.func) or "").rpartition(".")[2]
        made = {"dict": "{}[{}]", "SimpleNamespace": "{}.{}", "Namespace": "{}.{}", "edict": "{}.{}"}.get(kind)
        if made is None and kind not in self.attributes:
            return False
        self.held.pop(name, None)
        for attribute in self.attributes.get(kind, ())[:_FEW]:
            self._keep(f"{name}.{attribute}", self.held.get(f"{kind}.{attribute}"))
        for keyword in call.keywords:
            if keyword.arg:
                self._keep((made or "{}.{}").format(name, keyword.arg), self.value(keyword.value))
        return True

    def _keep(self, name: str, held: Value | None) -> None:
        if held is None:
            self.held.pop(name, None)
        else:
            self.held[name] = held

    def text(self, node: ast.expr) -> str | None:
        """Return the text that an expression stands for."""
        value = self.value(node)
        return value if isinstance(value, str) else None

    def texts(self, node: ast.expr | None) -> list[str] | None:
        """Return the list of texts that an expression stands for; one text is a list of one."""
        value = None if node is None else self.value(node)
        return [value] if isinstance(value, str) else value

    def value(self, node: ast.expr, depth: int = 0) -> Value | None:
        """Return text or list of texts; None for whatever else, and for what is too long to name anything."""
        value = None if depth > _DEEPEST else self._value(node, depth)
        return value if value is not None and len(value) <= _LONGEST else None

    def _value(self, node: ast.expr, depth: int) -> Value | None:
        if isinstance(node, ast.Constant):
            return node.value if isinstance(node.value, str) else None
        if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant):
            return self.held.get(f"{dotted(node.value)}[{node.slice.value!s}]")
        if isinstance(node, ast.Name | ast.Attribute):
            name = dotted(node)
            return "python" if name == "sys.executable" else self.held.get(name or "")
        if isinstance(node, ast.JoinedStr):
            return self._joined(
                [part.value if isinstance(part, ast.FormattedValue) else part for part in node.values], depth
            )
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
            left, right = self.value(node.left, depth + 1), self.value(node.right, depth + 1)
            if isinstance(left, str) and isinstance(right, str):
                return left + right
            return left + right if isinstance(left, list) and isinstance(right, list) else None
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):
            left, right = self.value(node.left, depth + 1), self.value(node.right, depth + 1)
            return posixpath.join(left, right) if isinstance(left, str) and isinstance(right, str) else None
        if isinstance(node, ast.List | ast.Tuple | ast.Set):
            return self._list(node.elts, depth)
        return self._called(node, depth) if isinstance(node, ast.Call) else None

    def _joined(self, parts: Sequence[ast.expr], depth: int) -> str | None:
        whole = ""
        for part in parts:
            value = self.value(part, depth + 1)
            if value is None or len(whole) > _LONGEST:
                return None
            whole += value if isinstance(value, str) else " ".join(value)
        return whole

    def _list(self, elements: Sequence[ast.expr], depth: int) -> list[str] | None:
        words: list[str] = []
        for element in elements:
            inner = element.value if isinstance(element, ast.Starred) else element
            value = self.value(inner, depth + 1)
            if value is None or len(words) > _LONGEST:
                return None
            words += [value] if isinstance(value, str) else value
        return words

    def _called(self, node: ast.Call, depth: int) -> Value | None:
        """Read the few calls that put texts together: os.path.join, Path, str, split."""
        name = dotted(node.func) or ""
        if name.endswith("path.join") and node.args:
            parts = self._list(node.args, depth)
            return posixpath.join(*parts) if parts else None
        if name.rpartition(".")[2] in {"Path", "str", "PurePosixPath", "fspath", "quote"} and len(node.args) == 1:
            return self.value(node.args[0], depth + 1)
        if isinstance(node.func, ast.Attribute) and node.func.attr in {"split", "strip"} and not node.args:
            text = self.value(node.func.value, depth + 1)
            if isinstance(text, str):
                return text.split() if node.func.attr == "split" else text.strip()
        return None


def dotted(node: ast.expr) -> str | None:
    """Return ``a.b.c`` for names and attributes of them, however many calls stand between; None for whatever else."""
    parts: list[str] = []
    while True:
        if isinstance(node, ast.Attribute):
            parts.append(node.attr)
            node = node.value
        elif isinstance(node, ast.Call) and parts:
            node = node.func
        elif isinstance(node, ast.Name):
            return ".".join([node.id, *reversed(parts)])
        else:
            return f"?.{'.'.join(reversed(parts))}" if parts else None
