"""Which kind of file an input is: told by its name, and for TOML by what it holds."""

from __future__ import annotations

import contextlib
import re
from typing import TYPE_CHECKING

from kpack.environment.errors import shown_path
from kpack.errors import UsageError
from kpack.importing import conda, locks, notebook, project, requirements

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from kpack.importing.harvest import Harvest

_KINDS: tuple[tuple[str, Callable[[Path, Harvest], None]], ...] = (
    (r".*\.ipynb", notebook.from_notebook),
    (r".*\.pyw?", notebook.from_script),
    (r".*\.(?:txt|in|pip)", requirements.from_requirements),
    (r"pipfile\.lock", locks.from_pipfile),
    (r"pipfile", project.from_pipfile),
    (r".*\.ya?ml", conda.from_environment),
)
_WITH_EXTRAS = (
    (r".*pyproject.*\.toml", project.from_pyproject),
    (r"pylock(?:\.[^.]+)?\.toml", locks.from_pylock),
    (r"uv\.lock", locks.from_uv),
    (r"poetry\.lock", locks.from_poetry),
)
"""Those that have extras and groups."""
_RUNS = (notebook.from_notebook, notebook.from_script)
"""Those whose lines run one after the other; what the others ask for holds at once, as of `pip install -r A -r B`."""
_LISTS = "lists"


def read(path: Path, harvest: Harvest, *, extras: Sequence[str] = (), groups: Sequence[str] = ()) -> None:
    """Add what one input says; ``extras`` and ``groups`` are those of a project or of its lock.

    Raises:
        UsageError: the file is missing, is of no known kind, or is not what its name says.
        MachineError: it cannot be read.

    """
    name = path.name.lower()
    for pattern, chooser in _WITH_EXTRAS:
        if re.fullmatch(pattern, name):
            with harvest.together(_LISTS):
                chooser(path, harvest, extras=extras, groups=groups)
            return
    for pattern, reader in _KINDS:
        if re.fullmatch(pattern, name):
            with contextlib.nullcontext() if reader in _RUNS else harvest.together(_LISTS):
                reader(path, harvest)
            return
    raise UsageError(
        "its name does not say what kind of file it is",
        where=shown_path(path),
        next="--from takes .ipynb, .py, .txt (requirements), pyproject.toml, uv.lock, pylock.toml, poetry.lock, "
        "Pipfile, Pipfile.lock and environment.yml",
    )
