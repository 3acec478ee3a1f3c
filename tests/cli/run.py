"""The real command line, each call in a process of its own."""

from __future__ import annotations

import atexit
import functools
import os
from typing import TYPE_CHECKING

from tests.support.terminal import ROOT, Done, Terminal

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["ROOT", "Done", "kpack", "terminal"]


@functools.cache
def terminal() -> Terminal:
    """Return the terminal of this process of tests."""
    made = Terminal()
    atexit.register(made.__exit__)
    return made.__enter__()


def kpack(folder: Path, *words: str, **environ: str) -> Done:
    """Run ``kpack`` in ``folder``; a traceback on either stream fails the test."""
    done = terminal().run(
        list(words),
        folder,
        {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1", "NO_COLOR": "1", **environ},
    )
    assert "Traceback" not in done.out + done.err, done.err
    return done
