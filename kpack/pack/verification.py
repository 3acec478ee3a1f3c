"""Check every byte of a pack, and say what the wheels in it bring."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kpack import __version__
from kpack.errors import IntegrityError, KpackError
from kpack.files import open_regular
from kpack.pack import tarfmt
from kpack.pack.read import MemberBytes, foreign_code
from kpack.pack.tarfmt import BOOTSTRAP, MANIFEST
from kpack.pack.wheel import STRICT, Admitted, Lax, admit_window
from kpack.restore import activate, checkpoints, rules, tags
from kpack.restore import manifest as model
from kpack.restore.errors import RestoreError
from kpack.restore.versions import normalize_name
from kpack.restore.wheelzip import read_directory

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from kpack.cache import Cache
    from kpack.pack.read import ReadPack
    from kpack.pack.window import Window

_PIECE = 1 << 20


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with a pack."""

    where: str
    what: str


def take(pack: ReadPack, cache: Cache) -> int:
    """Put every wheel and checkpoint of ``pack`` that the cache does not have into it, verified; return how many.

    Raises:
        IntegrityError: a member's bytes are not what the manifest says.

    """
    count = 0
    for member in pack.manifest.members:
        if not member.path.startswith(("wheels/", "checkpoints/", "debs/")) or cache.find(member.sha256, member.size):
            continue
        with MemberBytes(pack, member) as window, cache.temporary() as folder:
            copy = folder / "member"
            with copy.open("wb") as stream:
                for begin in range(0, member.size, _PIECE):
                    stream.write(window[begin : begin + _PIECE])
            cache.adopt(copy, member.sha256)
        count += 1
    return count


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
    start = checkpoints.directory(manifest, target=None, kaggle=True, allow_absolute=True)
    checks: list[Callable[[], object]] = [
        lambda: activate.refuse_environment(manifest.env),
        lambda: checkpoints.destinations(manifest, start, kaggle=True, allow_absolute=True),
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
    with open_regular(pack.path) as stream:
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
