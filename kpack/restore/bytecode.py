"""Byte-compiling in parallel, in processes of the interpreter that will run the code."""

from __future__ import annotations

import importlib.util
import json
import sys
from typing import Iterable, List, Sequence, Tuple

_WORKER = """\
import json, py_compile, sys
for source, shown, cache in json.load(sys.stdin):
    try:
        py_compile.compile(source, cache, shown, doraise=True)
    except (py_compile.PyCompileError, ValueError, OSError):
        pass
"""


def cached_names(paths: Iterable[str]) -> List[str]:
    """Return where the bytecode of the Python files among ``paths`` goes."""
    return [importlib.util.cache_from_source(path) for path in paths if path.endswith(".py")]


def compile_files(sources: Sequence[Tuple[str, str, str]], processes: int) -> None:
    """Compile files, given as (where it is now, where it will be, where its bytecode goes).

    A file that is no valid Python (templates, code for another version) is left without bytecode, as pip does.
    """
    import subprocess

    count = max(1, min(processes, len(sources) // 20 + 1))
    children = [
        subprocess.Popen([sys.executable, "-I", "-S", "-c", _WORKER], stdin=subprocess.PIPE, universal_newlines=True)
        for _ in range(count)
    ]
    for number, child in enumerate(children):
        assert child.stdin is not None
        json.dump(sources[number::count], child.stdin)
        child.stdin.close()
    for child in children:
        child.wait()
