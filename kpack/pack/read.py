"""Read a pack as strictly as it is written: what kpack would not have written is refused."""

from __future__ import annotations

import functools
import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kpack import __version__
from kpack.errors import IntegrityError, KpackError, MachineError
from kpack.files import OddFileError, open_regular, read_bounded
from kpack.pack import line, tarfmt
from kpack.pack.engine import engine
from kpack.pack.wheel import STRICT, Admitted, Lax, Window, admit_window
from kpack.pack.write import BOOTSTRAP, MANIFEST
from kpack.restore import activate, checkpoints, rules, tags
from kpack.restore import manifest as model
from kpack.restore.errors import RestoreError
from kpack.restore.versions import normalize_name
from kpack.restore.wheelzip import read_directory

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from kpack.cache import Cache

_MAX_BOOTSTRAP = 1 << 20
_MAX_MANIFEST = 64 << 20
"""Bytes; the manifest of 100 GB of checkpoints has about 2 MB."""

_PIECE = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadPack:
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


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with a pack."""

    where: str
    what: str


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
        raise MachineError(
            "there is no pack", where=str(error.filename or path), next="name a .kpack.bin file; kpack build makes one"
        ) from error
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


def take(pack: ReadPack, cache: Cache) -> int:
    """Put every wheel and checkpoint of ``pack`` that the cache does not have into it, verified; return how many.

    Raises:
        IntegrityError: a member's bytes are not what the manifest says.

    """
    count = 0
    for member in pack.manifest.members:
        if not member.path.startswith(("wheels/", "checkpoints/")) or cache.find(member.sha256, member.size):
            continue
        with MemberBytes(pack, member) as window, cache.temporary() as folder:
            copy = folder / "member"
            with copy.open("wb") as stream:
                for begin in range(0, member.size, _PIECE):
                    stream.write(window[begin : begin + _PIECE])
            cache.adopt(copy, member.sha256)
        count += 1
    return count


class MemberBytes:
    """A member's bytes as a window over the open file."""

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


def verify(
    pack: ReadPack,
    *,
    proven: bool = False,
    on_bytes: Callable[[int], None] | None = None,
    on_note: Callable[[str], object] = lambda _: None,
    on_wheel: Callable[[str, Admitted], object] = lambda *_: None,
) -> tuple[Problem, ...]:
    """Check every byte of a pack and return what is wrong, in the order of the members.

    Headers and padding, spans and digests, that nothing follows the end, and for wheels all that `admit` checks, but
    for what the manifest says was let in by name. The pack's code is compared with kpack's own text of that version,
    unless its id is ``proven`` otherwise. ``on_bytes`` is told of progress, ``on_note`` what is odd and right,
    ``on_wheel`` what the gate says of a wheel that it lets in, by file name.
    """
    problems = list(_frame(pack))
    if not proven:
        problems += _code(pack, on_note)
    problems += _restorable(pack)
    let_in = _let_in(pack)
    for member in _within(pack):
        where = member.path
        try:
            with MemberBytes(pack, member) as window:
                problems += [Problem(where, what) for what in _member(member, window, on_bytes)]
                if where.startswith("wheels/"):
                    filename = where.removeprefix("wheels/")
                    verdict = admit_window(window, filename, let_in.get(where, STRICT))
                    on_wheel(filename, verdict)
                    for said in verdict.remarks:
                        on_note(f"{filename}: {said}")
        except KpackError as error:
            problems.append(Problem(where, error.what))
    return tuple(problems)


def _restorable(pack: ReadPack) -> Iterator[Problem]:
    """Check what a restore asks of the manifest's words before it looks at the machine."""
    manifest = pack.manifest
    checks: list[Callable[[], object]] = [lambda: activate.refuse_environment(manifest.env)]
    checks += [
        functools.partial(checkpoints.destination, item.path, "/", kaggle=True, allow_absolute=True)
        for item in manifest.checkpoints
    ]
    for check in checks:
        try:
            check()
        except RestoreError as error:
            yield Problem(MANIFEST, f"{error.where:.200}: {error.what:.500}")
    for item in {item for target in manifest.targets for item in target.distributions}:
        folder, _, filename = item.wheel.rpartition("/")
        try:
            named = tags.parse(filename)
        except ValueError as error:
            yield Problem(MANIFEST, f"{item.wheel:.200}: {error!s:.500}")
            continue
        right = rules.fits(item.version, named.version) or rules.fits(named.version, item.version)
        if folder != "wheels" or normalize_name(named.name) != normalize_name(item.name) or not right:
            yield Problem(MANIFEST, f"{item.wheel:.200} is said to be {item.name:.100} {item.version:.100}")


def _let_in(pack: ReadPack) -> dict[str, Lax]:
    return {
        item.wheel: Lax(record=item.lax_record, archive=item.lax_archive)
        for target in pack.manifest.targets
        for item in target.distributions
    }


def _code(pack: ReadPack, on_note: Callable[[str], object]) -> list[Problem]:
    if pack.manifest.kpack != __version__:
        on_note(
            f"its code is that of kpack {pack.manifest.kpack}, which kpack {__version__} cannot compare: --expect with "
            "the id that the build printed proves it"
        )
        return []
    try:
        return [Problem(where, f"this is not the code of kpack {__version__}") for where in foreign_code(pack)]
    except IntegrityError:
        return []  # told where its member is checked


