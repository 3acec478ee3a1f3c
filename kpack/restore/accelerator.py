"""ISA-L, when the pack brings it: unpacked to a private folder, used for this restore only."""

from __future__ import annotations

import importlib
import os
import shutil
import sys
from typing import TYPE_CHECKING, Any, Dict, Optional

from . import tags, temporary
from .errors import RestoreError
from .inflate import Inflater
from .wheelzip import DEFLATED, data_offset, read_directory

if TYPE_CHECKING:
    from .pack import Pack

_NAME = "isal"


class Accelerator:
    """A context that yields the fastest `Inflater` at hand; nothing of it stays in the process or on the disk."""

    def __init__(self, pack: Pack, wheel: Optional[str], interpreter: tags.Interpreter) -> None:
        self._pack = pack
        self._wheel = wheel
        self._interpreter = interpreter
        self._folder: Optional[str] = None
        self._held = -1
        self._before: Dict[str, Any] = {}

    def __enter__(self) -> Inflater:
        try:
            module = self._load()
        except (ImportError, OSError, ValueError, AttributeError, RestoreError):
            # zlib gives the same bytes; what is wrong with the pack shows where it matters.
            module = None
        return Inflater() if module is None else Inflater(module)

    def __exit__(self, *_: object) -> None:
        for name in [name for name in sys.modules if name == _NAME or name.startswith(_NAME + ".")]:
            if name not in self._before:
                del sys.modules[name]
        if self._folder is not None:
            for place in [place for place in sys.path_importer_cache if place.startswith(self._folder)]:
                del sys.path_importer_cache[place]
            shutil.rmtree(self._folder, ignore_errors=True)
            os.close(self._held)

    def _load(self) -> Any:
        if self._wheel is None or _NAME in sys.modules:
            return None
        name = tags.parse(self._wheel.rpartition("/")[2])
        if name.name != _NAME or not tags.supports(self._interpreter, name):
            return None
        self._before = dict(sys.modules)
        self._folder, self._held = temporary.make()
        self._unpack(self._folder)
        sys.path.insert(0, self._folder)
        written, sys.dont_write_bytecode = sys.dont_write_bytecode, True
        try:
            return importlib.import_module("isal.isal_zlib")
        finally:
            sys.dont_write_bytecode = written
            sys.path.remove(self._folder)

    def _unpack(self, folder: str) -> None:
        member = self._pack.members[self._wheel or ""]
        data = self._pack.read(member, member.spans)
        start = member.spans[-1].offset
        plain = Inflater()
        for entry in read_directory(data[start:], start, member.path):
            if not entry.name.startswith(_NAME + "/") or entry.is_folder:
                continue
            begin = entry.offset + data_offset(data, entry, member.path, entry.offset)
            raw = data[begin : begin + entry.compressed]
            content = plain.whole(raw, entry.size, entry.name) if entry.method == DEFLATED else raw
            path = os.path.join(folder, *entry.name.split("/"))
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "xb") as stream:
                stream.write(content)
