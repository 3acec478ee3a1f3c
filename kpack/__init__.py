"""Carry a Python environment and its model checkpoints into a Kaggle notebook that has no internet.

The command's steps are functions here, too; each is imported when it is first used::

    import kpack

    kpack.lock("kaggle-env.toml")
    pack = kpack.build("kaggle-env.toml")
    assert kpack.verify(pack.path).ok
    kpack.restore(pack.path, target="env")
    print(pack.line)

See `kpack.library` for what they take, return and raise.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kpack.library import (
        BuiltPack,
        CheckFailed,
        ExitCode,
        IntegrityError,
        KpackError,
        Locked,
        MachineError,
        MisfitError,
        NetworkError,
        NoSolution,
        Problem,
        Restored,
        UsageError,
        Verified,
        build,
        lock,
        restore,
        verify,
    )

__version__ = "0.2.0"

DISTRIBUTION = "kaggle-kpack"
"""What a package index knows kpack as; the distribution named ``kpack`` there is somebody else's project."""

__all__ = [
    "DISTRIBUTION",
    "BuiltPack",
    "CheckFailed",
    "ExitCode",
    "IntegrityError",
    "KpackError",
    "Locked",
    "MachineError",
    "MisfitError",
    "NetworkError",
    "NoSolution",
    "Problem",
    "Restored",
    "UsageError",
    "Verified",
    "__version__",
    "build",
    "lock",
    "restore",
    "verify",
]


def __getattr__(name: str) -> Any:
    if name in __all__:
        from kpack import library

        return getattr(library, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)


class _Steps(ModuleType):
    """Keeps ``kpack.lock`` and ``kpack.restore`` the functions, although two rooms bear these names.

    The import system binds a submodule to its package when it is imported. ``from kpack.lock import …`` does not
    need that, and a step that turns into a module once some other step has run would be a trap.
    """

    def __setattr__(self, name: str, value: object) -> None:
        if not (name in ("lock", "restore") and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Steps
