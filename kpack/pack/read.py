"""Read the head of a pack as strictly as it is written: what kpack would not have written is refused.

Little is imported for it, as `kpack restore` begins with it; `kpack.pack.verification` checks the rest.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from pathlib import Path  # noqa: TC003 - a field's type
from typing import TYPE_CHECKING, NamedTuple

from kpack.errors import IntegrityError, MachineError
from kpack.files import OddFileError, open_regular, read_bounded
from kpack.pack import line, tarfmt
from kpack.pack.engine import engine
from kpack.pack.tarfmt import BOOTSTRAP, MANIFEST
from kpack.pack.window import Window
from kpack.restore import manifest as model
from kpack.restore.errors import RestoreError

if TYPE_CHECKING:
    from collections.abc import Callable

_MAX_BOOTSTRAP = 1 << 20
_MAX_MANIFEST = 64 << 20
"""Bytes; the manifest of 100 GB of checkpoints has about 2 MB."""


class ReadPack(NamedTuple):
    """A pack whose head was read: its manifest is the one that its bootstrap pins."""

    path: Path
    is_folder: bool
    """The pack was unpacked by something, and lies there as a folder."""
    id: str
    """SHA-256 of bootstrap.py."""
    line: str
    """The line to paste."""
    manifest: model.Manifest
    origin: int
    """Bytes before the first member that the manifest names; 0 for a folder."""

    @property
    def size(self) -> int:
        """Bytes that the file must have; for a folder, bytes of the members."""
        if not self.manifest.members:
            return self.origin
        last = self.manifest.members[-1]
        if self.is_folder:
            return sum(member.size for member in self.manifest.members)
        return self.origin + last.offset + model.padded(last.size) + len(tarfmt.END)

    def data(self, path: str) -> bytes:
        """Return the verified bytes of a small member.

        Raises:
            IntegrityError: the member is not there, or its bytes are not what the manifest says.

        """
        try:
            member = self.manifest.member(path)
        except KeyError as error:
            raise IntegrityError(f"the pack has no member {path}", where=str(self.path)) from error
        with MemberBytes(self, member) as window:
            data = window[0 : member.size]
        if hashlib.sha256(data).hexdigest() != member.sha256:
            raise IntegrityError("the bytes are not what the manifest says", where=f"{self.path}: {path}")
        return data


def read(path: Path) -> ReadPack:
    """Read the head of the pack at ``path``, a file or the folder that it became.

    Raises:
        MachineError: there is no such file, or it cannot be read.
        IntegrityError: it is no pack, or its manifest is not the one that its bootstrap pins.

    """
    try:
        if path.is_dir():
            code = read_bounded(path / BOOTSTRAP, _MAX_BOOTSTRAP)
            bootstrap = line.parse(code, str(path))
            raw = read_bounded(path / MANIFEST, _MAX_MANIFEST)
            origin = 0
        else:
            with open_regular(path) as stream:
                code = _first(stream.read(tarfmt.BLOCK), stream.read, path)
                bootstrap = line.parse(code, str(path))
                raw = _second(bootstrap.manifest_size, stream.read, path)
                origin = stream.tell()
    except OddFileError as error:
        raise IntegrityError(
            f"this is not a pack: it {error}", where=str(path), next="name a .kpack.bin file that kpack built"
        ) from error
    except FileNotFoundError as error:
        raise _missing(path) from error
    except OSError as error:
        raise MachineError(f"cannot read the pack: {error.strerror}", where=str(path)) from error
    if len(raw) != bootstrap.manifest_size or hashlib.sha256(raw).hexdigest() != bootstrap.manifest_sha256:
        raise IntegrityError(
            f"kpack.json has sha256 {hashlib.sha256(raw).hexdigest()}, "
            f"bootstrap.py pins {bootstrap.manifest_sha256} ({bootstrap.manifest_size} bytes)",
            where=str(path),
            next="the pack is damaged: build or download it again",
        )
    try:
        manifest = model.loads(raw)
    except RestoreError as error:
        raise IntegrityError(error.what, where=f"{path}: {error.where}", next=error.next) from error
    identity = hashlib.sha256(code).hexdigest()
    try:
        pasted = line.line(manifest.name, identity, len(code))
    except IntegrityError as error:
        raise IntegrityError(error.what, where=f"{path}: {MANIFEST}", next=error.next) from error
    return ReadPack(
        path=path,
        is_folder=path.is_dir(),
        id=identity,
        line=pasted,
        manifest=manifest,
        origin=origin,
    )


def _missing(path: Path) -> MachineError:
    """Return the error for a path where no pack is; of a folder it names the packs that lie in it."""
    if not path.is_dir():
        return MachineError("there is no pack", where=str(path), next="name a .kpack.bin file; kpack build makes one")
    with contextlib.suppress(OSError), os.scandir(path) as entries:
        inside = sorted(entry.path for entry in entries if entry.name.endswith((".kpack.bin", ".kpack")))
        if inside:
            return MachineError("this folder is no pack", where=str(path), next=f"name what is in it: {inside[0]}")
    return MachineError(
        "this folder is no pack",
        where=str(path),
        next="name a .kpack.bin file, or the folder that something unpacked it to; kpack build makes one",
    )


def _first(block: bytes, more: Callable[[int], bytes], path: Path) -> bytes:
    size = tarfmt.first_size(block) if len(block) == tarfmt.BLOCK else None
    if size is None or size > _MAX_BOOTSTRAP or block != tarfmt.header(BOOTSTRAP, size):
        raise IntegrityError("this is not a pack", where=str(path), next="name a .kpack.bin file that kpack built")
    return _data(size, more, path, BOOTSTRAP)


def _second(size: int, more: Callable[[int], bytes], path: Path) -> bytes:
    if size > _MAX_MANIFEST or more(tarfmt.BLOCK) != tarfmt.header(MANIFEST, size):
        raise IntegrityError("kpack.json is not where it must be", where=str(path), next="build or download it again")
    return _data(size, more, path, MANIFEST)


def _data(size: int, more: Callable[[int], bytes], path: Path, name: str) -> bytes:
    data = more(size)
    rest = more(tarfmt.padding(size))
    if len(data) != size or rest != bytes(tarfmt.padding(size)):
        raise IntegrityError(f"it ends or is damaged in {name}", where=str(path), next="build or download it again")
    return data


class MemberBytes:
    """A member's bytes as a window over the open file, not verified: a context manager.

    Raises IntegrityError when they cannot be read, or are fewer than the manifest says.
    """

    def __init__(self, pack: ReadPack, member: model.Member) -> None:
        self.path = pack.path / member.path if pack.is_folder else pack.path
        self.offset = 0 if pack.is_folder else pack.origin + member.offset
        self.size = member.size
        self.whole = pack.is_folder

    def __enter__(self) -> Window:
        try:
            self.stream = open_regular(self.path)
        except OddFileError as error:
            raise IntegrityError(f"it {error}", where=str(self.path)) from error
        except OSError as error:
            raise IntegrityError(f"cannot be read: {error.strerror}", where=str(self.path)) from error
        length = self.stream.seek(0, 2)
        if length < self.offset + self.size or (self.whole and length != self.size):
            self.stream.close()
            raise IntegrityError(
                f"it has {length} bytes, {self.offset + self.size} were expected", where=str(self.path)
            )
        return Window(self.stream.fileno(), self.offset, self.size)

    def __exit__(self, *exc: object) -> None:
        self.stream.close()


def foreign_code(pack: ReadPack) -> tuple[str, ...]:
    """Return which code of ``pack`` is not the text of this kpack, which its id alone does not prove.

    Raises:
        IntegrityError: the engine's bytes are not what the manifest says.

    """
    code = bootstrap_of(pack)
    pinned = line.parse(code, str(pack.path))
    found = []
    if code != line.generate(pinned.manifest_sha256, pinned.manifest_size):
        found.append(BOOTSTRAP)
    if pack.data(pack.manifest.engine) != engine():
        found.append(pack.manifest.engine)
    return tuple(found)


def bootstrap_of(pack: ReadPack) -> bytes:
    """Return bootstrap.py of ``pack``, the very bytes that its id is the digest of.

    Raises:
        IntegrityError: they are others now than when the pack was read.

    """
    path = pack.path / BOOTSTRAP if pack.is_folder else pack.path
    with open_regular(path) as stream:
        code = stream.read() if pack.is_folder else _first(stream.read(tarfmt.BLOCK), stream.read, path)
    if hashlib.sha256(code).hexdigest() != pack.id:
        raise IntegrityError("the pack was changed while it was read", where=str(pack.path), next="try again")
    return code