def _within(pack: ReadPack) -> list[model.Member]:
    """Return the members of a pack, without those that a file which is cut short cannot hold whole."""
    if pack.is_folder:
        return list(pack.manifest.members)
    length = pack.path.stat().st_size
    return [item for item in pack.manifest.members if pack.origin + item.offset + model.padded(item.size) <= length]


def _member(member: model.Member, window: Window, on_bytes: Callable[[int], None] | None) -> Iterator[str]:
    whole = hashlib.sha256()
    for number, span in enumerate(member.spans):
        digest = hashlib.sha256()
        for begin in range(span.offset, span.offset + span.size, _PIECE):
            piece = window[begin : min(begin + _PIECE, span.offset + span.size)]
            digest.update(piece)
            whole.update(piece)
            if on_bytes:
                on_bytes(len(piece))
        if digest.hexdigest() != span.sha256:
            yield f"span {number} (bytes {span.offset} to {span.offset + span.size}) is damaged"
    if whole.hexdigest() != member.sha256:
        yield f"its sha256 is {whole.hexdigest()}, the manifest says {member.sha256}"


def _frame(pack: ReadPack) -> Iterator[Problem]:
    """Check what lies between the members of a file, or what else lies in a folder."""
    if pack.is_folder:
        known = {BOOTSTRAP, MANIFEST, *(member.path for member in pack.manifest.members)}
        for found in sorted(pack.path.rglob("*")):
            name = found.relative_to(pack.path).as_posix()
            if not found.is_dir() and name not in known:
                yield Problem(name, "the manifest does not name it")
        return
    whole = _within(pack)
    missing = len(pack.manifest.members) - len(whole)
    with pack.path.open("rb") as stream:
        length = stream.seek(0, 2)
        if length < pack.size:
            yield Problem(
                "end", f"the file is cut short: {length} of {pack.size} bytes, {missing} of its members are not whole"
            )
        position = pack.origin
        for member in whole:
            stream.seek(position)
            expected = tarfmt.header(member.path, member.size)
            if stream.read(len(expected)) != expected:
                yield Problem(member.path, "its tar header is damaged")
            end = pack.origin + member.offset + member.size
            stream.seek(end)
            if stream.read(tarfmt.padding(member.size)) != bytes(tarfmt.padding(member.size)):
                yield Problem(member.path, "the bytes after it are damaged")
            position = end + tarfmt.padding(member.size)
        stream.seek(position)
        if length >= pack.size and stream.read(len(tarfmt.END) + 1) != tarfmt.END:
            yield Problem("end", f"the file must have {pack.size} bytes and end in zeros")


def admitted(
    pack: ReadPack, known: Callable[[str, str], Admitted | None] = lambda *_: None
) -> Iterator[tuple[str, Admitted]]:
    """Yield the file name of every wheel of a pack that may enter one, and what the gate says of it.

    ``known`` is asked first, with file name and sha256. What may not enter is left out: `verify` tells why.
    """
    lax = _let_in(pack)
    for member in pack.manifest.members:
        if member.path.startswith("wheels/"):
            filename = member.path.removeprefix("wheels/")
            verdict = known(filename, member.sha256)
            if verdict is None:
                try:
                    with MemberBytes(pack, member) as window:
                        verdict = admit_window(window, filename, lax.get(member.path, STRICT))
                except IntegrityError:
                    continue
            yield filename, verdict


def wheel_landings(pack: ReadPack) -> Iterator[tuple[str, tuple[rules.Landing, ...]]]:
    """Yield the file name of every wheel of a pack, and where its files go, from its verified directory.

    Raises:
        IntegrityError: a wheel's directory is not what the manifest says.

    """
    for member in pack.manifest.members:
        if not member.path.startswith("wheels/"):
            continue
        with MemberBytes(pack, member) as window:
            last = member.spans[-1]
            tail = window[last.offset : member.size]
        if hashlib.sha256(tail).hexdigest() != last.sha256:
            raise IntegrityError("its directory is damaged", where=member.path, next="kpack verify says more")
        filename = member.path.removeprefix("wheels/")
        try:
            entries = read_directory(tail, last.offset, filename, odd=[])
            yield filename, tuple(rules.landing(entries, rules.shape(entries, filename), filename))
        except RestoreError as error:
            raise IntegrityError(error.what, where=filename, next="kpack verify says more") from error


def startup_files(pack: ReadPack) -> dict[str, tuple[str, ...]]:
    """Return, by wheel, the ``.pth`` files that it installs: they may run code at every start of the interpreter.

    Raises:
        IntegrityError: a wheel's directory is not what the manifest says.

    """
    found = {filename: rules.startup_files(landings) for filename, landings in wheel_landings(pack)}
    return {filename: names for filename, names in found.items() if names}


def bootstrap_of(pack: ReadPack) -> bytes:
    """Return bootstrap.py of ``pack``, the very bytes that its id is the digest of.

    Raises:
        IntegrityError: they are others now than when the pack was read.

    """
    path = pack.path / BOOTSTRAP if pack.is_folder else pack.path
    with path.open("rb") as stream:
        code = stream.read() if pack.is_folder else _first(stream.read(tarfmt.BLOCK), stream.read, path)
    if hashlib.sha256(code).hexdigest() != pack.id:
        raise IntegrityError("the pack was changed while it was read", where=str(pack.path), next="try again")
    return code
