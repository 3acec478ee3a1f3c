"""Where a wheel's files go: the interpreter's own default scheme, or one folder."""

from __future__ import annotations

import os
import sys
import sysconfig
from typing import Dict, NamedTuple, Optional

from .errors import MISFIT, RestoreError


class Scheme(NamedTuple):
    """The folders of an installation, absolute."""

    purelib: str
    platlib: str
    scripts: str
    data: str
    include: str
    """Each distribution's headers go to a folder of its own below."""
    target: Optional[str] = None
    """The folder of a restore with ``--target``."""

    def root(self, key: str, distribution: str) -> str:
        """Return the folder for a key of a wheel's ``.data`` folder.

        Raises KeyError for a key that the wheel specification does not have.
        """
        if key == "headers":
            return os.path.join(self.include, distribution)
        if key not in ("purelib", "platlib", "scripts", "data"):
            raise KeyError(key)
        return str(getattr(self, key))

    @property
    def state(self) -> str:
        """The folder that holds kpack's journal, lock file and mark."""
        return os.path.join(self.purelib, ".kpack")


def default() -> Scheme:
    """Return where ``pip install`` puts things for the running interpreter.

    The interpreter is asked, never a path composed: Debian's patched ones install to ``dist-packages``. In a
    virtual environment headers go where pip has always put them, ``include/site/pythonX.Y``.
    """
    if sys.version_info >= (3, 10):
        paths = sysconfig.get_paths(sysconfig.get_preferred_scheme("prefix"))
    else:
        paths = _before_310()
    include = paths["include"]
    if sys.prefix != sys.base_prefix:
        include = os.path.join(sys.prefix, _venv_include())
    return Scheme(
        purelib=os.path.abspath(paths["purelib"]),
        platlib=os.path.abspath(paths["platlib"]),
        scripts=os.path.abspath(paths["scripts"]),
        data=os.path.abspath(paths["data"]),
        include=os.path.abspath(include),
    )


def _before_310() -> Dict[str, str]:
    """Return the default paths of an interpreter whose sysconfig cannot name its preferred scheme.

    Before 3.10 Debian patched distutils only, which knows the scheme as ``unix_local``.
    """
    paths = sysconfig.get_paths()
    if paths["purelib"] not in sys.path and sys.prefix == sys.base_prefix:
        local = os.path.join(sys.prefix, "local", "lib", "python{}.{}".format(*sys.version_info[:2]), "dist-packages")
        if local in sys.path:
            data = os.path.join(sys.prefix, "local")
            paths.update(purelib=local, platlib=local, scripts=os.path.join(data, "bin"), data=data)
    return paths


def _venv_include() -> str:
    return "include/site/python{}.{}".format(*sys.version_info[:2])


def for_target(folder: str) -> Scheme:
    """Return the layout of ``pip install --target folder``."""
    root = os.path.abspath(os.path.expanduser(folder))
    return Scheme(
        purelib=root,
        platlib=root,
        scripts=os.path.join(root, "bin"),
        data=root,
        include=os.path.join(root, _venv_include() if sys.prefix != sys.base_prefix else "include/python"),
        target=root,
    )


def refuse_managed() -> None:
    """Obey EXTERNALLY-MANAGED as PEP 668 asks of installers.

    Raises RestoreError (code 6) when the distributor of this interpreter wants no installations into it.
    """
    if sys.prefix != sys.base_prefix:
        return
    marker = os.path.join(sysconfig.get_path("stdlib"), "EXTERNALLY-MANAGED")
    if os.path.isfile(marker):
        raise RestoreError(
            MISFIT,
            "this Python is managed by the operating system, which wants no packages installed into it",
            where=marker,
            next="restore into a virtual environment (--python PATH) or a folder (--target DIR)",
        )
