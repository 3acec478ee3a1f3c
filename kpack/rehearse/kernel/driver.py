"""Runs the line in the rehearsed interpreter, then imports every module that was packed, and writes down what happens.

``driver.py SPEC``, a JSON file: ``line``, ``modules``, ``out`` (a file that gets one JSON object a line).
Standard library only, CPython 3.8 or newer. The work is done in a child, so that a module that brings the
process down ends no more than its own import.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
import traceback
import warnings
from typing import Any, Dict, Iterator, List, Tuple

KEPT = 300
"""Characters of an error message that are kept."""
END = "."
"""What a child names last: no module. One that ended without it was ended by what it ran, whatever its exit code."""


class Out:
    """The file of what happened, one JSON object a line."""

    def __init__(self, path: str) -> None:
        self.descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)

    def __call__(self, **row: Any) -> None:
        """Add an object."""
        os.write(self.descriptor, (json.dumps(row) + "\n").encode())


def main(spec: Dict[str, Any]) -> int:
    """Run the line and the imports in as many children as it takes; return 1 when the line failed."""
    out = Out(spec["out"])
    modules: List[str] = spec["modules"]
    while True:
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(reader)
            code = 70
            try:
                code = work(spec["line"], modules, out, writer)
            finally:
                flush()
                os._exit(code)
        os.close(writer)
        with os.fdopen(reader) as stream:
            begun = stream.read().split()
        status = os.waitpid(child, 0)[1]
        if not begun:
            if os.WIFSIGNALED(status):
                out(kind="line", ok=False, code=-os.WTERMSIG(status), seconds=0)
            return (not os.WIFSIGNALED(status) and os.WEXITSTATUS(status)) or 1
        if begun[-1] == END:
            return 0
        how = "signal {}".format(os.WTERMSIG(status)) if os.WIFSIGNALED(status) else "exit {}".format(status >> 8)
        out(kind="import", module=begun[-1], ok=False, error="the process ended with " + how, stub=None, seconds=0)
        modules = modules[modules.index(begun[-1]) + 1 :]
        if not modules:
            return 0


def work(line: str, modules: List[str], out: Out, writer: int) -> int:
    """Run the line, then import ``modules`` one by one, each named on ``writer`` before."""
    sys.path[0] = ""
    sys.argv = [""]
    told = warnings.showwarning

    def show(message: Any, category: Any, filename: str, lineno: int, *rest: Any) -> None:
        out(kind="warning", category=category.__name__, message=str(message)[:KEPT], where=short(filename), line=lineno)
        told(message, category, filename, lineno, *rest)

    warnings.showwarning = show  # type: ignore[assignment]
    begun = time.monotonic()
    code = 0
    try:
        exec(compile(line, "<the line>", "exec"), {"__name__": "__main__"})  # noqa: S102 - the very text that is pasted
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    except BaseException:  # noqa: BLE001 - whatever it is, it is the line's failure
        traceback.print_exc()
        code = 70
    out(kind="line", ok=not code, code=code, seconds=time.monotonic() - begun)
    if code:
        return 1
    for module in modules:
        os.write(writer, (module + "\n").encode())
        out(kind="importing", module=module)
        begun = time.monotonic()
        error, stub = attempt(module)
        flush()
        out(kind="import", module=module, ok=error is None, error=error, stub=stub, seconds=time.monotonic() - begun)
    os.write(writer, (END + "\n").encode())
    return 0


def attempt(module: str) -> Tuple[Any, Any]:
    """Import a module and return (error or None, the stub that it came from or None)."""
    try:
        exec(compile("import " + module, "<import {}>".format(module), "exec"), {"__name__": "__main__"})  # noqa: S102
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001 - SystemExit at import is a failure like any other
        traceback.print_exc()
        stubs = [found.name for found in chain(error) if type(found).__name__ == "StubImportError"]
        return described(error), (stubs[0] if stubs else None)
    return None, None


def chain(error: Any) -> Iterator[Any]:
    """Yield an exception and what it came from."""
    seen = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def described(error: BaseException) -> str:
    """Return an error in one line, with the place that raised it."""
    text = "{}: {}".format(type(error).__name__, " ".join(str(error).split()))[:KEPT]
    if type(error).__name__ == "StubImportError":
        text = str(error)
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if is_foreign(frame.filename)]
    if frames:
        text += " ({}:{})".format(short(frames[-1].filename), frames[-1].lineno)
    return text


def is_foreign(path: str) -> bool:
    """Tell whether a frame is neither the rehearsal's nor the import system's."""
    return os.path.dirname(path) != os.path.dirname(__file__) and not path.startswith(("<import ", "<frozen importlib"))


def short(path: str) -> str:
    """Return a path from the package on."""
    return path.rpartition("-packages/")[2] or path


def flush() -> None:
    """Write out what was printed."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):  # an import closed it
            stream.flush()


if __name__ == "__main__":
    with open(sys.argv[1], encoding="utf-8") as given:
        sys.exit(main(json.load(given)))
