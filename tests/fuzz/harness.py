"""What a harness is, and what the harnesses share."""

from __future__ import annotations

import os
import shutil
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kpack import bootstrap
from kpack.errors import KpackError
from kpack.resolve.worker.metadata import BadMetadata
from kpack.resolve.worker.web import Unreachable
from kpack.restore.errors import RestoreError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

ALLOWED = (KpackError, RestoreError, bootstrap.Untrusted, Unreachable, BadMetadata)
"""kpack's error, and what stands for it below the command line: in a pack's code, and in the resolver's process."""

HERE = "{}.{}".format(*sys.version_info[:2])
WHEEL = "small-1.0-py3-none-any.whl"


@dataclass(frozen=True)
class Harness:
    """One reader."""

    name: str
    run: Callable[[bytes, Path], object]
    """Takes the bytes, and a folder of the harness's own."""
    seeds: Callable[[Path], Iterable[bytes]]
    """Right files to begin with; the folder may be written to."""


def fresh(folder: Path, name: str) -> Path:
    """Return a new folder of that name."""
    found = folder / name
    shutil.rmtree(found, ignore_errors=True)
    found.mkdir(parents=True)
    return found


def put(folder: Path, name: str, data: bytes) -> Path:
    """Write a file and return its path."""
    path = folder / name
    path.write_bytes(data)
    return path


@contextmanager
def unchanged() -> Iterator[None]:
    """Keep what a restore into this process changes of it; what is installed here is out of its sight, for speed."""
    before, environment = sys.path[:], dict(os.environ)
    sys.path[:] = [path for path in before if not path.endswith(("site-packages", "dist-packages"))]
    try:
        yield
    finally:
        sys.path[:] = before
        os.environ.clear()
        os.environ.update(environment)
