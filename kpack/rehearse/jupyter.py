"""ipykernel for the rehearsed interpreter, kept out of its environment."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from kpack.errors import MachineError, installing
from kpack.rehearse.real import install

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kpack.cache import Cache
    from kpack.rehearse.interpreter import KernelPython


def need_client() -> None:
    """Raise MachineError when this Python cannot run notebooks."""
    missing = [name for name in ("nbclient", "nbformat") if importlib.util.find_spec(name) is None]
    if missing:
        raise MachineError(
            f"a notebook is run with {' and '.join(missing)}, which kpack's own Python does not have",
            next=installing("rehearse"),
        )


def kernel_folder(
    interpreter: KernelPython, env_python: Path, pins: Mapping[str, str], cache: Cache, work: Path
) -> Path:
    """Return a folder that has ipykernel for ``interpreter``: of an earlier time, kpack's own, or from the index.

    ``pins`` are the versions of the image, which it takes where they are known.

    Raises:
        NetworkError: it would have to be fetched, and cannot be.

    """
    wanted = {name: pins[name] for name in ("ipykernel", "ipython") if name in pins}
    label = "-".join(["ipykernel", f"cp{interpreter.series.replace('.', '')}", *wanted.values()])
    kept = cache.root / "rehearse" / label
    if kept.is_dir():
        return kept
    if interpreter.series == ".".join(map(str, sys.version_info[:2])) and importlib.util.find_spec("ipykernel"):
        folder = work / "kernel-site"
        folder.mkdir()
        _link(folder)
        return folder
    install(["ipykernel"], pins, env_python, into=kept)
    return kept


def _link(folder: Path) -> None:
    """Show ipykernel, and all that it needs, of kpack's own Python in ``folder``."""
    waiting, seen = ["ipykernel"], set()
    while waiting:
        name = canonicalize_name(waiting.pop())
        if name in seen:
            continue
        seen.add(name)
        try:
            found = importlib.metadata.distribution(name)
        except importlib.metadata.PackageNotFoundError:
            continue
        waiting += [
            needed.name
            for needed in map(Requirement, found.requires or ())
            if needed.marker is None or needed.marker.evaluate({"extra": ""})
        ]
        for top in {path.parts[0] for path in found.files or ()} - {"..", "__pycache__"}:
            place = Path(str(found.locate_file(top)))
            if place.exists() and not (folder / top).exists():
                (folder / top).symlink_to(place)
