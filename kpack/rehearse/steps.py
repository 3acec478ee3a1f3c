"""The processes of a rehearsal, as the warden is told of them: the user's own code, the line, the imports."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kpack.errors import MachineError
from kpack.files import given

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from kpack.pack import ReadPack
    from kpack.rehearse.modules import Module
    from kpack.rehearse.options import RehearsalOptions
    from kpack.rehearse.stage import Stage

PYTHON = "{python}"
"""The word of a command that the warden replaces with its own interpreter."""
_EXECUTE = Path(__file__).with_name("execute.py")


def inputs(pack: ReadPack, options: RehearsalOptions) -> dict[str, Path]:
    """Return what stands below ``/kaggle/input``: the pack where Kaggle mounts its dataset, and what the user adds.

    Raises:
        MachineError: an input is not there.

    """
    name = pack.manifest.name
    slug = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "pack"
    suffix = ".kpack" if pack.is_folder else ".kpack.bin"
    found = {f"datasets/{options.dataset or f'rehearsal/{slug}'}/{name}{suffix}": pack.path.resolve()}
    for place, source in options.inputs.items():
        if not source.exists():
            raise MachineError("there is no such file or folder", where=str(source), next="name an input that is there")
        found[place.strip("/")] = source.resolve()
    return found


class Steps:
    """Makes the steps of one rehearsal, each in the variables ``env`` and the folder ``cwd``."""

    def __init__(self, stage: Stage, python: str, env: Mapping[str, str], cwd: str) -> None:
        self.stage = stage
        self.python = python
        self.env = dict(env)
        self.cwd = cwd

    def step(self, name: str, argv: Sequence[str], *, needed: bool = False) -> dict[str, Any]:
        """Return a step; after one that is ``needed`` and fails no other is run."""
        return {
            "name": name,
            "argv": list(argv),
            "env": self.env,
            "cwd": self.cwd,
            "needed": needed,
            "stdout": str(self.stage.work / "out" / f"{name}.out"),
            "stderr": str(self.stage.work / "out" / f"{name}.err"),
        }

    def line(self, line: str, modules: Sequence[Module], name: str = "line") -> dict[str, Any]:
        """Return the step that runs the line and imports ``modules``."""
        spec = self.stage.work / "out" / f"{name}.json"
        content = {"line": line, "modules": [item.name for item in modules], "out": str(self.stage.out)}
        spec.write_text(json.dumps(content), encoding="utf-8")
        return self.step(name, [self.python, str(self.stage.kernel / "driver.py"), str(spec)])

    def script(self, script: Path, *, shown: bool) -> dict[str, Any]:
        """Return the step that runs a script; ``shown`` says that it can be seen below ``/kaggle/src``."""
        copy = self.stage.source / script.name
        copy.write_bytes(_read(script))
        return self.step("script", [self.python, f"/kaggle/src/{copy.name}" if shown else str(copy)])

    def notebook(self, notebook: Path, site: Path | None, client: str = sys.executable) -> dict[str, Any]:
        """Return the step that runs a notebook.

        ``site`` is the folder that has ipykernel, None where the interpreter itself has it; ``client`` the Python
        that has nbclient.
        """
        out = self.stage.work / "out"
        copy = out / "notebook.ipynb"
        copy.write_bytes(_read(notebook))
        launch = [self.python, str(self.stage.kernel / "launch.py"), str(site or "")]
        content = {
            "notebook": str(copy),
            "executed": str(out / "executed.ipynb"),
            "kernel": [*launch, "-f", "{connection_file}"],
            "runtime": str(self.stage.work / "jupyter"),
            "result": str(out / "notebook.result"),
        }
        spec = out / "notebook.json"
        spec.write_text(json.dumps(content), encoding="utf-8")
        execute = self.stage.kernel / "execute.py"
        execute.write_bytes(_EXECUTE.read_bytes())
        return self.step("notebook", [client, "-I", str(execute), str(spec)])


def _read(path: Path) -> bytes:
    return given(path, next="name a script or a notebook")
