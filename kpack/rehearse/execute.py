"""Runs a notebook in a Jupyter kernel: ``python -I execute.py SPEC``, kpack's own Python with nbclient.

It is a process inside the walls of a rehearsal, beside the kernel that it starts. ``SPEC`` is a JSON file:
``notebook``, ``executed`` (where to write it with its outputs), ``kernel`` (the command that starts the kernel),
``runtime`` (a folder), ``result`` (the file that gets ``{"ok", "error"}``).
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

NAME = "rehearsal"
SHOWN = 400
"""Characters of an error that are kept."""


def main(spec: dict[str, Any]) -> int:
    """Execute the notebook; return 1 when a cell fails."""
    runtime = Path(spec["runtime"])
    folder = runtime / "kernels" / NAME
    folder.mkdir(parents=True, exist_ok=True)
    kernel = {"argv": spec["kernel"], "display_name": NAME, "language": "python"}
    (folder / "kernel.json").write_text(json.dumps(kernel), encoding="utf-8")
    os.environ.update(JUPYTER_PATH=str(runtime), JUPYTER_RUNTIME_DIR=str(runtime / "run"))
    import nbformat
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError, DeadKernelError

    notebook = nbformat.read(spec["notebook"], as_version=4)
    notebook.metadata["kernelspec"] = {"name": NAME, "display_name": NAME, "language": "python"}
    client = NotebookClient(notebook, timeout=None, kernel_name=NAME, resources={"metadata": {"path": str(Path.cwd())}})
    error = None
    try:
        client.execute()
    except CellExecutionError as failed:
        error = f"{_place(notebook)}: {failed.ename}: {' '.join(str(failed.evalue).split())}"[:SHOWN]
    except DeadKernelError:
        error = f"{_place(notebook)}: the kernel died (a crash, or out of memory)"
    except RuntimeError as failed:
        error = f"the kernel did not start: {failed}"[:SHOWN]
    nbformat.write(notebook, spec["executed"])
    Path(spec["result"]).write_text(json.dumps({"ok": error is None, "error": error}), encoding="utf-8")
    return int(error is not None)


def _place(notebook: Any) -> str:
    """Return the number that the failed cell bears, and its number among all cells where it bears none."""
    begun = [cell for cell in notebook.cells if cell.cell_type == "code" and cell.get("execution_count")]
    return f"cell [{begun[-1]['execution_count']}]" if begun else "the first cell"


if __name__ == "__main__":
    sys.exit(main(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))))
