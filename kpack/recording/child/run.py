"""Runs the code that is recorded: ``run.py SPEC``, in the interpreter that it is for.

``SPEC`` is a JSON file: ``script`` (a path), or ``cells`` (of a notebook: ``raw``, and ``kind``, ``text``, ``lines``,
``name`` as `kpack.importing.cells` takes them apart), and ``result``, the file that gets ``{"error", "skipped"}``.
IPython runs the cells where the interpreter has it. Standard library only, CPython 3.8 or newer.
"""

from __future__ import annotations

import ast
import asyncio
import inspect
import json
import os
import re
import runpy
import subprocess
import sys
import traceback
from typing import Any, Dict, List, Optional

SHOWN = 400
"""Characters of an error that are kept."""
PROGRAMS = ("apt", "apt-get", "conda", "git", "mamba", "micromamba", "mim", "poetry", "uv", "wget")
"""What IPython runs without a ``!``."""


class Failed(Exception):
    """A cell failed; says which, and why."""


def main(spec: Dict[str, Any]) -> int:
    """Run it and return 1 when it failed."""
    error: Optional[str] = None
    skipped: List[str] = []
    try:
        if "script" in spec:
            sys.argv[:] = [spec["script"]]
            sys.path[0] = os.path.dirname(spec["script"])
            runpy.run_path(spec["script"], run_name="__main__")
        else:
            sys.argv[:] = [""]
            sys.path[0] = ""
            skipped = cells(spec["cells"])
    except SystemExit as stop:
        error = None if not stop.code else "it ended with {!r}".format(stop.code)[:SHOWN]
    except Failed as failed:
        error = str(failed)[:SHOWN]
    except BaseException as failed:  # noqa: BLE001 - whatever it is, it is the code's own
        traceback.print_exc()
        error = "{}: {}".format(type(failed).__name__, " ".join(str(failed).split()))[:SHOWN]
    with open(spec["result"], "w", encoding="utf-8") as stream:
        json.dump({"error": error, "skipped": skipped}, stream)
    return int(error is not None)


def cells(given: List[Dict[str, Any]]) -> List[str]:
    """Run the cells of a notebook; return the magics that could not be run. Raises `Failed`."""
    try:
        from IPython.core.interactiveshell import InteractiveShell
    except ImportError:
        InteractiveShell = None  # type: ignore[assignment,misc]  # noqa: N806
    if InteractiveShell is None:
        plain = Plain()
        for number, cell in enumerate(given, start=1):
            plain.run(number, cell)
        return plain.skipped
    shell: Any = InteractiveShell.instance()
    for number, cell in enumerate(given, start=1):
        done = shell.run_cell(cell["raw"], store_history=True)
        failed = done.error_before_exec or done.error_in_exec
        if failed is not None:
            words = " ".join(str(failed).split())
            raise Failed("cell {}: {}: {}".format(number, type(failed).__name__, words))
    return []


class Plain:
    """Runs cells without IPython."""

    def __init__(self) -> None:
        self.names: Dict[str, Any] = {"__name__": "__main__", "__kpack_line__": self.line}
        self.lines: List[Any] = []
        self.skipped: List[str] = []

    def run(self, number: int, cell: Dict[str, Any]) -> None:
        """Run one cell."""
        try:
            if cell["kind"] == "python":
                self.lines = cell["lines"]
                self.python(number, cell["text"])
            elif cell["kind"] == "shell":
                self.shell(cell["text"])
            elif cell["kind"] == "file":
                words = cell["name"].split()
                with open(words[-1], "a" if "-a" in words else "w", encoding="utf-8") as stream:
                    stream.write(cell["text"])
            else:
                self.skipped.append("%%" + cell["name"])
        except Exception as error:
            traceback.print_exc()
            words = " ".join(str(error).split())
            raise Failed("cell {}: {}: {}".format(number, type(error).__name__, words)) from error

    def python(self, number: int, text: str) -> None:
        """Run Python, with ``await`` at the top as IPython has it."""
        code = compile(text, "<cell {}>".format(number), "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        if code.co_flags & inspect.CO_COROUTINE:
            asyncio.run(eval(code, self.names))  # noqa: S307 - the notebook's own code
        else:
            exec(code, self.names)  # noqa: S102

    def line(self, number: int) -> Any:
        """Run a shell line or a magic."""
        name, text = self.lines[number][:2]
        text = re.sub(r"\{([^{}]+)\}|\$([A-Za-z_]\w*)", self.value, text)
        if name.startswith("!"):
            return self.shell(text)
        if name in ("pip", "pip3"):
            return self.shell('"{}" -m pip {}'.format(sys.executable, text))
        if name in PROGRAMS:
            return self.shell("{} {}".format(name, text))
        if name == "cd":
            os.chdir(os.path.expanduser(text.strip("'\" ") or "~"))
        elif name in ("env", "set_env") and text:
            key, _, value = text.partition("=" if "=" in text else " ")
            os.environ[key.strip()] = value.strip()
        else:
            self.skipped.append("%{} {}".format(name, text).strip())
        return None

    def value(self, match: Any) -> str:
        """Return what a variable in a command stands for, as IPython does; what is none stays."""
        try:
            return str(eval(match[1] or match[2], self.names))  # noqa: S307 - the notebook's own words
        except Exception:  # noqa: BLE001 - the shell's own braces and variables
            return str(match[0])

    def shell(self, text: str) -> List[str]:
        """Run a command line, as IPython does whatever it returns; return what it prints."""
        done = subprocess.run(text, shell=True, stdout=subprocess.PIPE, check=False)  # noqa: S602 - the notebook's
        said = done.stdout.decode("utf-8", "replace")
        sys.stdout.write(said)
        return said.splitlines()


if __name__ == "__main__":
    with open(sys.argv[1], encoding="utf-8") as given:
        sys.exit(main(json.load(given)))
