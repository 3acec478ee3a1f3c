"""The GPUs that compiled code is for, as the containers of NVIDIA's compiler in a shared object tell.

A container begins with a magic number and holds, one after another, machine code (``sm_75``) and assembly that the
driver compiles (``compute_90``), each with a header that names its architecture. The layout is not documented by
NVIDIA; whatever does not look like it is passed over.
"""

from __future__ import annotations

import re
import struct
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

_MAGIC = b"\x50\xed\x55\xba"
_CONTAINER = struct.Struct("<4sHHQ")
"""Magic, version, its own size, and the size of what follows."""
_ENTRY = struct.Struct("<HHIQ12xI32x")
"""Kind, version, its own size, the size of the code behind it, and the architecture."""
_KINDS = {1: "compute", 2: "sm"}
_LARGEST_HEADER = 4096

CAPABILITIES = {"P100": 60, "V100": 70, "T4": 75, "A100": 80, "L4": 89, "H100": 90, "RTX-PRO-6000": 120}
"""Compute capability, times ten, of the GPUs of Kaggle and its neighbours."""


class Gpu(NamedTuple):
    """The GPU of a session."""

    name: str
    capability: int
    """Times ten: 75."""


def gpu_of(accelerator: str, probed: Sequence[str]) -> Gpu | None:
    """Return the GPU that kaggle-env.toml names, else the first one that a probe saw (``Tesla T4, 7.5``); else None."""
    if accelerator:
        return Gpu(accelerator, CAPABILITIES[accelerator])
    for line in probed:
        name, comma, capability = line.rpartition(", ")
        if comma and re.fullmatch(r"[0-9]{1,2}\.[0-9]", capability):
            return Gpu(name, int(capability.replace(".", "")))
    return None


class DeviceScan:
    """Finds the architectures in the bytes of one file as they come."""

    def __init__(self) -> None:
        self.found: set[tuple[str, int]] = set()
        """Kind and architecture: ``("sm", 75)``."""
        self._rest = b""
        self._start = 0
        """Where in the file `_rest` begins."""
        self._next = 0
        """Where to go on."""
        self._end = 0
        """Where the container ends that is being read; 0 outside of one."""

    def feed(self, piece: bytes) -> None:
        """Take the next bytes."""
        if self._next >= self._start + len(self._rest) + len(piece):
            self._start += len(self._rest) + len(piece)
            self._rest = b""
            return
        data = self._rest + piece
        while self._step(data):
            pass
        kept = min(self._next - self._start, len(data))
        self._rest = data[kept:]
        self._start += kept

    def _step(self, data: bytes) -> bool:
        """Go on by one header; tell whether there is more in ``data``."""
        at = self._next - self._start
        if not self._end:
            found = data.find(_MAGIC, at)
            if found < 0:
                self._next = self._start + max(at, len(data) - len(_MAGIC) + 1)
                return False
            self._next = self._start + found
            if found + _CONTAINER.size > len(data):
                return False
            _, version, header, size = _CONTAINER.unpack_from(data, found)
            if (version, header) == (1, _CONTAINER.size):
                self._next += header
                self._end = self._next + size
            else:
                self._next += len(_MAGIC)
            return True
        if self._next + _ENTRY.size > self._end:
            self._end = 0
            return at < len(data)
        if at + _ENTRY.size > len(data):
            return False
        kind, _, header, size, architecture = _ENTRY.unpack_from(data, at)
        if not _ENTRY.size <= header <= _LARGEST_HEADER or not 10 <= architecture < 1000:
            self._end = 0
        else:
            if kind in _KINDS:
                self.found.add((_KINDS[kind], architecture))
            self._next += header + size
        return True

    @property
    def names(self) -> tuple[str, ...]:
        """``sm_75``, ``compute_90``, in their order."""
        return tuple(f"{kind}_{number}" for kind, number in sorted(self.found, key=lambda item: (item[1], item[0])))


def runs(names: tuple[str, ...], capability: int) -> bool:
    """Tell whether code for ``names`` runs on a GPU: machine code of its generation, or assembly of an older one."""
    for name in names:
        kind, _, number = name.partition("_")
        built = int(number)
        if built <= capability and (kind == "compute" or built // 10 == capability // 10):
            return True
    return False
