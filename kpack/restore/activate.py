"""The end of a restore in the running process: what was installed is importable, here and in child processes."""

from __future__ import annotations

import importlib
import os
import site
import sys
from types import MappingProxyType
from typing import TYPE_CHECKING, Iterable, List, Mapping, Sequence, Set

from .errors import INTEGRITY, MACHINE, RestoreError
from .search import entries

if TYPE_CHECKING:
    from .scheme import Scheme

_REFUSED = ("LD_", "PYTHON")
_DEFAULTS = {"XDG_DATA_DIRS": "/usr/local/share:/usr/share"}
"""What a variable that is not set stands for (XDG base directories)."""


def refuse_environment(env: Mapping[str, str]) -> None:
    """Refuse variables that change how programs start. Raises RestoreError (code 5)."""
    for name in env:
        if name.startswith(_REFUSED) or name == "PATH" or not name or "=" in name:
            raise RestoreError(
                INTEGRITY, "[restore] env may not set {}".format(name), where="kpack.json", next="build the pack again"
            )


def unseen(env: Mapping[str, str]) -> List[str]:
    """Return a note when the Hub's client, which reads its variables once, was imported before they are set."""
    names = sorted(name for name in env if name.startswith("HF_") and os.environ.get(name) != env[name])
    if not names or "huggingface_hub.constants" not in sys.modules:
        return []
    return [
        "huggingface_hub was imported before this and will not see {}: it may ask the network for what is here; "
        "restart the kernel and run this line before anything imports it".format(" and ".join(names))
    ]


def finish(
    scheme: Scheme,
    env: Mapping[str, str],
    pth: Mapping[str, str],
    folders: Mapping[str, Sequence[str]] = MappingProxyType({}),
) -> None:
    """Set variables and paths, run the hooks of new ``.pth`` files, drop import caches.

    ``pth`` says by absolute path who brings such a file, ``folders`` what goes before what a variable holds.
    Raises RestoreError (code 7) when one of them ends an interpreter.
    """
    for name, paths in folders.items():
        if name in _DEFAULTS and not os.environ.get(name):
            os.environ[name] = _DEFAULTS[name]
        for path in reversed(paths):
            _variable(name, path)
    os.environ.update(env)
    before = list(sys.path)
    if scheme.target is not None:
        _front(scheme.target)
        _variable("PATH", scheme.scripts)
    else:
        # A folder that was not there when the interpreter started is not on its path.
        sys.path += [lib for lib in dict.fromkeys((scheme.purelib, scheme.platlib)) if lib not in sys.path]
    known = {os.path.abspath(path) for path in entries()}
    for path in pth:
        _hook(path, pth[path], known)
    if scheme.target is not None:
        # Child processes do not read .pth files in a folder of PYTHONPATH, so they get what came of them.
        for path in reversed([scheme.target, *(item for item in entries() if item not in before)]):
            _variable("PYTHONPATH", path)
    importlib.invalidate_caches()


def _hook(path: str, owner: str, known: Set[str]) -> None:
    try:
        site.addpackage(os.path.dirname(path), os.path.basename(path), known)
    except (SystemExit, UnicodeDecodeError) as error:
        # Before Python 3.13 a file that is no text ends the interpreter's start, too.
        why = "exit {}".format(error.code) if isinstance(error, SystemExit) else "it is no text"
        raise RestoreError(
            MACHINE,
            "this file, which {} brings, ends every Python that starts here ({}); everything is installed and "
            "stands".format(owner, why),
            where=path,
            next="exclude {} and build again, or see what the file asks of the environment".format(owner),
        ) from error


def pth_files(folders: Iterable[str]) -> List[str]:
    """Return the ``.pth`` files directly in ``folders``, sorted."""
    found = []
    for folder in sorted(filter(os.path.isdir, set(folders))):
        found += [os.path.join(folder, name) for name in os.listdir(folder) if name.endswith(".pth")]
    return sorted(found)


def _front(folder: str) -> None:
    """Put a folder before everything but the place of the running script."""
    while folder in sys.path:
        sys.path.remove(folder)
    sys.path.insert(1 if sys.path[:1] == [""] else 0, folder)


def _variable(name: str, folder: str) -> None:
    items = [item for item in os.environ.get(name, "").split(os.pathsep) if item and item != folder]
    os.environ[name] = os.pathsep.join([folder, *items])
