"""Notebooks of the chained road: a builder with internet makes the pack, an inference notebook without restores it."""

from kpack.notebook.document import Cell, code, dumps, markdown, with_source
from kpack.notebook.pair import LINE_CELL, Pair, PairPlan, pair

__all__ = ["LINE_CELL", "Cell", "Pair", "PairPlan", "code", "dumps", "markdown", "pair", "with_source"]
