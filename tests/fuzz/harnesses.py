"""What is fuzzed: for each reader of foreign bytes the way in, and files to begin with.

A harness takes bytes that may be anything and returns whatever the reader says; `ALLOWED` are the only exceptions that
a reader may leave by. Where more must hold (what is read back is the same, nothing outside a folder is spoken of), the
harness asserts it. Harnesses of one folder are called one after another, and leave it as they find it.
"""

from __future__ import annotations

from tests.fuzz import indexes, packs, places, projects
from tests.fuzz.harness import ALLOWED, Harness

__all__ = ["ALL", "ALLOWED", "Harness"]

ALL = {
    harness.name: harness for harness in (*packs.HARNESSES, *places.HARNESSES, *projects.HARNESSES, *indexes.HARNESSES)
}
