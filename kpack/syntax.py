"""The syntax tree of somebody's Python text, which is read and never run."""

from __future__ import annotations

import ast
import warnings


def parsed(code: str | bytes) -> ast.Module | None:
    """Return the tree of a module or a cell (``await`` may stand outside of functions); None for what is no Python.

    So is what is built to be too much for the parser: a million minus signs are a MemoryError of its own.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a "\d" in somebody's text is not kpack's to complain about
            tree = compile(code, "<text>", "exec", ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    assert isinstance(tree, ast.Module)
    return tree
